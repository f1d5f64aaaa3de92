"""The rules, on measurements made up for each fault."""

import dataclasses

import numpy as np
import pytest

from zoo.evaluation import FAULTS, CodeTerms, LatentLayer, LatentTerms
from zoo.evaluation.diagnosis.data_range import DataRange
from zoo.evaluation.diagnosis.faults import judge
from zoo.evaluation.diagnosis.symptoms import Fit, Gap, Symptoms


def layer(active, inactive, kl=2.0, name="z"):
    """A layer of latents: each active one has `kl` nats."""
    activity = np.repeat([0.8, 0.001], [active, inactive])
    kls = np.repeat([kl, 0.0], [active, inactive])
    return LatentLayer(
        name=name, kl=float(kls.sum()), kl_error=0.1, kl_by_latent=kls, activity=activity, posterior_share=1 - activity
    )


def terms(*layers, excess=0.05):
    rate = np.full(50, sum(each.kl for each in layers))
    return LatentTerms(distortion=np.full(50, 40.0), rate=rate, layers=layers, excess=excess)


def latents(error=0.3, linear=0.6, **changes):
    """A healthy VAE of eight latents, with changes."""
    healthy = {
        "data": DataRange(0.0, 1.0, (0.0, 1.0)),
        "fit": Fit(bound=np.full(50, -56.0), error=error),
        "validation": Fit(bound=np.full(50, -57.0), error=1.1 * error),
        "gap": Gap(0.5, 0.1, 4.0),
        "terms": terms(layer(8, 0)),
        "kl_weight": 1.1,
        "linear": linear,
        "settings": {"kl_weight": 1.0, "free_bits": 0.0},
    }
    return Symptoms(**{**healthy, **changes})


def codes(used, total=100, each=40, **changes):
    counts = np.repeat([each, 0], [used, total - used])
    found = CodeTerms(
        num_codes=total, codes_per_example=16, counts=counts, surprise=np.full(50, np.log(used)),
        distortion=np.full(50, 40.0), cross_entropy=None,
    )  # fmt: skip
    fit = Fit(bound=np.full(50, -40.0), error=0.2)
    return Symptoms(data=DataRange(0.0, 1.0, (0.0, 1.0)), fit=fit, codes=found, **changes)


def found(symptoms):
    return [finding.fault for finding in judge(symptoms)]


HEALTHY = {
    "vae": latents(),
    "beta 2": latents(error=0.55, kl_weight=2.1, terms=terms(layer(6, 2, 0.5)), settings={"beta": 2.0}),
    "beta 4 that reconstructs well": latents(kl_weight=4.0, settings={"beta": 4.0}),
    "narrow posteriors under a prior that fits": latents(kl_weight=0.05, terms=terms(layer(8, 0, 6.0), excess=0.1)),
    "spread latents at a weight of 1": latents(terms=terms(layer(8, 0), excess=0.6)),
    "a few unused latents": latents(terms=terms(layer(5, 3))),
    "two layers": latents(terms=terms(layer(2, 2, name="a"), layer(2, 2, name="b")), hierarchical=True),
    "gaussian": latents(scale=0.1, scale_kind="fixed", scale_factor=1.8, scale_gain=0.5),
    "optimal scale": latents(scale=0.1, scale_kind="optimal", scale_factor=1.3, scale_gain=0.1),
    "small scale that costs little": latents(scale_kind="by value", scale_factor=1.65, scale_gain=0.02),
    "large but uncertain gap": latents(gap=Gap(3.0, 0.8, 4.0)),
    "certain but small gap": latents(gap=Gap(1.0, 0.05, 4.0)),
    "codes": codes(95),
    "codes with a fixed scale": codes(95, scale=0.1, scale_kind="fixed", scale_factor=0.3, scale_gain=0.7),
    "few examples for many codes": codes(60, 100_000, each=1),
}


@pytest.mark.parametrize("name", HEALTHY)
def test_healthy_measurements_raise_no_alarm(name):
    assert judge(HEALTHY[name]) == []


COLLAPSED = {"error": 1.0, "terms": terms(layer(0, 8)), "kl_weight": None}
FAULTY = {
    "nothing is encoded": (latents(**COLLAPSED), ["posterior_collapse"]),
    "more than half is lost": (latents(error=0.9, terms=terms(layer(2, 6, 0.3))), ["posterior_collapse"]),
    "a layer is empty": (
        latents(terms=terms(layer(4, 0, 0.001, "top"), layer(8, 0, 1.0, "low")), hierarchical=True),
        ["posterior_collapse"],
    ),
    "beta 6": (latents(error=0.8, kl_weight=5.8, terms=terms(layer(5, 3, 0.2))), ["kl_weight_high"]),
    "beta 6 with large errors": (
        latents(error=0.8, kl_weight=5.8, scale=0.1, scale_kind="fixed", scale_factor=2.5, scale_gain=1.7),
        ["kl_weight_high"],
    ),
    "beta 30": (latents(**COLLAPSED, settings={"beta": 30.0}), ["kl_weight_high", "posterior_collapse"]),
    "kl_weight 30": (latents(**COLLAPSED, settings={"kl_weight": 30.0}), ["kl_weight_high", "posterior_collapse"]),
    "InfoVAE of α = -29": (
        latents(**COLLAPSED, settings={"kl_weight": 1.0, "alpha": -29.0, "lambda_": 30.0}),
        ["kl_weight_high", "posterior_collapse"],
    ),
    "InfoVAE of α = 0.95": (
        latents(**COLLAPSED, settings={"kl_weight": 30.0, "alpha": 0.95, "lambda_": 1.0}),
        ["posterior_collapse"],
    ),
    "beta 0.1": (latents(kl_weight=0.1, terms=terms(layer(8, 0, 5.0), excess=0.8)), ["kl_weight_low"]),
    "large scale": (
        latents(scale=1.0, scale_kind="fixed", scale_factor=0.2, scale_gain=1.2, **COLLAPSED),
        ["decoder_variance", "posterior_collapse"],
    ),
    "small scale": (latents(scale=0.01, scale_kind="fixed", scale_factor=9.0, scale_gain=38.0), ["decoder_variance"]),
    "learned scale that lags": (
        latents(scale=0.6, scale_kind="learned", scale_factor=0.5, scale_gain=0.3), ["decoder_variance"]
    ),
    "codes with a learned scale that lags": (
        codes(95, scale=0.6, scale_kind="learned", scale_factor=0.5, scale_gain=0.3), ["decoder_variance"]
    ),
    "half of the codes": (codes(50), ["unused_codes"]),
    "a gap": (latents(gap=Gap(3.0, 0.2, 4.0)), ["overfitting"]),
    "latents to spare": (latents(terms=terms(layer(4, 4))), ["too_many_latents"]),
    "channels to spare": (
        latents(terms=terms(layer(1, 3, name="a"), layer(1, 3, name="b")), hierarchical=True), ["too_many_latents"]
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTY)
def test_each_fault_is_named(name):
    symptoms, expected = FAULTY[name]
    assert found(symptoms) == expected


OUTSIDE = DataRange(-1.0, 1.0, (0.0, 1.0), outside=0.4)


@pytest.mark.parametrize(
    ("data", "evidence", "advice"),
    [
        (
            OUTSIDE,
            "from -1 to 1, and 40.0% of them lie outside of the likelihood's",
            "Gaussian(range=None)",
        ),
        (dataclasses.replace(OUTSIDE, low=0.0, high=255.0), "from 0 to 255", "Divide them by 255"),
        (dataclasses.replace(OUTSIDE, outside=0.0, invalid=0.25), "25.00% of the values are NaN", "Remove"),
        (DataRange(0.0, 0.0039, (0.0, 1.0)), "probably divided by 255 twice", "Divide them once"),
        (DataRange(0.0, 1.0, (0.0, 1.0), eight_bit=True, off_grid=0.9), "90.0% of the values are no multiple", "Round"),
    ],
)
def test_data_out_of_range_hide_all_else(data, evidence, advice):
    (finding,) = judge(Symptoms(data=data))
    assert finding.fault == "data_range" and evidence in finding.evidence and advice in finding.advice


def test_every_fault_is_planted_here():
    planted = {fault for symptoms, _ in FAULTY.values() for fault in found(symptoms)} | {"data_range"}
    assert planted == set(FAULTS)


def test_findings_hold_the_numbers_and_name_the_units():
    (finding,) = judge(latents(error=0.9, terms=terms(layer(2, 6, 0.3)), settings={"beta": 1.0, "free_bits": 0.0}))
    assert "6 of 8 latents are inactive (2, 3, 4, 5, 6, 7)" in finding.evidence
    assert "explain 10% of the variance" in finding.evidence and "explain 60%" in finding.evidence
    assert "Settings: beta=1." in finding.evidence
    assert str(finding) == f"posterior collapse (high): {finding.evidence} {finding.advice}"
    assert finding.as_dict()["title"] == "posterior collapse"
    symptoms, _ = FAULTY["a layer is empty"]
    assert "1 of 2 layers carry almost no information: top (0.001 nats a latent)" in judge(symptoms)[0].evidence


def test_advice_follows_the_cause():
    advice = {name: judge(symptoms)[-1].advice for name, (symptoms, _) in FAULTY.items()}
    assert advice["large scale"] == "Mend the decoder's variance first, as it causes this."
    assert "`kl_balancing=True`" in advice["a layer is empty"]
    assert "About 5 latents" in advice["latents to spare"]
    assert "is trained" in advice["learned scale that lags"] and "is trained" not in advice["small scale"]
