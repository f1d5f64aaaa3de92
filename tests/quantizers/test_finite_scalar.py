"""Finite scalar quantisation against the paper's formulas in float64, and against grids written out."""

import itertools
import math

import keras
import numpy as np
import pytest
import tensorflow as tf
from quantizers import normal, run_on_tflite

from zoo.quantizers import FiniteScalarQuantizer, ResidualQuantizer, VectorQuantizer

LEVELS = [(8, 5, 5, 5), (4, 3, 5), (2, 2), (7,), (16, 9)]


def bound(z, levels):
    """f of the paper's appendix A.1, in float64."""
    levels = np.array(levels)
    half_span = (levels - 1) * 0.999 / 2
    offset = np.where(levels % 2 == 0, 0.5, 0.0)
    return np.tanh(z.astype("float64") + np.tan(offset / half_span)) * half_span - offset


def grid(levels):
    """All vectors in the order of their codes: the first number runs fastest."""
    values = [(np.arange(level) - level // 2) / (level // 2) for level in levels]
    return np.array([vector[::-1] for vector in itertools.product(*values[::-1])], "float32")


def inputs_of(vectors, levels):
    """Encoder outputs that `bound` sends to `vectors`, or for the outermost levels towards them."""
    levels = np.array(levels)
    half_span, offset = (levels - 1) * 0.999 / 2, np.where(levels % 2 == 0, 0.5, 0.0)
    share = np.clip((vectors * (levels // 2) + offset) / half_span, -0.99999, 0.99999)
    return (np.arctanh(share) - np.tan(offset / half_span)).astype("float32")


# Forwards.


@pytest.mark.parametrize(
    ("levels", "values"),
    [
        ((2,), [-1.0, 0.0]),
        ((3,), [-1.0, 0.0, 1.0]),
        ((4,), [-1.0, -0.5, 0.0, 0.5]),
        ((5,), [-1.0, -0.5, 0.0, 0.5, 1.0]),
    ],
)
def test_the_values_of_few_levels(levels, values):
    layer = FiniteScalarQuantizer(levels)
    np.testing.assert_array_equal(layer.lookup(tf.range(len(values)))[:, 0], values)
    quantized = layer(np.linspace(-9, 9, 1000, dtype="float32")[:, None])
    assert np.unique(quantized["z_q"]).tolist() == values
    assert (np.diff(quantized["codes"]) >= 0).all()


def test_numbers_worked_out_by_hand():
    """tanh 0.6 = 0.537, tanh 2 = 0.964: with five levels 1.998 · 0.537 = 1.07 and 1.93, with three 0.536 and 0.963.

    With four, 1.4985 · tanh(z + tan(0.5 / 1.4985)) − 0.5, which is −1.21 at −0.86, 0 at 0, and 0.98 at 2.
    """
    layer = FiniteScalarQuantizer((5, 3, 4))
    quantized = layer(
        np.array([[[0.6, 0.6, -0.86], [2.0, -2.0, 2.0]], [[0.0, 0.0, 0.0], [-9.0, 0.2, -9.0]]], "float32")
    )
    expected = [[[0.5, 1.0, -0.5], [1.0, -1.0, 0.5]], [[0.0, 0.0, 0.0], [-1.0, 0.0, -1.0]]]
    np.testing.assert_array_equal(quantized["z_q"], expected)
    # Digits [3 2 1], [4 0 3], [2 1 2] and [0 1 0], of place values 1, 5 and 15.
    assert quantized["codes"].dtype == tf.int32
    assert quantized["codes"].numpy().tolist() == [[28, 49], [37, 5]]


@pytest.mark.parametrize("levels", LEVELS)
def test_vectors_are_the_rounded_bound_over_half_the_levels(levels):
    z_e = 2 * normal(3, 20, len(levels))
    expected = np.rint(bound(z_e, levels)) / (np.array(levels) // 2)
    np.testing.assert_allclose(FiniteScalarQuantizer(levels)(z_e)["z_q"], expected, rtol=1e-6)
    assert len(np.unique(expected, axis=0)) > 1


@pytest.mark.parametrize("levels", LEVELS)
def test_nought_is_a_value_and_an_input_of_nought_takes_it(levels):
    np.testing.assert_array_equal(FiniteScalarQuantizer(levels)(np.zeros((1, len(levels)), "float32"))["z_q"], 0.0)


@pytest.mark.parametrize("shape", [(5,), (2, 3), (2, 3, 4)])
def test_codes_have_the_shape_of_the_input_but_for_its_last_axis(shape):
    layer = FiniteScalarQuantizer((4, 3))
    quantized = layer(normal(*shape, 2))
    assert quantized["codes"].shape == shape and quantized["z_q"].shape == (*shape, 2)
    assert layer.lookup(quantized["codes"]).shape == (*shape, 2)


def test_there_is_nothing_to_train_and_neither_loss():
    layer = FiniteScalarQuantizer((4, 3))
    quantized = layer(normal(5, 2, 2), training=True)
    assert layer.weights == [] and layer.codebook == "fixed"
    for name in ("codebook", "commitment"):
        assert quantized[name].dtype == tf.float32
        np.testing.assert_array_equal(quantized[name], np.zeros(5))


# Codes.


@pytest.mark.parametrize("levels", LEVELS)
def test_lookup_counts_through_the_grid(levels):
    layer = FiniteScalarQuantizer(levels)
    assert (layer.num_codes, layer.code_dim) == (math.prod(levels), len(levels))
    vectors = layer.lookup(tf.range(layer.num_codes))
    assert vectors.dtype == tf.float32
    np.testing.assert_array_equal(vectors, grid(levels))


@pytest.mark.parametrize("levels", LEVELS)
def test_every_code_is_reached_and_comes_back(levels):
    layer = FiniteScalarQuantizer(levels)
    quantized = layer(inputs_of(grid(levels), levels))
    np.testing.assert_array_equal(quantized["codes"], np.arange(layer.num_codes))
    np.testing.assert_array_equal(quantized["z_q"], grid(levels))


@pytest.mark.parametrize("level", [*range(2, 40), 255, 256, 998, 999, 1000])
def test_the_outermost_levels_are_reached(level):
    quantized = FiniteScalarQuantizer((level,))(np.array([[-20.0], [20.0]], "float32"))
    assert quantized["codes"].numpy().tolist() == [0, level - 1]


@pytest.mark.parametrize("levels", LEVELS)
def test_lookup_of_codes_is_z_q_to_the_last_bit(levels):
    layer = FiniteScalarQuantizer(levels)
    quantized = layer(3 * normal(4, 50, len(levels)))
    np.testing.assert_array_equal(layer.lookup(quantized["codes"]), quantized["z_q"])


@pytest.mark.parametrize("levels", [(2,), (3, 4), (8, 5, 5)])
def test_the_code_of_a_vector_has_the_least_distance(levels):
    layer, z_e = FiniteScalarQuantizer(levels), 2 * normal(4, 50, len(levels))
    distances = layer.distances(z_e).numpy()
    assert distances.shape == (4, 50, math.prod(levels))
    np.testing.assert_array_equal(distances.argmin(axis=-1), layer(z_e)["codes"])


def test_codes_of_a_large_codebook_are_exact():
    """2³⁰ codes, more than float32 tells apart."""
    layer = FiniteScalarQuantizer((8,) * 10)
    codes = np.array([0, 2**24 + 1, 2**30 - 2, 2**30 - 1], "int32")
    np.testing.assert_array_equal(layer(inputs_of(layer.lookup(codes).numpy(), layer.levels))["codes"], codes)


# Backwards.


@pytest.mark.parametrize("levels", LEVELS)
def test_the_gradient_is_that_of_the_bound_as_if_nothing_were_rounded(levels):
    z_e, upstream = normal(2, 5, len(levels), seed=1), normal(2, 5, len(levels), seed=2)
    layer = FiniteScalarQuantizer(levels)
    value = tf.constant(z_e)
    with tf.GradientTape() as tape:
        tape.watch(value)
        loss = tf.reduce_sum(layer(value)["z_q"] * upstream)
    step = 1e-5
    slope = (bound(z_e + np.float64(step), levels) - bound(z_e - np.float64(step), levels)) / (2 * step)
    expected = upstream * slope / (np.array(levels) // 2)
    np.testing.assert_allclose(tape.gradient(loss, value), expected, rtol=1e-4, atol=1e-6)


def test_five_levels_have_at_nought_almost_the_slope_of_the_identity():
    """h / ⌊L/2⌋ · (1 − tanh² 0) = 1.998 / 2."""
    value = tf.zeros((1, 1))
    with tf.GradientTape() as tape:
        tape.watch(value)
        z_q = FiniteScalarQuantizer((5,))(value)["z_q"]
    np.testing.assert_allclose(tape.gradient(z_q, value), [[0.999]], rtol=1e-6)


# TFLite.


@pytest.mark.filterwarnings("ignore:.*tf.lite.Interpreter is deprecated")
def test_tflite_gives_the_same_codes_and_vectors_with_builtin_operators_alone():
    layer = FiniteScalarQuantizer((8, 5, 5, 5))
    z_e = 2 * normal(1, 6, 7, 4)
    here, device = layer(z_e), run_on_tflite(layer, layer, z_e)
    np.testing.assert_array_equal(device["codes"], here["codes"])
    np.testing.assert_allclose(device["z_q"], here["z_q"], rtol=1e-6)
    codes = np.arange(1000, dtype="int32").reshape(1, 25, 40)
    looked_up = run_on_tflite(layer, lambda codes: {"z_q": layer.lookup(codes)}, codes)["z_q"]
    np.testing.assert_allclose(looked_up, layer.lookup(codes), rtol=1e-6)


# Arguments.


def test_vectors_of_another_length_are_refused():
    message = r"of 2 numbers, one for each of levels=\(4, 3\). Received: an output of shape \(2, 5, 3\)"
    with pytest.raises(ValueError, match=message):
        FiniteScalarQuantizer((4, 3))(normal(2, 5, 3))


@pytest.mark.parametrize("levels", [(), 8, (8, 1), (8, 5.0), (True, 5), (5, 1001), "85", None, (256,) * 4])
def test_levels_out_of_range_are_refused(levels):
    with pytest.raises(ValueError, match="Expected `levels` to be a sequence of integers from 2 .* Received: levels="):
        FiniteScalarQuantizer(levels)


def test_config_round_trip():
    layer = FiniteScalarQuantizer([4, 3, 5])
    restored = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert restored.levels == layer.levels == (4, 3, 5)
    assert restored.levels != FiniteScalarQuantizer().levels


def test_a_functional_model_with_it_saves_and_loads(tmp_path):
    inputs = keras.Input((5, 3))
    model = keras.Model(inputs, FiniteScalarQuantizer((4, 3, 5))(inputs)["z_q"])
    model.save(tmp_path / "model.keras")
    z_e = normal(4, 5, 3)
    np.testing.assert_array_equal(keras.models.load_model(tmp_path / "model.keras")(z_e), model(z_e))


@pytest.mark.parametrize(
    ("codes", "message"),
    [
        ([0, 12], "Expected `codes` to be from 0 to 11. Received: codes=12"),
        ([-1], "Expected `codes` to be from 0 to 11. Received: codes=-1"),
        ([2**32], "Expected `codes` to be from 0 to 11"),
        ([0.7], "Expected `codes` to be int32. Received: dtype=float"),
    ],
)
@pytest.mark.parametrize(
    "quantizer",
    [
        FiniteScalarQuantizer((3, 4)),
        VectorQuantizer(12, 2),
        ResidualQuantizer(12, 2, 1),
    ],
    ids=lambda quantizer: type(quantizer).__name__,
)
def test_codes_that_do_not_exist_have_no_vector(quantizer, codes, message):
    with pytest.raises(ValueError, match=message):
        quantizer.lookup(np.array([codes]))
