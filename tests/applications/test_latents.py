"""The ranking of latents by KL, and samples of the prior as embeddings."""

import numpy as np
import pytest
import tiny_models

import zoo
from zoo.applications import latent_statistics
from zoo.applications._latents import prior_embeddings

X = np.random.default_rng(0).uniform(size=(20, 4, 4, 1)).astype("float32")


def test_the_kl_to_a_standard_normal_prior_is_the_closed_form():
    model = tiny_models.vae(latents=3)
    mean, log_var = (np.asarray(model.encode(X)[name], np.float64) for name in ("mean", "log_var"))
    kl = ((mean**2 + np.exp(log_var) - 1 - log_var) / 2).mean(axis=0)
    found = latent_statistics(model, X)
    np.testing.assert_allclose(found.kl, kl, rtol=1e-4)
    np.testing.assert_array_equal(found.order, np.argsort(-kl))
    np.testing.assert_allclose(found.mean, mean.mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(found.std**2, mean.var(axis=0) + np.exp(log_var).mean(axis=0), rtol=1e-4)


def test_another_prior_gives_the_kl_to_the_normal_with_the_moments_of_the_latents():
    """The mean over x of KL( N(m, v) ‖ N(M, S) ), with M and S the moments of all, worked out term by term."""
    model = tiny_models.vae(latents=3, prior=zoo.priors.MixtureOfGaussians(3, 2, seed=0))
    mean, log_var = (np.asarray(model.encode(X)[name], np.float64) for name in ("mean", "log_var"))
    centre, size = mean.mean(axis=0), mean.var(axis=0) + np.exp(log_var).mean(axis=0)
    kls = (np.log(size) - log_var + (np.exp(log_var) + (mean - centre) ** 2) / size - 1) / 2
    np.testing.assert_allclose(latent_statistics(model, X).kl, kls.mean(axis=0), rtol=1e-4)


def test_all_layers_of_a_hierarchical_vae_are_ranked_together():
    found = latent_statistics(tiny_models.hierarchical_vae(), X)
    assert found.order.shape == found.kl.shape == found.std.shape == (2 * 4 + 2,)
    assert sorted(found.order) == list(range(10)) and (np.diff(found.kl[found.order]) <= 0).all()


def test_a_vq_vae_is_ranked_by_standard_deviations():
    model = tiny_models.vq_vae()
    found = latent_statistics(model, X)
    std = np.asarray(model.embed(X)).std(axis=0)
    assert found.kl is None and found.order[0] == std.argmax() and found.order[-1] == std.argmin()


def test_codes_of_one_example_have_no_spread():
    for images in (X[:1], X[[3, 3]]):
        with pytest.raises(ValueError, match="Expected `images` to be two different examples at least"):
            latent_statistics(tiny_models.vq_vae(), images)


@pytest.mark.parametrize("make", [tiny_models.vae, tiny_models.hierarchical_vae])
def test_decoded_embeddings_of_the_prior_are_the_samples_of_the_model(make):
    model = make()
    embedded = prior_embeddings(model, 3, seed=5, temperature=0.7)
    assert embedded.shape == (3, model.embedding_dim)
    np.testing.assert_allclose(model.decode_embedding(embedded), model.sample(3, seed=5, temperature=0.7), atol=1e-6)


def test_codes_of_a_prior_become_their_vectors():
    model = tiny_models.vq_vae(zoo.quantizers.VectorQuantizer(16, 3, seed=0))  # one of its own
    model.prior = zoo.priors.Transformer(16, (2, 2), width=8, depth=1, heads=1)
    embedded = prior_embeddings(model, 3, seed=5)
    np.testing.assert_allclose(model.decode_embedding(embedded), model.sample(3, seed=5), atol=1e-5)


def test_a_vq_vae_without_a_prior_is_refused():
    with pytest.raises(ValueError, match="Expected a model that can sample. Received: a VQVAE without a prior"):
        prior_embeddings(tiny_models.vq_vae(), 3)
