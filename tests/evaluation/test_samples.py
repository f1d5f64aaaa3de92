"""Measures of sets of samples, on sets whose figures are known, and against formulas written out."""

import numpy as np
import pytest

from zoo.evaluation import density_coverage, frechet_distance, precision_recall, samples


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    """Sets of this file take several chunks."""
    monkeypatch.setattr(samples, "_ROWS", 64)
    monkeypatch.setattr(samples, "_CHUNK_MIB", 0.1)


def normal(number, dims=4, seed=0, dtype="float32"):
    return np.random.default_rng(seed).normal(size=(number, dims)).astype(dtype)


def test_the_frechet_distance_of_a_set_to_itself_is_zero():
    x = normal(500)
    assert abs(frechet_distance(x, x, groups=0)["frechet_distance"]) < 1e-9


def test_the_frechet_distance_of_a_shifted_set_is_the_squared_shift():
    x, shift = normal(300, dtype="float64"), np.array([1.0, -2.0, 0.5, 0.0])
    np.testing.assert_allclose(frechet_distance(x, x + shift, 0)["frechet_distance"], 5.25, rtol=1e-9)


def test_the_frechet_distance_of_a_scaled_set_is_the_squared_difference_of_deviations():
    x = normal(300, dtype="float64")
    scales = np.array([2.0, 0.5, 1.0, 3.0])
    x = (x - x.mean(axis=0)) @ np.linalg.inv(np.linalg.cholesky(np.cov(x.T))).T  # its covariance is the identity
    # Between N(0, 1) and N(0, s²): (1 − s)².
    expected = np.square(1.0 - scales).sum()
    np.testing.assert_allclose(frechet_distance(x, x * scales, 0)["frechet_distance"], expected, rtol=1e-9)


def test_the_frechet_distance_is_the_formula_with_the_root_of_the_product():
    from scipy import linalg

    a, b = normal(200, seed=1), normal(150, seed=2) @ normal(4, seed=3) + 0.3
    mean_a, mean_b, cov_a, cov_b = a.mean(0), b.mean(0), np.cov(a.T), np.cov(b.T)
    root = linalg.sqrtm(cov_a @ cov_b).real
    expected = np.square(mean_a - mean_b).sum() + np.trace(cov_a + cov_b - 2 * root)
    np.testing.assert_allclose(frechet_distance(a, b, 0)["frechet_distance"], expected, rtol=1e-5)
    np.testing.assert_allclose(frechet_distance(b, a, 0)["frechet_distance"], expected, rtol=1e-5)


def test_singular_covariances_give_a_real_distance():
    a = np.concatenate([normal(40), np.zeros((40, 3), "float32")], axis=1)
    b = np.concatenate([np.zeros((40, 3), "float32"), normal(40, seed=1)], axis=1)
    # Disjoint supports but for one dimension: the traces, without nearly all of the product.
    figure = frechet_distance(a, b, 0)["frechet_distance"]
    assert 4.0 < figure < np.trace(np.cov(a.T)) + np.trace(np.cov(b.T)) + 1.0


def test_the_standard_error_is_the_deviation_of_repeated_draws():
    def draw(seed):
        return normal(400, 2, seed), normal(500, 2, seed + 1000) + 1.0

    repeated = np.std([frechet_distance(*draw(seed), groups=0)["frechet_distance"] for seed in range(100)], ddof=1)
    measured = np.mean([frechet_distance(*draw(seed))["standard_error"] for seed in range(5)])
    np.testing.assert_allclose(measured, repeated, rtol=0.25)


def test_the_standard_error_is_that_of_the_sets_without_each_group():
    a, b = normal(30, 2), normal(20, 2, seed=1) + 1.0
    variance = 0.0
    without_a = [(a[np.arange(30) % 5 != group], b) for group in range(5)]
    without_b = [(a, b[np.arange(20) % 5 != group]) for group in range(5)]
    for pairs in (without_a, without_b):
        values = [frechet_distance(*each, groups=0)["frechet_distance"] for each in pairs]
        variance += 4 / 5 * np.square(values - np.mean(values)).sum()
    np.testing.assert_allclose(frechet_distance(a, b, groups=5)["standard_error"], np.sqrt(variance), rtol=1e-6)
    with pytest.raises(ValueError, match="Expected `groups` to be 0, or an integer >= 2"):
        frechet_distance(a, b, groups=1)


def test_equal_sets_have_full_figures():
    x = normal(300)
    assert set(precision_recall(x, x.copy()).values()) == {1.0, 0.0}
    figures = density_coverage(x, x.copy())
    assert (figures["density"], figures["coverage"]) == (1.0, 1.0)


def test_sets_far_apart_have_none():
    far = normal(200, seed=1) + 100.0
    assert set(precision_recall(normal(200), far).values()) == {0.0}
    assert set(density_coverage(normal(200), far).values()) == {0.0}


def test_one_mode_of_two_is_precise_and_recalls_half():
    left, right = normal(300), normal(300, seed=1) + 50.0
    real = np.concatenate([left, right])
    fake = normal(300, seed=2)
    figures = precision_recall(real, fake) | density_coverage(real, fake)
    assert figures["precision"] > 0.9 and 0.4 < figures["recall"] <= 0.5
    assert 0.4 < figures["coverage"] <= 0.5 and 0.8 < figures["density"] < 1.3
    # Half of the real examples count: a deviation of ½ over 600 of them.
    np.testing.assert_allclose(figures["recall_error"], 0.5 / np.sqrt(600), rtol=0.05)
    swapped = precision_recall(fake, real)
    assert (swapped["precision"], swapped["recall"]) == (figures["recall"], figures["precision"])


def test_an_outlier_spoils_precision_and_not_density():
    """The case for which Naeem et al. made density: a real outlier whose ball holds all the samples."""
    real = np.concatenate([normal(200), np.full((1, 4), 30.0, "float32")])
    fake = normal(200, seed=1) * 0.2 + 15.0
    assert precision_recall(real, fake)["precision"] == 1.0
    assert density_coverage(real, fake)["density"] < 0.35


def by_hand(real, fake, k):
    """The four figures from whole matrices, as the authors of density and coverage compute them."""

    def distances(a, b):
        return np.sqrt(np.square(a[:, None].astype("float64") - b[None]).sum(-1))

    radius_real, radius_fake = (np.sort(distances(each, each), axis=1)[:, k] for each in (real, fake))
    across = distances(real, fake)
    return {
        "precision": (across <= radius_real[:, None]).any(0).mean(),
        "recall": (across <= radius_fake).any(1).mean(),
        "density": (across < radius_real[:, None]).sum(0).mean() / k,
        "coverage": (across.min(1) < radius_real).mean(),
    }


@pytest.mark.parametrize("k", [1, 3, 5])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_figures_are_those_of_the_formulas(k, dtype):
    real, fake = normal(150, 3, dtype=dtype), 1.3 * normal(220, 3, seed=1, dtype=dtype) + 0.4
    figures, expected = precision_recall(real, fake, k) | density_coverage(real, fake, k), by_hand(real, fake, k)
    assert all(0.1 < value < 1.0 for value in expected.values())
    np.testing.assert_allclose([figures[name] for name in expected], list(expected.values()), rtol=1e-12)


@pytest.mark.parametrize("measure", [precision_recall, density_coverage, frechet_distance])
def test_arrays_of_another_form_are_refused(measure):
    good = normal(50)
    with pytest.raises(ValueError, match=r"Expected `(fake|features_b)` to be an array of 4 features"):
        measure(good, normal(50, 3))
    with pytest.raises(ValueError, match=r"to be a float array \[N,F\] with N >= .*Received: .*\(50,\)"):
        measure(good[:, 0], good)
    with pytest.raises(ValueError, match=r"to be a float array .*int"):
        measure(good.astype(int), good)
    with pytest.raises(ValueError, match="to be an array of finite values"):
        measure(good, np.where(good > 2.0, np.nan, good))
    with pytest.raises(ValueError, match="to be an array of finite values of at most 1e[+]15"):
        measure(good, np.where(good > 2.0, 1e20, good))
    with pytest.raises(ValueError, match="to be an array without a mask"):
        measure(good, np.ma.masked_greater(good, 2.0))


def test_sets_with_fewer_examples_than_neighbours_are_refused():
    with pytest.raises(ValueError, match=r"Expected `real` to be a float array \[N,F\] with N >= 4"):
        precision_recall(normal(3), normal(50))
    with pytest.raises(ValueError, match=r"Expected `k` to be an integer >= 1"):
        density_coverage(normal(30), normal(50), 0)


def test_groups_that_leave_a_single_example_are_refused():
    features = np.random.default_rng(0).normal(size=(3, 2))
    with pytest.raises(ValueError, match="Expected `groups` to be 0, or larger, as 3 examples without one group are"):
        frechet_distance(features, features, groups=2)
    assert np.isfinite(frechet_distance(features, features, groups=3)["standard_error"])


@pytest.mark.parametrize("measure", [precision_recall, density_coverage])
@pytest.mark.parametrize(("dtype", "offset"), [("float64", 1e8), ("float32", 1e3)])
def test_an_offset_of_all_features_changes_nothing(measure, dtype, offset):
    real, fake = normal(200, dtype=dtype), 0.9 * normal(150, seed=1, dtype=dtype)
    shifted = measure((real + offset).astype(dtype), (fake + offset).astype(dtype))
    assert shifted == pytest.approx(measure(real, fake), abs=0.01)


def test_infinite_features_in_half_precision_are_refused():
    x = normal(20, dtype="float16")
    x[3, 1] = np.inf
    with pytest.raises(ValueError, match="Expected `real` to be an array of finite values"):
        density_coverage(x, x)
