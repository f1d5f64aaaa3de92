"""Residual quantisation against the levels done one by one in numpy, and against `VectorQuantizer`."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from quantizers import normal, run_on_tflite, run_on_two_replicas

from zoo.quantizers import ResidualQuantizer, VectorQuantizer

ARGUMENTS = {
    "num_codes": 7, "code_dim": 3, "depth": 2, "codebook": "gradient", "decay": 0.5, "gradient": "rotation",
    "initialization": "uniform", "revival": 0.25, "seed": 9,
}  # fmt: skip


def with_codebooks(*codebooks, **kwargs):
    """A quantizer past its initialisation, each level with a codebook and moving averages in accord with it."""
    num_codes, code_dim = codebooks[0].shape
    layer = ResidualQuantizer(num_codes, code_dim, len(codebooks), **{"revival": 0.0, "seed": 0, **kwargs})
    for level, embeddings in zip(layer.quantizers, codebooks, strict=True):
        level.embeddings.assign(embeddings)
        level.counts.assign(np.ones(num_codes))
        level.sums.assign(embeddings)
        level.updates.assign(1)
    return layer


def codebooks(depth=3, num_codes=6, code_dim=4):
    """Each finer than the last."""
    return [normal(num_codes, code_dim, seed=10 + level) / 2**level for level in range(depth)]


def level_by_level(z_e, books):
    """Codes `[…, depth]`, their sum, and Σ_d ‖r_d‖² for each of the first axis."""
    residual, total, codes, squares = z_e, 0.0, [], 0.0
    for book in books:
        codes.append(((residual[..., None, :] - book) ** 2).sum(-1).argmin(-1))
        total = total + book[codes[-1]]
        residual = residual - book[codes[-1]]
        squares = squares + (residual.reshape(len(z_e), -1) ** 2).sum(axis=1)
    return np.stack(codes, axis=-1), total, squares


# Forwards.


def test_two_levels_worked_out_by_hand():
    """(5, 1) is nearest to (4, 0), which leaves (1, 1): there is a code for it. (−1, 0) leaves itself, then nothing."""
    layer = with_codebooks(np.float32([[0, 0], [4, 0]]), np.float32([[1, 1], [-1, 0]]))
    quantized = layer(np.float32([[[[5, 1], [-1, 0], [4.5, 1]]]]))
    assert quantized["codes"].dtype == tf.int32
    assert quantized["codes"].numpy().tolist() == [[[1, 0, 0, 1, 1, 0]]]
    np.testing.assert_allclose(quantized["z_q"], [[[[5, 1], [-1, 0], [5, 1]]]])
    # The first level leaves 2, 1 and 0.25 + 1; the second 0, 0 and 0.25.
    np.testing.assert_allclose(quantized["commitment"], [4.5])
    np.testing.assert_allclose(quantized["codebook"], [4.5])


@pytest.mark.parametrize("shape", [(2, 5), (2, 3, 5), (2, 3, 2, 5)])
def test_each_level_quantises_what_is_left_and_codes_lie_side_by_side(shape):
    books, z_e = codebooks(), normal(*shape, 4)
    quantized = with_codebooks(*books)(z_e)
    codes, total, squares = level_by_level(z_e, books)
    assert quantized["codes"].shape == (*shape[:-1], 15)
    for level in range(3):
        np.testing.assert_array_equal(quantized["codes"][..., level::3], codes[..., level])
        assert len(np.unique(codes[..., level])) > 2
    np.testing.assert_allclose(quantized["z_q"], total, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(quantized["commitment"], squares, rtol=1e-5)
    np.testing.assert_allclose(quantized["codebook"], squares, rtol=1e-5)


@pytest.mark.parametrize("shape", [(2, 5), (2, 3, 5)])
def test_lookup_gives_the_sum_of_the_levels_vectors(shape):
    books, z_e = codebooks(), normal(*shape, 4)
    layer = with_codebooks(*books)
    quantized = layer(z_e)
    vectors = layer.lookup(quantized["codes"])
    assert vectors.shape == (*shape, 4)
    np.testing.assert_allclose(vectors, level_by_level(z_e, books)[1], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(vectors, quantized["z_q"], rtol=1e-5, atol=1e-6)


def test_all_stacks_of_codes_come_back_where_the_levels_do_not_overlap():
    books = [np.float32([[-9], [0], [9]]), np.float32([[-3], [0], [3]]), np.float32([[-1], [0], [1]])]
    layer = with_codebooks(*books)
    stacks = np.indices((3, 3, 3)).reshape(3, -1).T.reshape(1, 1, 81).astype("int32")
    vectors = layer.lookup(stacks)
    np.testing.assert_array_equal(np.sort(np.ravel(vectors)), np.arange(-13, 14))
    np.testing.assert_array_equal(layer(vectors)["codes"], stacks)


def test_one_level_is_a_vector_quantizer():
    arguments = {"gradient": "rotation", "decay": 0.8, "revival": 0.3, "seed": 5}
    one, other = ResidualQuantizer(8, 3, depth=1, **arguments), VectorQuantizer(8, 3, **arguments)
    for step in range(4):
        z_e = tf.constant(normal(4, 3, 3, seed=step))
        quantized = []
        for layer in (one, other):
            with tf.GradientTape() as tape:
                tape.watch(z_e)
                result = layer(z_e, training=True)
                loss = tf.reduce_sum(result["z_q"] * z_e) + tf.reduce_sum(result["commitment"])
            quantized.append({**result, "gradient": tape.gradient(loss, z_e)})
        for name, value in quantized[0].items():
            np.testing.assert_allclose(value, quantized[1][name], rtol=1e-5, atol=1e-6, err_msg=name)
    for weight, expected in zip(one.weights, other.weights, strict=True):
        np.testing.assert_array_equal(weight, expected)


@pytest.mark.parametrize("codebook", ["ema", "gradient"])
def test_the_error_falls_with_each_level(codebook):
    """Of data that nobody has seen, after the first batches alone."""
    errors = []
    for depth in (1, 2, 4):
        layer = ResidualQuantizer(16, 4, depth, codebook, decay=0.8, seed=0)
        for step in range(10):
            layer(normal(32, 8, 4, seed=step), training=True)
        z_e = normal(32, 8, 4, seed=100)
        errors.append(float(np.mean((layer(z_e)["z_q"] - z_e) ** 2)))
    assert errors[1] < 0.6 * errors[0] and errors[2] < 0.6 * errors[1]


def test_nothing_moves_outside_training():
    layer = ResidualQuantizer(8, 3, 2, seed=0)
    before = [weight.numpy() for weight in layer.weights]
    layer(normal(2, 4, 3))
    for weight, value in zip(layer.weights, before, strict=True):
        np.testing.assert_array_equal(weight, value)


# Backwards.


def test_straight_through_passes_the_gradient_on_once():
    z_e, upstream = tf.constant(normal(2, 5, 4, seed=1)), normal(2, 5, 4, seed=2)
    layer = with_codebooks(*codebooks())
    with tf.GradientTape() as tape:
        tape.watch(z_e)
        loss = tf.reduce_sum(layer(z_e)["z_q"] * upstream)
    np.testing.assert_allclose(tape.gradient(loss, z_e), upstream, rtol=1e-6)


def test_the_rotation_is_the_one_to_the_sum():
    """(1, 1) becomes (−2, 2) by a turn of a right angle and a stretch of two."""
    z_e = tf.constant([[[1.0, 1.0]]])
    layer = with_codebooks(np.float32([[-1, 1]]), np.float32([[-1, 1]]), gradient="rotation")
    with tf.GradientTape() as tape:
        tape.watch(z_e)
        quantized = layer(z_e)
        loss = tf.reduce_sum(quantized["z_q"] * [3.0, 0.0])
    np.testing.assert_allclose(quantized["z_q"], [[[-2.0, 2.0]]], rtol=1e-5)
    np.testing.assert_allclose(tape.gradient(loss, z_e), [[[0.0, -6.0]]], atol=1e-4)


def test_the_commitment_moves_the_encoder_alone_and_the_codebook_loss_each_level_alone():
    books = [np.float32([[0, 0], [4, 0]]), np.float32([[1, 1], [-1, 0]])]
    z_e = tf.constant([[[4.5, 1.0]]])  # leaves (0.5, 1), then (−0.5, 0)
    layer = with_codebooks(*books, codebook="gradient")
    variables = [level.embeddings.value for level in layer.quantizers]
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(z_e)
        quantized = layer(z_e, training=True)
    # 2 (r_1 + r_2), and for each level 2 (e_d − r_{d−1}) = −2 r_d.
    np.testing.assert_allclose(tape.gradient(quantized["commitment"], z_e), [[[0.0, 2.0]]])
    assert tape.gradient(quantized["codebook"], z_e) is None
    assert tape.gradient(quantized["commitment"], variables) == [None, None]
    assert tape.gradient(quantized["z_q"], variables) == [None, None]
    first, second = (tf.convert_to_tensor(value) for value in tape.gradient(quantized["codebook"], variables))
    np.testing.assert_allclose(first, [[0.0, 0.0], [-1.0, -2.0]])
    np.testing.assert_allclose(second, [[1.0, 0.0], [0.0, 0.0]])


# Training.


def test_each_level_follows_what_the_ones_before_it_left_over():
    books, decay = codebooks(num_codes=5), 0.8
    layer = with_codebooks(*books, decay=decay)
    counts, sums = [np.ones(5) for _ in books], [book.astype("float64") for book in books]
    for step in range(3):
        residual = normal(20, 4, seed=step)
        layer(residual.reshape(4, 5, 4), training=True)
        for level, book in enumerate(books):
            codes = ((residual[:, None] - book) ** 2).sum(-1).argmin(-1)
            left = residual - book[codes]
            for k in range(5):
                counts[level][k] = decay * counts[level][k] + (1 - decay) * (codes == k).sum()
                sums[level][k] = decay * sums[level][k] + (1 - decay) * residual[codes == k].sum(axis=0)
            books[level] = (sums[level] / counts[level][:, None]).astype("float32")
            residual = left
            np.testing.assert_allclose(layer.quantizers[level].counts, counts[level], rtol=1e-5)
            np.testing.assert_allclose(layer.quantizers[level].embeddings, books[level], rtol=1e-4, atol=1e-5)


def test_dead_codes_of_a_deeper_level_are_revived_with_residuals_of_the_batch():
    near, far = np.float32([[0, 0], [10, 0]]), np.float32([[0, 0], [99, 99]])
    layer = with_codebooks(near, far, codebook="gradient", revival=0.25)
    layer.quantizers[1].counts.assign([16.0, 0.0])
    layer.quantizers[0].counts.assign([16.0, 16.0])
    z_e = near[np.arange(32) % 2] + 0.1 * normal(32, 2)
    layer(z_e.reshape(4, 8, 2), training=True)
    np.testing.assert_array_equal(layer.quantizers[0].embeddings, near)
    revived = layer.quantizers[1].embeddings.numpy()[1]
    assert np.abs(z_e - near[np.arange(32) % 2] - revived).max(axis=1).min() < 1e-6


def test_levels_have_seeds_of_their_own_and_start_from_other_places_of_the_batch():
    layer = ResidualQuantizer(8, 3, depth=4, seed=5)
    seeds = [level.seed for level in layer.quantizers]
    assert len(set(seeds)) == 4 and seeds == [
        level.seed for level in ResidualQuantizer(8, 3, depth=4, seed=5).quantizers
    ]
    layer(normal(64, 4, 3), training=True)
    for level in layer.quantizers[1:]:  # a level that started from the places of the one before would be all nought
        assert np.count_nonzero(np.linalg.norm(level.embeddings, axis=1) > 1e-3) >= 6


@pytest.mark.parametrize("seed", [-3, 2**31])
def test_one_seed_gives_the_same_codebooks(seed):
    layers = [ResidualQuantizer(6, 3, 2, seed=seed) for _ in range(2)]
    for layer in layers:
        layer(normal(5, 4, 3), training=True)
    for weight, expected in zip(*(layer.weights for layer in layers), strict=True):
        np.testing.assert_array_equal(weight, expected)


@pytest.mark.parametrize(
    ("codebook", "revival"),
    [
        ("ema", 0.9),
        ("gradient", 0.0),
        *(pytest.param(*each, marks=pytest.mark.slow) for each in (("ema", 0.0), ("gradient", 0.9))),
    ],
)
def test_two_replicas_move_the_codebooks_as_one_replica_does_on_the_whole_batch(codebook, revival):
    def make():
        return ResidualQuantizer(6, 3, 3, codebook, decay=0.7, revival=revival, seed=0)

    batches = [normal(16, 2, 3, seed=step) for step in range(3)]
    on_two = run_on_two_replicas(make, batches)
    alone = make()
    for batch in batches:
        alone(batch, training=True)
    for values, weight in zip(on_two, alone.weights, strict=True):
        np.testing.assert_array_equal(*values, err_msg=weight.path)
        np.testing.assert_allclose(values[0], weight, rtol=1e-4, atol=1e-5, err_msg=weight.path)
    assert [int(level.updates) for level in alone.quantizers] == [3, 3, 3]


# TFLite.


@pytest.mark.filterwarnings("ignore:.*tf.lite.Interpreter is deprecated")
@pytest.mark.parametrize("gradient", ["straight_through", "rotation"])
def test_tflite_gives_the_same_codes_and_vectors_with_builtin_operators_alone(gradient):
    layer = with_codebooks(*codebooks(), gradient=gradient)
    z_e = normal(1, 3, 5, 4)
    here, device = layer(z_e), run_on_tflite(layer, layer, z_e)
    np.testing.assert_array_equal(device["codes"], here["codes"])
    np.testing.assert_allclose(device["z_q"], here["z_q"], rtol=1e-4, atol=1e-5)
    looked_up = run_on_tflite(layer, lambda codes: {"z_q": layer.lookup(codes)}, here["codes"].numpy())["z_q"]
    np.testing.assert_allclose(looked_up, layer.lookup(here["codes"]), rtol=1e-6)


# Arguments.


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((2, 5, 3), r"vectors of code_dim=4 numbers. Received: an output of shape \(2, 5, 3\)"),
        ((5, 4), r"a grid of vectors, .* Received: an output of shape \(5, 4\)"),
    ],
)
def test_vectors_of_another_length_or_without_a_grid_are_refused(shape, message):
    with pytest.raises(ValueError, match=message):
        ResidualQuantizer(8, 4, 2)(normal(*shape))


def test_a_stack_of_codes_has_no_distance_for_each_code():
    with pytest.raises(ValueError, match="one with one code for each vector. Received: quantizer=<ResidualQuantizer"):
        ResidualQuantizer(8, 4, 2).distances(normal(2, 3, 4))


def test_codes_that_are_no_whole_stacks_are_refused():
    message = r"last axis of `codes` to be a multiple of depth=3. Received: codes of shape \(2, 4, 8\)"
    with pytest.raises(ValueError, match=message):
        ResidualQuantizer(8, 4, 3).lookup(np.zeros((2, 4, 8), "int32"))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("num_codes", 0),
        ("code_dim", 2.5),
        ("depth", 0),
        ("depth", 1.5),
        ("codebook", "sgd"),
        ("decay", 1.0),
        ("gradient", "none"),
        ("initialization", "zeros"),
        ("revival", 1.0),
    ],
)
def test_arguments_out_of_range_are_refused(name, value):
    with pytest.raises(ValueError, match=f"Expected `{name}` to be .* Received: {name}={value!r}"):
        ResidualQuantizer(**{name: value})


def test_config_round_trip_with_every_argument_away_from_its_default():
    layer = ResidualQuantizer(**ARGUMENTS)
    restored = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert {name: getattr(restored, name) for name in ARGUMENTS} == ARGUMENTS
    default = ResidualQuantizer().get_config()
    assert all(default[name] != value for name, value in ARGUMENTS.items())
    for weight, expected in zip(restored.weights, layer.weights, strict=True):
        np.testing.assert_array_equal(weight, expected)
    for level in restored.quantizers:  # and every level has them
        for name in ("num_codes", "code_dim", "codebook", "decay", "initialization", "revival"):
            assert getattr(level, name) == ARGUMENTS[name]


def test_a_saved_model_keeps_codebooks_and_averages(tmp_path):
    inputs = keras.Input((5, 3))
    model = keras.Model(inputs, ResidualQuantizer(6, 3, 2, seed=0, name="quantizer")(inputs)["codes"])
    layer = model.get_layer("quantizer")
    layer(normal(4, 5, 3), training=True)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras").get_layer("quantizer")
    assert len(loaded.weights) == 8
    for weight, expected in zip(loaded.weights, layer.weights, strict=True):
        np.testing.assert_array_equal(weight, expected)
