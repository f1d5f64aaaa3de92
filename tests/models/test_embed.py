"""`embed` and `decode_embedding`: shapes and types, sources of batches, and what they refuse."""

import by_hand
import numpy as np
import pytest
import tensorflow as tf

import zoo
from zoo import networks

SHAPE = (8, 8, 1)
X = np.random.default_rng(0).uniform(size=(10, *SHAPE)).astype("float32")


def vae():
    return zoo.VAE(networks.mlp_encoder(SHAPE, 3, (8,)), networks.mlp_decoder(SHAPE, 3, (8,)))


def hierarchical():
    decoder = networks.TopDown(SHAPE, scales=(4, 2), layers=(1, 1), latent_dim=(2, 3), width=4, hidden=4)
    return zoo.HierarchicalVAE(networks.bottom_up_encoder(SHAPE, (4, 2), 4, 4, blocks=1), decoder)


def vq_vae():
    encoder, decoder = networks.residual_encoder(SHAPE, 5, 8, blocks=1), networks.residual_decoder((2, 2, 5), 1, 8)
    return zoo.VQVAE(encoder, decoder, zoo.quantizers.VectorQuantizer(12, 5, initialization="uniform"))


# A scale divides the image's side: 4 and 2 are grids of 2×2 and 4×4.
SIZES = {vae: 3, hierarchical: 2 * 2 * 2 + 4 * 4 * 3, vq_vae: 2 * 2 * 5}


@pytest.fixture(params=SIZES, ids=lambda make: make.__name__, scope="module")
def case(request):
    return request.param(), SIZES[request.param]


def test_one_vector_an_example_and_back_to_the_reconstruction(case):
    model, size = case
    e = model.embed(X)
    assert e.shape == (10, size) and e.dtype == tf.float32 and model.embedding_dim == size
    np.testing.assert_allclose(model.decode_embedding(e), model.reconstruct(X), atol=1e-6)
    np.testing.assert_allclose(model.decode_embedding(e.numpy().astype("float64")), model.reconstruct(X), atol=1e-6)


def test_batches_and_datasets_give_what_one_array_does(case):
    model, _ = case
    e = model.embed(X)
    dataset = tf.data.Dataset.from_tensor_slices(X).batch(4)
    np.testing.assert_allclose(model.embed(X, batch_size=3), e, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(model.embed(dataset), e, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(model.decode_embedding(e, batch_size=3), model.reconstruct(X), atol=1e-6)
    traced = tf.function(lambda x: model.decode_embedding(model.embed(x)), autograph=False)
    np.testing.assert_allclose(traced(tf.constant(X)), model.reconstruct(X), atol=1e-6)


def test_what_is_no_embedding_is_refused_by_name(case):
    model, size = case
    e = model.embed(X).numpy()
    with pytest.raises(
        ValueError, match=rf"Expected `e` to have the shape \[B, {size}\]. Received: shape \(10, {size + 1}\)"
    ):
        model.decode_embedding(np.zeros((10, size + 1), "float32"))
    with pytest.raises(ValueError, match=rf"Expected `e` to have the shape \[B, {size}\].*lacks the axis of the batch"):
        model.decode_embedding(e[0])
    with pytest.raises(ValueError, match="Expected `e` to be floating-point. Received: dtype=int32"):
        model.decode_embedding(e.astype("int32"))
    with pytest.raises(ValueError, match="Expected `e` to be finite numbers.* the first in row 4"):
        model.decode_embedding(np.where(np.arange(10)[:, None] == 4, np.nan, e))
    with pytest.raises(ValueError, match="Expected `x` to be finite numbers"):
        model.embed(np.where(np.arange(10)[:, None, None, None] == 4, np.nan, X))
    with pytest.raises(ValueError, match=r"Expected `x` to have the shape \[B, 8, 8, 1\]"):
        model.embed(X[:, :4])
    with pytest.raises(ValueError, match="Expected no `labels`"):
        model.embed(X, labels=np.zeros(10, "int32"))


def test_the_embedding_of_a_vae_is_the_posterior_mean_by_hand():
    model = by_hand.shaken(zoo.VAE(*by_hand.networks()))
    x = by_hand.images(5)
    np.testing.assert_allclose(model.embed(x), by_hand.posterior(model, x)[0], rtol=1e-5, atol=1e-6)


def test_the_embedding_of_a_hierarchical_vae_is_the_means_behind_one_another_top_first():
    model = hierarchical()
    means = [np.reshape(layer["mean"], (10, -1)) for layer in model.encode(X)]
    np.testing.assert_allclose(model.embed(X), np.concatenate(means, axis=1), atol=1e-6)


def test_the_embedding_of_a_vq_vae_is_the_encoders_output_and_is_quantised_on_its_way_back():
    model = vq_vae()
    z_e = np.array(model.encoder(X))
    np.testing.assert_allclose(model.embed(X), z_e.reshape(10, -1), atol=1e-6)
    nearest = model.quantizer.lookup(model.encode(X)).numpy().reshape(10, -1)
    np.testing.assert_allclose(model.decode_embedding(nearest), model.reconstruct(X), atol=1e-6)
