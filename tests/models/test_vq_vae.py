"""Which terms the VQ-VAE's loss has, by hand, and what moves the codebook in a step."""

import by_hand
import keras
import numpy as np
import pytest
from keras import layers

import zoo

SHAPE = (3, 3, 1)
DIM, CODES, SCALE = 2, 5, 0.25


def make(quantizer=None, **kwargs):
    """A model whose encoder takes each pixel to a vector, and whose decoder takes each vector to a pixel."""
    kwargs.setdefault("commitment_cost", 0.75)
    quantizer = quantizer or zoo.quantizers.VectorQuantizer(CODES, DIM, initialization="uniform", revival=0.0, seed=0)
    model = zoo.VQVAE(
        keras.Sequential([layers.Input(SHAPE), layers.Conv2D(quantizer.code_dim, 1)]),
        keras.Sequential([layers.Input((*SHAPE[:2], quantizer.code_dim)), layers.Conv2D(1, 1)]),
        quantizer,
        zoo.likelihoods.Gaussian(SCALE),
        **kwargs,
    )
    draw = np.random.default_rng(0)
    for weight in (*model.encoder.weights, *model.decoder.weights):
        weight.assign(draw.normal(0, 0.8, weight.shape))
    return model


def with_codebook(codebook, **kwargs):
    quantizer = zoo.quantizers.VectorQuantizer(
        CODES, DIM, codebook=codebook, initialization="uniform", revival=0.0, decay=0.9, seed=0
    )
    return make(quantizer, **kwargs)


def product(network, x):
    kernel, bias = network.get_weights()
    return x @ kernel[0, 0] + bias


def quantized(model, x):
    """The encoder's output, the codes, and the vectors of these: `[B,3,3,2]`, `[B,3,3]`, `[B,3,3,2]`."""
    z_e, embeddings = product(model.encoder, x), model.quantizer.embeddings.numpy()
    codes = np.argmin(np.sum((z_e[..., None, :] - embeddings) ** 2, axis=-1), axis=-1)
    return z_e, codes, embeddings[codes]


def worked_out(model, x):
    """−log p(x|z_q), and Σ‖z_e − e‖² over the grid: `[B]` each."""
    z_e, _, z_q = quantized(model, x)
    error = (x - 0.5 - product(model.decoder, z_q)) / SCALE
    reconstruction = np.sum(0.5 * (np.log(2 * np.pi * SCALE**2) + error**2), axis=(1, 2, 3))
    return reconstruction, np.sum((z_e - z_q) ** 2, axis=(1, 2, 3))


@pytest.mark.parametrize("cost", [0.75, 0.0])
@pytest.mark.parametrize("codebook, extra", [("ema", 0.0), ("gradient", 1.0)])
def test_the_loss_has_the_commitment_and_under_gradient_alone_the_codebook(codebook, extra, cost):
    model, x = with_codebook(codebook, commitment_cost=cost), by_hand.images(shape=SHAPE)
    terms = model.compute_terms(x)
    reconstruction, distance = worked_out(model, x)
    assert np.all(distance > 0.1)
    for name in ("codebook", "commitment"):  # reported without their weights
        np.testing.assert_allclose(terms[name], distance, rtol=1e-4)
    np.testing.assert_allclose(terms["reconstruction"], reconstruction, rtol=1e-4)
    np.testing.assert_allclose(terms["loss"], reconstruction + (extra + cost) * distance, rtol=1e-4)


def test_what_is_not_learned_costs_nothing():
    model, x = make(zoo.quantizers.FiniteScalarQuantizer((5, 4))), by_hand.images(shape=SHAPE)
    terms = model.compute_terms(x)
    np.testing.assert_array_equal(terms["loss"], terms["reconstruction"])


def test_the_residual_quantizer_pays_for_what_each_level_leaves_over():
    quantizer = zoo.quantizers.ResidualQuantizer(
        CODES, DIM, depth=2, codebook="gradient", initialization="uniform", revival=0.0, seed=0
    )
    model, x = make(quantizer), by_hand.images(shape=SHAPE)
    residual, paid = product(model.encoder, x), 0.0
    for level in quantizer.quantizers:
        embeddings = level.embeddings.numpy()
        residual = residual - embeddings[np.argmin(np.sum((residual[..., None, :] - embeddings) ** 2, -1), -1)]
        paid = paid + np.sum(residual**2, axis=(1, 2, 3))
    terms = model.compute_terms(x)
    np.testing.assert_allclose(terms["loss"], terms["reconstruction"] + 1.75 * paid, rtol=1e-4)


def step(model, x, learning_rate):
    """The embeddings before and after a step of gradient descent."""
    before = model.quantizer.embeddings.numpy()
    model.compile(keras.optimizers.SGD(learning_rate), run_eagerly=True)
    model.train_on_batch(x)
    return before, model.quantizer.embeddings.numpy()


def test_under_gradient_a_step_moves_the_codes_down_the_codebook_loss_alone():
    model, x = with_codebook("gradient"), by_hand.images(shape=SHAPE)
    z_e, codes, z_q = quantized(model, x)
    gradient = np.stack([np.sum(2 * (z_q - z_e)[codes == code], axis=0) for code in range(CODES)]) / len(x)
    assert np.ptp(gradient) > 0.1
    before, after = step(model, x, learning_rate=0.05)
    np.testing.assert_allclose(after, before - 0.05 * gradient, rtol=1e-4, atol=1e-6)
    model = with_codebook("gradient")
    np.testing.assert_array_equal(*step(model, x, learning_rate=0.0))


def test_under_ema_a_step_moves_the_codes_to_the_averages_whatever_the_learning_rate():
    x = by_hand.images(shape=SHAPE)
    moved = []
    for learning_rate in (0.0, 0.05):
        model = with_codebook("ema")
        z_e, codes, _ = quantized(model, x)
        share = codes.size / CODES  # what the averages start from, at the codes as they are
        numbers = np.bincount(codes.ravel(), minlength=CODES)
        sums = np.stack([z_e[codes == code].sum(axis=0) for code in range(CODES)])
        before, after = step(model, x, learning_rate)
        wanted = (0.9 * share * before + 0.1 * sums) / (0.9 * share + 0.1 * numbers)[:, None]
        assert np.ptp(after - before) > 0.01
        np.testing.assert_allclose(after, wanted, rtol=1e-4, atol=1e-6)
        moved.append(after)
    np.testing.assert_allclose(*moved, rtol=1e-6)


def test_images_of_other_sizes_are_taken_by_methods_but_not_in_training():
    model, x = with_codebook("ema"), np.random.default_rng(0).random((2, 4, 7, 1), np.float32)
    _, codes, z_q = quantized(model, x)
    np.testing.assert_array_equal(model.encode(x), codes)
    np.testing.assert_allclose(model.reconstruct(x), np.clip(0.5 + product(model.decoder, z_q), 0, 1), atol=1e-6)
    assert model.image_shape == SHAPE
    model.compile("sgd")
    with pytest.raises(ValueError, match=r"Expected `x` to have the shape \[B, 3, 3, 1\]"):
        model.fit(x, verbose=0)


def test_a_quantizer_that_is_exchanged_is_counted_and_fits_the_prior():
    encoder = zoo.networks.residual_encoder((8, 8, 1), 4, 8, 1, 0)
    decoder = zoo.networks.residual_decoder((4, 4, 4), 1, 8, 1, 0)
    model = zoo.VQVAE(encoder, decoder, zoo.quantizers.VectorQuantizer(16, 4))
    model.compile("adam")
    x = np.random.default_rng(0).random((8, 8, 8, 1), np.float32)
    model.fit(x, verbose=0)
    model.quantizer = zoo.quantizers.VectorQuantizer(2, 4)
    assert model.num_codes == 2
    assert model.evaluate(x, verbose=0, return_dict=True)["codebook_usage"] in (0.5, 1.0)
    model.prior = zoo.priors.Transformer(2, (4, 4), width=8, depth=1, heads=1)
    with pytest.raises(ValueError, match="Expected `prior` to be over the quantizer's 8 codes"):
        model.quantizer = zoo.quantizers.VectorQuantizer(8, 4)
    assert model.num_codes == 2


@pytest.mark.parametrize("lacks", ["codebook", "z_q"])
def test_a_quantizer_that_gives_too_little_is_named(lacks):
    class Own(zoo.quantizers.VectorQuantizer):
        def call(self, z_e, training=False):
            return {name: value for name, value in super().call(z_e, training).items() if name != lacks}

    encoder = zoo.networks.residual_encoder((8, 8, 1), 4, 8, 1, 0)
    decoder = zoo.networks.residual_decoder((4, 4, 4), 1, 8, 1, 0)
    model = zoo.VQVAE(encoder, decoder, Own(16, 4))
    with pytest.raises(ValueError, match="Expected `quantizer` to be one that gives a dict of z_q, codes, codebook, c"):
        model.reconstruct(np.zeros((2, 8, 8, 1), np.float32))


def test_an_example_of_weight_zero_counts_in_no_figure_of_the_codes():
    model, x = make(), np.random.default_rng(3).uniform(size=(8, *SHAPE)).astype("float32")
    model.quantizer.embeddings.assign(product(model.encoder, np.linspace(0, 1, CODES).reshape(CODES, 1)))
    x[0] = 0.0
    assert len(np.unique(model.encode(x))) > len(np.unique(model.encode(x[:1])))
    model.compile("adam")
    weights = np.repeat(np.float32([1, 0]), [1, 7])
    weighted = model.evaluate(x, sample_weight=weights, verbose=0, return_dict=True)
    alone = model.evaluate(x[:1], verbose=0, return_dict=True)
    for name in ("perplexity", "codebook_usage"):
        assert weighted[name] == pytest.approx(alone[name], rel=1e-5)
