"""Methods on arrays: compiled once, in batches of any size, and the same whatever these are."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

import zoo
from zoo import networks
from zoo.runtime import cores

SHAPE = (8, 8, 1)
X = np.random.default_rng(0).uniform(size=(21, *SHAPE)).astype("float32")
LABELS = (np.arange(21) % 4).astype("int32")


@functools.cache
def make(name):
    if name == "vae":
        return zoo.VAE(networks.mlp_encoder(SHAPE, 3, hidden=(8,)), networks.mlp_decoder(SHAPE, 3, hidden=(8,)), seed=0)
    if name == "cvae":
        encoder, decoder = networks.mlp_encoder((8, 8, 5), 3, hidden=(8,)), networks.mlp_decoder(SHAPE, 7, hidden=(8,))
        return zoo.CVAE(encoder, decoder, num_classes=4, seed=0)
    if name == "hierarchical_vae":
        decoder = zoo.networks.TopDown(SHAPE, (4, 2), 1, 2, 4, 4)
        return zoo.HierarchicalVAE(networks.bottom_up_encoder(SHAPE, (4, 2), 4, 4, 1), decoder, seed=0)
    return zoo.VQVAE(
        networks.residual_encoder(SHAPE, 4, 4, blocks=0), networks.residual_decoder((2, 2, 4), 1, 4, blocks=0),
        zoo.quantizers.VectorQuantizer(6, 4, initialization="uniform", seed=0),
        prior=zoo.priors.Transformer(6, (2, 2), width=4, depth=1, heads=2),
    )  # fmt: skip


NAMES = ("vae", "cvae", "hierarchical_vae", "vq_vae")


def labels(name):
    return (LABELS,) if name == "cvae" else ()


def assert_close(one, other):
    for a, b in zip(keras.tree.flatten(one), keras.tree.flatten(other), strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_batches_of_any_size_and_datasets_give_the_same(name):
    model, given = make(name), labels(name)
    keyword = {"labels": LABELS} if given else {}
    data = tf.data.Dataset.from_tensor_slices((X, *given) if given else X).batch(5)
    latents = model.encode(X, *given)
    z = latents
    if not isinstance(latents, tf.Tensor):
        z = [layer["mean"] for layer in latents] if isinstance(latents, list) else latents["mean"]
    calls = {
        "encode": lambda **how: model.encode(X, *given, **how),
        "reconstruct": lambda **how: model.reconstruct(X, *given, **how),
        "decode": lambda **how: model.decode(z, *given, **how),
        "log_prob": lambda **how: model.log_prob(X, 3, seed=7, **keyword, **how),
        "sample": lambda **how: model.sample(21, seed=7, **keyword, **how),
    }
    for call in calls.values():
        whole = call()
        for size in (1, 4, 21, 100):
            assert_close(call(batch_size=size), whole)
        with pytest.raises(ValueError, match="Expected `batch_size` to be an integer >= 1. Received: batch_size=0"):
            call(batch_size=0)
    assert_close(model.encode(data), latents)
    assert_close(model.reconstruct(data), calls["reconstruct"]())
    assert_close(model.log_prob(data, 3, seed=7), calls["log_prob"]())
    e = model.embed(X, *given)
    for method, values in ((model.decode, tuple(z) if isinstance(z, list) else z), (model.decode_embedding, e)):
        source = tf.data.Dataset.from_tensor_slices((values, *given) if given else values).batch(5)
        assert_close(method(source), method(values, *given))


class Batches(keras.utils.PyDataset):
    def __len__(self):
        return 5

    def __getitem__(self, number):
        rows = slice(5 * number, 5 * number + 5)
        return X[rows], LABELS[rows]


def test_batches_may_come_from_python():
    model = make("cvae")
    expected = model.encode(X, LABELS)
    assert_close(model.encode(Batches()), expected)
    assert_close(model.encode(Batches()[number] for number in range(5)), expected)


@pytest.mark.parametrize("name", NAMES)
def test_they_are_traced_once_for_any_number_of_rows_and_plain_within_a_graph(name):
    model, given = make(name), labels(name)
    model.functions.clear()
    for number in (3, 1, 21):
        model.encode(X[:number], *(each[:number] for each in given))
    assert len(model.functions) == 1
    inside = tf.function(lambda x: model.reconstruct(x, *given), autograph=False)(tf.constant(X))
    assert len(model.functions) == 1
    assert_close(inside, model.reconstruct(X, *given))


def test_a_setting_has_a_graph_of_its_own_and_so_have_parts():
    model = make("vae")
    model.functions.clear()
    one, two = model.log_prob(X, 1, seed=0), model.log_prob(X, 2, seed=0)
    assert len(model.functions) == 2 and np.abs(one - two).max() > 1e-4
    with cores.sub_batches(2):
        np.testing.assert_allclose(model.log_prob(X, 2, seed=0), two, rtol=1e-5)
    assert len(model.functions) == 3


def test_a_network_that_is_changed_within_is_the_one_that_is_used():
    decoder = keras.Sequential([keras.Input((2,)), keras.layers.Dense(64), keras.layers.Reshape((8, 8, 1))])
    model = zoo.VAE(zoo.networks.mlp_encoder((8, 8, 1), 2, ()), decoder)
    x = np.random.default_rng(0).random((3, 8, 8, 1), np.float32)

    def agree(before):
        now = model.reconstruct(x)
        np.testing.assert_allclose(now, model.predict(x, verbose=0), rtol=1e-5, atol=1e-6)
        assert np.abs(now - before).max() > 1e-3
        return now

    before = model.reconstruct(x)
    for _ in range(2):
        decoder.pop()
    decoder.add(keras.layers.Dense(64))
    decoder.add(keras.layers.Reshape((8, 8, 1)))
    before = agree(before)
    decoder.add(keras.layers.Rescaling(-3.0))
    before = agree(before)
    decoder.layers[0].enable_lora(2)
    decoder.layers[0].lora_kernel_b.assign(keras.ops.ones_like(decoder.layers[0].lora_kernel_b))
    agree(before)


def test_an_exchanged_prior_is_the_one_that_is_used():
    model = make("vq_vae")
    first = model.sample(8, seed=3).numpy(), model.log_prob(X).numpy()
    before, model.prior = model.prior, zoo.priors.Transformer(6, (2, 2), width=4, depth=1, heads=2)
    for weight in model.prior.weights:
        weight.assign(weight + 0.5 * keras.random.normal(weight.shape, seed=1))
    second = model.sample(8, seed=3).numpy(), model.log_prob(X).numpy()
    assert np.abs(first[1] - second[1]).max() > 1e-3
    model.prior = before
    np.testing.assert_array_equal(model.sample(8, seed=3), first[0])


def test_weights_that_change_count_at_once():
    model = make("vae")
    before = model.encode(X)["mean"].numpy()
    weight = model.encoder.weights[-1]
    weight.assign_add(np.ones(weight.shape))
    np.testing.assert_allclose(model.encode(X)["mean"], before + 1, rtol=1e-5, atol=1e-5)
    weight.assign_sub(np.ones(weight.shape))


def test_gradients_pass_through_them():
    model = make("vae")
    z = tf.Variable(np.random.default_rng(0).normal(size=(9, 3)).astype("float32"))
    for size in (None, 4):
        with tf.GradientTape() as tape:
            brightness = tf.reduce_sum(model.decode(z, batch_size=size))
        gradient = tape.gradient(brightness, z).numpy()
        moved = model.decode(z + gradient)
        assert tf.reduce_sum(moved) > brightness and np.abs(gradient).max() > 0


def test_the_number_of_rows_at_once_follows_their_size(monkeypatch):
    model = make("vae")
    model.functions.clear()
    model.encode(X)
    ((key, function),) = model.functions.items()
    counted = []
    model.functions[key] = lambda rows: counted.append(len(rows)) or function(rows)
    model.encode(np.repeat(X, 20, 0))
    assert counted == [128, 128, 128, 36]
    monkeypatch.setattr(zoo.fitting.batched, "_MOST_VALUES", 64 * 50)
    counted.clear()
    model.encode(np.repeat(X, 5, 0))
    assert counted == [50, 50, 5]
    model.functions.clear()
    latents = np.zeros((105, 3), "float32")
    model.decode(latents)  # small, but not what comes of them
    ((key, of_latents),) = model.functions.items()
    model.functions[key] = lambda rows: counted.append(len(rows)) or of_latents(rows)
    counted.clear()
    model.decode(latents)
    assert counted == [50, 50, 5]


def test_arrays_of_different_numbers_of_rows_are_refused():
    with pytest.raises(ValueError, match=r"Expected `labels` to be int32 of shape \[21\]. Received: shape \(20,\)"):
        make("cvae").encode(X, LABELS[:20])
    with pytest.raises(ValueError, match="Expected a dataset of at least one batch. Received: an empty one"):
        make("vae").encode(tf.data.Dataset.from_tensor_slices(X[:0]).batch(2))
