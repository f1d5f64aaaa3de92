"""The knee of a curve and the recommendation, by hand."""

import math

import pytest

from zoo.evaluation import Point, knee, recommend


def curve(latents, *rows):
    return [
        Point(beta=beta, latents=latents, rate=rate, distortion=distortion, active_units=active)
        for beta, rate, distortion, active in rows
    ]


WIDE = curve(16, (0.5, 40.0, 60.0, 9), (1.0, 30.0, 64.0, 8), (2.0, 16.0, 66.0, 6), (8.0, 2.0, 120.0, 1))
NARROW = curve(8, (0.5, 35.0, 62.0, 8), (1.0, 18.0, 66.0, 8), (2.0, 15.0, 75.0, 6), (8.0, 2.0, 121.0, 1))
SCANT = curve(4, (0.5, 20.0, 80.0, 4), (1.0, 17.0, 82.0, 4), (2.0, 12.0, 85.0, 4), (8.0, 1.0, 122.0, 1))


def test_the_knee_is_furthest_below_the_line_between_the_ends():
    # Scaled, the points are (0, 1), (0.25, 0.4) and (1, 0): 0, 0.35 and 0 below the line from (0, 1) to (1, 0).
    assert knee([10.0, 20.0, 50.0], [200.0, 140.0, 100.0]) == 1
    assert knee([50.0, 10.0, 20.0], [100.0, 200.0, 140.0]) == 2


@pytest.mark.parametrize(
    ("rates", "distortions"),
    [
        ([10.0, 20.0], [200.0, 100.0]),
        ([5.0, 5.0, 5.0], [3.0, 2.0, 1.0]),
        ([1.0, 2.0, 3.0], [7.0, 7.0, 7.0]),
        ([0.0, 5.0, 10.0], [10.0, 9.0, 0.0]),
        ([0.0, 5.0, 10.0], [10.0, 5.0, 0.0]),
    ],
    ids=["two points", "one rate", "one distortion", "bent upwards", "straight"],
)
def test_a_curve_that_does_not_bend_has_no_knee(rates, distortions):
    assert knee(rates, distortions) is None


def test_curves_that_are_none_are_refused():
    assert knee([], []) is None
    with pytest.raises(ValueError, match="Expected `distortions` to be one for each of 3 rates. Received: .*2 values"):
        knee([1.0, 2.0, 3.0], [2.0, 1.0])
    with pytest.raises(ValueError, match="Expected `rates` to be a finite number"):
        knee([1.0, math.nan, 3.0], [2.0, 1.0, 0.0])
    with pytest.raises(ValueError, match="Expected `beta` to be a finite number > 0"):
        recommend(WIDE, beta=-1.0)


def test_the_smallest_number_of_latents_that_holds_the_active_ones():
    """The best ELBO, −82, has 16 latents, 6 of them active at the knee: 8 are enough, and their knee is at β = 1."""
    found = recommend([*SCANT, *WIDE, *NARROW])
    assert (found.point.beta, found.point.latents) == (1.0, 8)
    assert found.reasons == (
        "β = 1 is the knee of the curve of 8 latents",
        "at β = 2, 6 of 16 latents are active, and 8 is the smallest number tried that holds them",
    )


def test_more_latents_are_advised_where_all_are_active():
    found = recommend(SCANT)
    assert found.point == SCANT[2]
    assert found.reasons[1] == "at β = 2, 4 of 4 latents are active: all that were tried, and more may be of use"


def test_a_beta_that_is_given_stays():
    """At β = 0.5 the best ELBO, −97, has 8 latents; that of 16 is −100."""
    found = recommend([*WIDE, *NARROW, *SCANT], beta=0.6)
    assert found.point == NARROW[0]
    assert found.reasons == (
        "β = 0.5 is the one that the model is trained with, or the nearest that was tried",
        "at β = 0.5, 8 of 8 latents are active; no other number tried that holds them is smaller or has a better ELBO",
    )


def test_the_nearest_beta_is_that_of_the_least_ratio():
    assert recommend([WIDE[0], WIDE[2]], beta=1.2).point == WIDE[2]  # 1.2 is 2.4 times 0.5, and 2 is 1.7 times 1.2


def test_without_a_knee_the_best_elbo_counts():
    found = recommend(WIDE[:2])  # ELBOs of −100 and −94, and 8 of 16 active
    assert found.point == WIDE[1] and found.point.elbo == -94.0
    assert found.reasons[0] == "β = 1 has the best ELBO with 16 latents; the curve has no knee"


def test_models_that_failed_are_left_out():
    failed = curve(16, (0.1, math.nan, math.nan, 0))
    assert recommend([*failed, *WIDE]) == recommend(WIDE)
    with pytest.raises(ValueError, match="Expected `points` to be at least one with a finite rate"):
        recommend(failed)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"beta": -1.0}, "`beta` to be a finite number > 0"),
        ({"latents": 0}, "`latents` to be an integer >= 1"),
        ({"active_units": 9}, "`active_units` to be at most the number of latents, 8"),
        ({"rate": "12"}, "`rate` to be a number"),
    ],
)
def test_points_of_another_form_are_refused(entry, message):
    point = {"beta": 1.0, "latents": 8, "rate": 10.0, "distortion": 50.0, "active_units": 3}
    with pytest.raises(ValueError, match=f"Expected {message}"):
        Point(**{**point, **entry})
    with pytest.raises(ValueError, match="Expected `points` to be a list of zoo.evaluation.Point"):
        recommend([point])
