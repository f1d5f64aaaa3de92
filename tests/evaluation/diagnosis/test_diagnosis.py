"""Diagnoses of small models; `benchmarks/diagnosis.py` trains one for each fault, and healthy ones."""

import re

import numpy as np
import pytest
import tensorflow as tf

import zoo
from zoo.evaluation import diagnose
from zoo.evaluation.diagnosis import diagnosis

X = np.random.default_rng(0).uniform(size=(256, 4, 4, 1)).astype("float32")
DIRECTIONS = np.linalg.qr(np.random.default_rng(1).normal(size=(16, 4)))[0].astype("float32")


def optimal(linear_vae, weight=1.0, scale=0.1, latents=4, **kwargs):
    """A linear VAE of four factors of ¼ ± each, with the posterior that is optimal for a KL weight; and its data."""
    draw = np.random.default_rng(2)
    factors = draw.normal(size=(600, 4))
    loadings = 0.5 * DIRECTIONS.T
    x = 0.5 + factors @ loadings + scale * draw.normal(size=(600, 16))
    variance = 1.0 / (1.0 + 0.25 / (scale**2 * weight))
    projection = DIRECTIONS * 0.5 * variance / (scale**2 * weight)
    extra = latents - 4
    projection = np.hstack([projection, np.zeros((16, extra))])
    log_var = np.append(np.full(4, np.log(variance)), np.zeros(extra))
    loadings = np.vstack([loadings, np.zeros((extra, 16))])
    likelihood = zoo.likelihoods.Gaussian(kwargs.pop("sigma", scale), range=None)
    model = linear_vae(projection, log_var, loadings, 0.5, likelihood=likelihood, **kwargs)
    return model, x.astype("float32").reshape(-1, 4, 4, 1)


def names(model, x, **kwargs):
    return [finding.fault for finding in diagnose(model, x, **kwargs)]


def test_equal_examples_and_models_of_missing_parts_are_refused(linear_vae):
    model, x = optimal(linear_vae)
    with pytest.raises(ValueError, match="Expected `data` to be examples that differ.* Received: data='30 equal ones'"):
        diagnose(model, np.repeat(x[:1], 30, axis=0))
    encoder, decoder = zoo.networks.mlp_encoder((4, 4, 2), 2, ()), zoo.networks.mlp_decoder((4, 4, 1), 34, ())
    with pytest.raises(ValueError, match="Expected `model` to be one that is trained to judge whole examples"):
        diagnose(zoo.VAEAC(encoder, decoder), X)


def test_examples_may_be_tensors(linear_vae):
    model, x = optimal(linear_vae)
    assert names(model, tf.constant(x[:100])) == names(model, x[:100])


def test_the_noise_of_a_denoisers_input_is_no_fault():
    model = zoo.VAE(zoo.networks.mlp_encoder((4, 4, 1), 2, ()), zoo.networks.mlp_decoder((4, 4, 1), 2, ()))
    model.compile("sgd")
    noisy = X + np.random.default_rng(1).normal(size=X.shape).astype("float32")
    assert names(model, noisy) == ["data_range"]
    model.fit(noisy, X, verbose=0)
    assert "data_range" not in names(model, noisy)


def test_the_true_model_is_healthy(linear_vae):
    model, x = optimal(linear_vae)
    assert names(model, x[:300], validation=x[300:]) == []


def test_a_high_weight_is_found_and_its_size_named(linear_vae):
    model, x = optimal(linear_vae, weight=100.0)
    finding = diagnose(model, x)[0]
    assert finding.fault == "kl_weight_high"
    assert 80 < float(re.search(r"a KL weight of (\S+)", finding.evidence)[1]) < 125


def test_latents_that_are_not_used_are_found(linear_vae):
    model, x = optimal(linear_vae, latents=8)
    (finding,) = diagnose(model, x)
    assert finding.fault == "too_many_latents" and "4 of 8 latents are inactive (4, 5, 6, 7)" in finding.evidence


def test_a_wrong_scale_is_found(linear_vae):
    model, x = optimal(linear_vae, sigma=0.02)
    assert "decoder_variance" in names(model, x)


def test_a_dead_encoder_has_collapsed(linear_vae):
    model = linear_vae(np.zeros((16, 2)), np.zeros(2), np.zeros((2, 16)), 0.5)
    model.likelihood = zoo.likelihoods.Gaussian(0.3, range=None)
    assert names(model, X) == ["posterior_collapse"]


def test_a_code_that_is_never_used_is_found(sign_vae):
    assert names(sign_vae, np.full((50, 4, 4, 1), 0.75, "float32")) == ["unused_codes"]
    assert names(sign_vae, X, validation=X) == []


def test_data_out_of_range_are_found_before_anything_is_computed(hierarchical):
    (finding,) = diagnose(hierarchical, 255.0 * X)
    assert finding.fault == "data_range" and "Divide them by 255" in finding.advice
    assert diagnose(hierarchical, np.uint8(255.0 * X))[0].fault != "data_range"


def test_labels_are_required_of_a_conditional_model():
    encoder = zoo.networks.mlp_encoder((4, 4, 1 + 3), 2, hidden=())
    model = zoo.CVAE(encoder, zoo.networks.mlp_decoder((4, 4, 1), 2 + 3, hidden=()), num_classes=3)
    with pytest.raises(ValueError, match="Expected `labels`, as CVAE is conditional. Received: None"):
        diagnose(model, X)
    for label in (-1, 3):
        with pytest.raises(ValueError, match=f"Expected `labels` to be from 0 to 2. Received: labels={label}"):
            diagnose(model, X, labels=np.full(256, label, "int32"))
    assert isinstance(diagnose(model, X, labels=np.zeros(256, "int32")), list)


def test_a_few_examples_are_refused(linear_vae):
    model, x = optimal(linear_vae)
    with pytest.raises(ValueError, match="Expected `data` to be at least 20 examples.*Received: data=19"):
        diagnose(model, x[:19])
    with pytest.raises(ValueError, match="Expected `validation` to be at least 20 examples.*Received: validation=1"):
        diagnose(model, x, x[:1])


def test_labels_of_the_validation_images_and_the_seed_are_passed_on(monkeypatch):
    networks = (make((4, 4, size), latents, hidden=()) for make, size, latents in _MAKERS)
    model = zoo.CVAE(*networks, num_classes=3)
    given, own = [], diagnosis.measure
    monkeypatch.setattr(diagnosis, "measure", lambda *args: (given.append(args), own(*args))[1])
    diagnose(model, X[:156], X[156:], np.zeros(156, "int32"), np.ones(100, "int32"), seed=7)
    ((_, examples, held_out, seed),) = given
    assert seed == 7 and set(examples.labels) == {0} and set(held_out.labels) == {1}


_MAKERS = ((zoo.networks.mlp_encoder, 1 + 3, 2), (zoo.networks.mlp_decoder, 1, 2 + 3))
