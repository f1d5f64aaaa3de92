"""Vector quantisation against steps written out in numpy."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from quantizers import normal, run_on_two_replicas

from zoo.quantizers import VectorQuantizer
from zoo.quantizers.vector import rotation_trick


def with_codebook(embeddings, counts=None, **kwargs):
    """A quantizer past its initialisation, its moving averages in accord with `embeddings`."""
    num_codes, code_dim = embeddings.shape
    layer = VectorQuantizer(num_codes, code_dim, **{"revival": 0.0, "seed": 0, **kwargs})
    counts = np.ones(num_codes, "float32") if counts is None else np.asarray(counts, "float32")
    layer.embeddings.assign(embeddings)
    layer.counts.assign(counts)
    layer.sums.assign(embeddings * counts[:, None])
    layer.updates.assign(1)
    return layer


def nearest(vectors, embeddings):
    return ((vectors[..., None, :] - embeddings) ** 2).sum(-1).argmin(-1)


def rows_of(vectors, table):
    """Whether each of `vectors` is a row of `table`, bit for bit."""
    return [(table == vector).all(axis=1).any() for vector in vectors]


# Forwards.


@pytest.mark.parametrize("shape", [(5,), (2, 3), (2, 3, 4)])
def test_codes_are_those_of_the_nearest_vectors(shape):
    embeddings, z_e = normal(16, 4), normal(*shape, 4, seed=1)
    quantized = with_codebook(embeddings)(z_e)
    expected = nearest(z_e, embeddings)
    assert len(np.unique(expected)) > 3
    assert quantized["codes"].dtype == tf.int32
    np.testing.assert_array_equal(quantized["codes"], expected)
    np.testing.assert_allclose(quantized["z_q"], embeddings[expected], rtol=1e-5, atol=1e-6)


def test_distances_are_those_from_every_code():
    embeddings, z_e = normal(16, 4), normal(2, 3, 4, seed=1)
    expected = np.square(z_e[..., None, :] - embeddings).sum(axis=-1)
    np.testing.assert_allclose(with_codebook(embeddings).distances(z_e), expected, rtol=1e-4, atol=1e-5)


def test_codebook_and_commitment_are_squared_distances_summed_over_positions():
    embeddings = np.array([[0.0, 0.0], [4.0, 0.0]], "float32")
    z_e = np.array([[[1.0, 1.0], [3.0, 0.0]], [[0.0, 0.0], [0.0, -2.0]]], "float32")
    quantized = with_codebook(embeddings)(z_e)
    assert quantized["codes"].numpy().tolist() == [[0, 1], [0, 0]]
    np.testing.assert_allclose(quantized["codebook"], [3.0, 4.0])  # 1 + 1 + 1, and 0 + 4
    np.testing.assert_allclose(quantized["commitment"], [3.0, 4.0])


def test_lookup_gives_the_vectors_of_codes():
    embeddings, z_e = normal(8, 3), normal(2, 4, 3, seed=1)
    layer = with_codebook(embeddings)
    quantized = layer(z_e)
    vectors = layer.lookup(quantized["codes"])
    assert vectors.shape == (2, 4, 3)
    np.testing.assert_array_equal(vectors, embeddings[nearest(z_e, embeddings)])
    np.testing.assert_allclose(quantized["z_q"], vectors, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(layer(layer.lookup(tf.range(8)))["codes"], np.arange(8))


def test_nothing_moves_outside_training():
    layer = VectorQuantizer(8, 3, seed=0)
    before = [weight.numpy() for weight in layer.weights]
    layer(normal(2, 4, 3))
    for weight, value in zip(layer.weights, before):
        np.testing.assert_array_equal(weight, value)


# Backwards.


def test_straight_through_passes_the_gradient_on_unchanged():
    z_e, upstream = tf.constant(normal(2, 5, 4, seed=1)), normal(2, 5, 4, seed=2)
    layer = with_codebook(normal(6, 4))
    with tf.GradientTape() as tape:
        tape.watch(z_e)
        loss = tf.reduce_sum(layer(z_e)["z_q"] * upstream)
    np.testing.assert_allclose(tape.gradient(loss, z_e), upstream, rtol=1e-6)


def rotation_matrix(e, q):
    """λ (I − 2 r rᵀ + 2 q̂ êᵀ), in float64."""
    e, q = e.astype("float64"), q.astype("float64")
    unit_e, unit_q = e / np.linalg.norm(e), q / np.linalg.norm(q)
    r = (unit_e + unit_q) / np.linalg.norm(unit_e + unit_q)
    scale = np.linalg.norm(q) / np.linalg.norm(e)
    return scale * (np.eye(len(e)) - 2 * np.outer(r, r) + 2 * np.outer(unit_q, unit_e))


def test_the_rotation_matrix_is_a_scaled_rotation_that_takes_the_input_to_its_code():
    e, q = normal(4, seed=1), normal(4, seed=2)
    matrix, scale = rotation_matrix(e, q), np.linalg.norm(q) / np.linalg.norm(e)
    np.testing.assert_allclose(matrix @ e, q, rtol=1e-5)
    np.testing.assert_allclose(matrix.T @ matrix, scale**2 * np.eye(4), atol=1e-5)
    np.testing.assert_allclose(np.linalg.det(matrix / scale), 1.0, rtol=1e-5)


def test_the_rotation_trick_gives_the_code_forwards_and_turns_the_gradient_backwards():
    z_e, upstream = tf.constant(normal(2, 3, 4, seed=1)), normal(2, 3, 4, seed=2)
    embeddings = normal(6, 4)
    layer = with_codebook(embeddings, gradient="rotation")
    with tf.GradientTape() as tape:
        tape.watch(z_e)
        quantized = layer(z_e)
        loss = tf.reduce_sum(quantized["z_q"] * upstream)
    codes = nearest(z_e.numpy(), embeddings)
    np.testing.assert_allclose(quantized["z_q"], embeddings[codes], rtol=1e-4, atol=1e-4)
    gradient = tape.gradient(loss, z_e).numpy()
    for b, i in np.ndindex(2, 3):
        expected = rotation_matrix(z_e[b, i].numpy(), embeddings[codes[b, i]]).T @ upstream[b, i]
        np.testing.assert_allclose(gradient[b, i], expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("z_e", [[1e-4, -2e-4], [0.0, 0.0], [-3.0, -4.0], [3.0, 4.0], [30.0, -40.0]])
def test_the_rotation_trick_gives_the_code_whatever_the_input(z_e):
    """Tiny, nought, opposite to its code, along it, at a right angle to it."""
    z_e, z_q = tf.constant([z_e]), tf.constant([[0.3, 0.4]])
    with tf.GradientTape() as tape:
        tape.watch(z_e)
        turned = rotation_trick(z_e, z_q)
    np.testing.assert_allclose(turned, z_q, rtol=1e-3)
    assert np.isfinite(tape.gradient(turned, z_e)).all()


@pytest.mark.parametrize("gradient", ["straight_through", "rotation"])
def test_the_commitment_moves_the_encoder_alone_and_the_codebook_loss_the_codes_alone(gradient):
    embeddings = np.array([[0.0, 1.0], [4.0, 0.0], [9.0, 9.0]], "float32")
    z_e = tf.constant([[[1.0, 1.0], [3.0, 0.0]]])
    layer = with_codebook(embeddings, codebook="gradient", gradient=gradient)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(z_e)
        quantized = layer(z_e, training=True)
    variable = layer.embeddings.value
    assert tape.gradient(quantized["commitment"], variable) is None
    assert tape.gradient(quantized["codebook"], z_e) is None
    assert tape.gradient(quantized["z_q"], variable) is None
    # 2 (z_e − e), and 2 (e − z_e).
    np.testing.assert_allclose(tape.gradient(quantized["commitment"], z_e), [[[2.0, 0.0], [-2.0, 0.0]]])
    by_code = tf.convert_to_tensor(tape.gradient(quantized["codebook"], variable))
    np.testing.assert_allclose(by_code, [[-2.0, 0.0], [2.0, 0.0], [0.0, 0.0]])


@pytest.mark.parametrize(("codebook", "trainable"), [("ema", False), ("gradient", True)])
def test_the_codebook_is_trainable_only_where_a_gradient_moves_it(codebook, trainable):
    layer = VectorQuantizer(4, 2, codebook=codebook)
    assert [weight is layer.embeddings for weight in layer.trainable_weights] == [True] * trainable
    assert len(layer.weights) == 4


# Moving averages.


def test_ema_moves_counts_sums_and_codes_as_written_out():
    embeddings, counts, decay = normal(5, 3), np.array([3.0, 1.0, 2.0, 4.0, 0.5], "float32"), 0.8
    layer = with_codebook(embeddings, counts, decay=decay)
    sums = embeddings * counts[:, None]
    for step in range(3):
        vectors = normal(12, 3, seed=10 + step)
        codes = layer(vectors.reshape(3, 4, 3), training=True)["codes"].numpy().ravel()
        np.testing.assert_array_equal(codes, nearest(vectors, embeddings))
        for k in range(5):
            counts[k] = decay * counts[k] + (1 - decay) * (codes == k).sum()
            sums[k] = decay * sums[k] + (1 - decay) * vectors[codes == k].sum(axis=0)
        embeddings = sums / counts[:, None]
        np.testing.assert_allclose(layer.counts, counts, rtol=1e-5)
        np.testing.assert_allclose(layer.sums, sums, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(layer.embeddings, embeddings, rtol=1e-4, atol=1e-5)
    assert int(layer.updates) == 1 + 3


def test_a_gradient_codebook_stays_where_it_is_in_the_forward_pass():
    embeddings = normal(5, 3)
    layer = with_codebook(embeddings, codebook="gradient")
    layer(normal(12, 3, seed=1), training=True)
    np.testing.assert_array_equal(layer.embeddings, embeddings)


# Initialisation and revival.


def test_uniform_initialisation_fills_its_range_evenly():
    embeddings = VectorQuantizer(500, 12, initialization="uniform", seed=0).embeddings.numpy()
    bound = np.sqrt(3 / 12)
    assert 0.99 * bound < np.abs(embeddings).max() < bound
    assert abs(embeddings.mean()) < 4 * bound / np.sqrt(3 * 6000)
    assert len(np.unique(embeddings[:, 0])) == 500


@pytest.mark.parametrize("seed", [3, -3, 2**31])
def test_one_seed_gives_one_codebook_before_and_after_the_first_batch(seed):
    first, second = VectorQuantizer(6, 3, seed=seed), VectorQuantizer(6, 3, seed=seed)
    np.testing.assert_array_equal(first.embeddings, second.embeddings)
    for layer in (first, second):
        layer(normal(20, 3), training=True)
    np.testing.assert_array_equal(first.embeddings, second.embeddings)


def test_other_seeds_pick_other_vectors():
    codebooks = []
    for seed in (0, 1):
        layer = VectorQuantizer(6, 3, codebook="gradient", seed=seed)
        layer(normal(200, 3), training=True)
        codebooks.append(layer.embeddings.numpy())
    assert not np.array_equal(*codebooks)


def test_the_first_batch_makes_its_own_vectors_the_codes():
    vectors = normal(40, 3)
    layer = VectorQuantizer(10, 3, codebook="gradient", revival=0.0, seed=0)
    layer(vectors, training=True)
    codes = layer.embeddings.numpy()
    assert all(rows_of(codes, vectors))
    assert len(np.unique(codes, axis=0)) == 10
    layer(normal(40, 3, seed=1), training=True)
    np.testing.assert_array_equal(layer.embeddings, codes)


def test_the_first_batch_gives_ema_codes_an_even_share_of_it():
    vectors, decay = normal(40, 3), 0.9
    layer = VectorQuantizer(10, 3, decay=decay, seed=0)
    quantized = layer(vectors, training=True)
    chosen, codes = quantized["z_q"].numpy(), quantized["codes"].numpy()
    for k in np.unique(codes):
        vector = vectors[np.abs(vectors - chosen[codes == k][0]).max(axis=1).argmin()]
        np.testing.assert_allclose(chosen[codes == k][0], vector, rtol=1e-5, atol=1e-6)
        count = decay * 4 + (1 - decay) * (codes == k).sum()  # 40 vectors for 10 codes
        total = decay * 4 * vector + (1 - decay) * vectors[codes == k].sum(axis=0)
        np.testing.assert_allclose(layer.counts[k], count, rtol=1e-5)
        np.testing.assert_allclose(layer.embeddings[k], total / count, rtol=1e-4, atol=1e-5)


def test_a_first_batch_of_fewer_vectors_than_codes_will_do():
    vectors = normal(3, 2)
    layer = VectorQuantizer(8, 2, codebook="gradient", seed=0)
    layer(vectors, training=True)
    assert all(rows_of(layer.embeddings.numpy(), vectors))
    assert all(rows_of(vectors, layer.embeddings.numpy()))


@pytest.mark.parametrize("initialization", ["data", "uniform"])
def test_dead_codes_are_revived_with_their_averages_and_live_ones_untouched(initialization):
    # The even share is 8 vectors a code, so that a code is dead below 0.25 · 8 = 2 vectors a step.
    embeddings, counts, decay = 0.1 * normal(4, 3), np.array([2.1, 0.0, 30.0, 1.9], "float32"), 0.9
    vectors = 5.0 + normal(32, 3, seed=1)
    layer = with_codebook(embeddings, counts, decay=decay, revival=0.25, initialization=initialization)
    codes = layer(vectors, training=True)["codes"].numpy()
    for k in range(4):
        assigned = vectors[codes == k].sum(axis=0)
        before = (layer.sums[k] - (1 - decay) * assigned).numpy() / decay
        count = 8.0 if k in (1, 3) else counts[k]
        np.testing.assert_allclose(layer.counts[k], decay * count + (1 - decay) * (codes == k).sum(), rtol=1e-5)
        if k in (1, 3):
            assert np.abs(vectors - before / 8).max(axis=1).min() < 1e-4  # it was a vector of the batch
        else:
            np.testing.assert_allclose(before, embeddings[k] * counts[k], rtol=1e-4, atol=1e-4)


def test_revival_leaves_the_vectors_of_live_codes_alone_bit_for_bit():
    embeddings, vectors = normal(4, 3), 5.0 + normal(32, 3, seed=1)
    layer = with_codebook(embeddings, [8.0, 0.0, 8.0, 8.0], codebook="gradient", revival=0.25)
    layer(vectors, training=True)
    np.testing.assert_array_equal(layer.embeddings.numpy()[[0, 2, 3]], embeddings[[0, 2, 3]])
    assert rows_of(layer.embeddings.numpy()[1:2], vectors) == [True]


def test_two_revivals_take_other_vectors_of_the_same_batch():
    vectors = normal(64, 3)
    layer = VectorQuantizer(8, 3, codebook="gradient", revival=0.25, seed=0)
    taken = []
    for _ in range(3):
        layer.counts.assign(np.zeros(8))  # all are dead
        layer(vectors, training=True)
        assert all(rows_of(layer.embeddings.numpy(), vectors))
        taken.append(nearest(layer.embeddings.numpy(), vectors).tolist())
    assert all(len(set(rows)) == 8 for rows in taken)
    assert all(set(taken[i]) != set(taken[j]) for i in range(3) for j in range(i))


@pytest.mark.parametrize("codebook", ["ema", "gradient"])
def test_no_revival_never_revives(codebook):
    embeddings = np.array([[0.0, 0.0], [100.0, 100.0]], "float32")
    layer = with_codebook(embeddings, [1.0, 0.0], codebook=codebook, decay=0.5)
    for step in range(20):
        layer(normal(32, 2, seed=step), training=True)
    np.testing.assert_array_equal(layer.embeddings.numpy()[1], [100.0, 100.0])
    assert float(layer.counts[1]) == 0.0


def test_uniform_codes_that_are_all_used_evenly_outlive_the_first_batches():
    """512 vectors for 4 codes: each takes 128 of them, so that none is dead."""
    layer = VectorQuantizer(4, 2, codebook="gradient", initialization="uniform", seed=0)
    codes = np.array([[1.0, 1.0], [-1.0, 1.0], [1.0, -1.0], [-1.0, -1.0]], "float32")
    layer.embeddings.assign(codes)
    layer.sums.assign(codes * layer.counts.numpy()[:, None])
    for step in range(3):
        assigned = layer(np.repeat(codes, 128, axis=0) + 0.1 * normal(512, 2, seed=step), training=True)["codes"]
        np.testing.assert_array_equal(np.bincount(assigned.numpy()), [128] * 4)
        np.testing.assert_array_equal(layer.embeddings, codes)


# Replicas.


@pytest.mark.parametrize("codebook", ["ema", "gradient"])
@pytest.mark.parametrize(("initialization", "revival"), [("uniform", 0.0), ("data", 0.0), ("data", 0.9)])
def test_two_replicas_move_the_codebook_as_one_replica_does_on_the_whole_batch(codebook, initialization, revival):
    def make():
        return VectorQuantizer(6, 3, codebook, decay=0.7, initialization=initialization, revival=revival, seed=0)

    batches = [normal(16, 2, 3, seed=step) for step in range(3)]
    on_two = run_on_two_replicas(make, batches)
    alone = make()
    for batch in batches:
        alone(batch, training=True)
    for values, expected in zip(on_two, (alone.embeddings, alone.counts, alone.sums, alone.updates)):
        assert len(values) == 2
        np.testing.assert_array_equal(*values)
        np.testing.assert_allclose(values[0], expected, rtol=1e-4, atol=1e-5)
    assert on_two[3][0] == 3
    assert np.array_equal(make().embeddings, on_two[0][0]) == (codebook == "gradient" and initialization == "uniform")


# Arguments.


def test_vectors_of_another_length_are_refused():
    message = r"vectors of code_dim=4 numbers. Received: an output of shape \(2, 5, 3\)"
    with pytest.raises(ValueError, match=message):
        VectorQuantizer(8, 4)(normal(2, 5, 3))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("num_codes", 0),
        ("code_dim", 2.5),
        ("codebook", "sgd"),
        ("decay", -0.1),
        ("decay", 1.0),
        ("gradient", "none"),
        ("initialization", "zeros"),
        ("revival", -0.1),
        ("revival", 1.0),
    ],
)
def test_arguments_out_of_range_are_refused(name, value):
    with pytest.raises(ValueError, match=f"Expected `{name}` to be .* Received: {name}={value!r}"):
        VectorQuantizer(**{name: value})


def test_config_round_trip_with_every_argument_away_from_its_default():
    arguments = {
        "num_codes": 7, "code_dim": 3, "codebook": "gradient", "decay": 0.5, "gradient": "rotation",
        "initialization": "uniform", "revival": 0.25, "seed": 9,
    }  # fmt: skip
    layer = VectorQuantizer(**arguments)
    restored = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert {name: getattr(restored, name) for name in arguments} == arguments
    default = VectorQuantizer().get_config()
    assert all(default[name] != value for name, value in arguments.items())
    np.testing.assert_array_equal(restored.embeddings, layer.embeddings)


def test_a_saved_model_keeps_codebook_and_averages(tmp_path):
    inputs = keras.Input((5, 3))
    model = keras.Model(inputs, VectorQuantizer(6, 3, seed=0, name="quantizer")(inputs)["codes"])
    layer = model.get_layer("quantizer")
    layer(normal(4, 5, 3), training=True)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras").get_layer("quantizer")
    assert len(loaded.weights) == 4
    for weight, expected in zip(loaded.weights, layer.weights):
        np.testing.assert_array_equal(weight, expected)


def test_a_frozen_codebook_stays_as_it_is_in_training():
    layer = VectorQuantizer(4, 2, seed=0)
    z = np.random.default_rng(0).normal(size=(8, 3, 3, 2)).astype(np.float32)
    layer(z, training=True)
    before = [weight.numpy() for weight in layer.weights]
    layer.trainable = False
    layer(z + 1.0, training=True)
    for one, two in zip(before, layer.weights, strict=True):
        np.testing.assert_array_equal(one, two.numpy())
    layer.trainable = True
    layer(z + 1.0, training=True)
    assert np.abs(layer.embeddings.numpy() - before[0]).max() > 1e-4
