"""The use of codes by hand: a VQ-VAE whose codes are the pixels above ½."""

import math

import numpy as np

import zoo
from zoo.evaluation import Examples, code_terms, likelihood_figures


def images(*ones):
    """Images of 0.25, each with that many pixels of 0.75."""
    x = np.full((len(ones), 16), 0.25, "float32")
    for row, number in enumerate(ones):
        x[row, :number] = 0.75
    return x.reshape(-1, 4, 4, 1)


def test_counts_entropy_and_distortion(sign_vae):
    terms = code_terms(sign_vae, Examples(sign_vae, images(4, 0)))
    assert terms.counts.tolist() == [28, 4] and terms.usage == 1.0
    zero, one = -math.log(28 / 32), -math.log(4 / 32)
    np.testing.assert_allclose(terms.surprise, [(12 * zero + 4 * one) / 16, zero], rtol=1e-6)
    entropy = (28 * zero + 4 * one) / 32
    np.testing.assert_allclose(terms.perplexity, math.exp(entropy), rtol=1e-6)
    np.testing.assert_allclose(terms.distortion, 16 * 0.5 * math.log(2 * math.pi * 0.25), rtol=1e-5)
    assert terms.cross_entropy is None and terms.rate is None


def test_a_code_that_does_not_occur_lowers_the_usage(sign_vae):
    terms = code_terms(sign_vae, Examples(sign_vae, images(0)))
    assert terms.usage == 0.5 and terms.perplexity == 1.0
    np.testing.assert_allclose(terms.expected_usage, 1 - 0.5**16)


def test_the_cross_entropy_is_that_of_the_prior(sign_vae):
    sign_vae.prior = zoo.priors.PixelCNN(2, (4, 4), width=4, depth=1, kernel_size=3, seed=0)
    x = images(4, 0, 16)
    terms = code_terms(sign_vae, Examples(sign_vae, x))
    expected = -sign_vae.prior.log_prob(sign_vae.encode(x)).numpy()
    np.testing.assert_allclose(terms.rate, expected, rtol=1e-5)
    figures = {figure.name: figure for figure in likelihood_figures(sign_vae, x, split="train")}
    np.testing.assert_allclose(figures["code_cross_entropy"].value, expected.mean() / 16, rtol=1e-5)
    np.testing.assert_allclose(figures["code_cross_entropy"].error, expected.std(ddof=1) / 16 / math.sqrt(3), rtol=1e-4)
    np.testing.assert_allclose(figures["elbo"].value, sign_vae.log_prob(x).numpy().mean(), rtol=1e-5)
    assert figures["elbo"].split == "train" and figures["elbo"].seed is None


def test_without_a_prior_there_is_no_rate(sign_vae):
    names = [figure.name for figure in likelihood_figures(sign_vae, images(4, 0))]
    assert names == ["distortion", "codebook_usage", "perplexity", "code_entropy"]


def test_the_error_of_the_perplexity_is_that_of_the_entropy_times_its_slope(sign_vae):
    figures = {figure.name: figure for figure in likelihood_figures(sign_vae, images(4, 0))}
    zero, one = -math.log(28 / 32), -math.log(4 / 32)
    surprise = np.array([(12 * zero + 4 * one) / 16, zero])
    expected = math.exp(surprise.mean()) * surprise.std(ddof=1) / math.sqrt(2)
    np.testing.assert_allclose(figures["perplexity"].error, expected, rtol=1e-5)
