"""The generator: what it draws is uniform and independent, and a pure function of its seeds."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import zoo
from zoo.random import fold_in, fresh_seed, gumbel, normal, row_seeds, uniform

SEEDS = [0, 1, -1, 2**31 - 1, -(2**31), 123456789]


def numbers(sampler, seed, rows=1000, columns=1000):
    """A million numbers, in float64."""
    return sampler(row_seeds(seed, rows), (columns,)).numpy().astype(np.float64)


def correlation(a, b):
    return np.corrcoef(a.ravel(), b.ravel())[0, 1]


# An independent implementation of the documented hash, on Python's integers.


def mix(x):
    x ^= x >> 16
    x = x * 0x21F0AAAD % 2**32
    x ^= x >> 15
    x = x * 0xD35A2D97 % 2**32
    return x ^ x >> 15


def hash_bits(seed, counter):
    return mix(mix((seed + 0x3C6EF372) % 2**32) ^ mix((counter + 0x9E3779B9) % 2**32))


def hash_fold(seed, data):
    bits = mix(mix((seed + 0x1B873593) % 2**32) ^ mix((data + 0xCC9E2D51) % 2**32))
    return bits - 2**32 if bits >= 2**31 else bits


@pytest.mark.parametrize("seed", SEEDS)
def test_uniform_has_the_bits_of_the_documented_hash(seed):
    expected = [((hash_bits(seed, j) >> 9) + 0.5) / 2**23 for j in range(12)]
    drawn = uniform(tf.constant([seed], tf.int32), (3, 4))
    assert drawn.dtype == tf.float32
    np.testing.assert_array_equal(drawn.numpy().astype(np.float64), np.reshape(expected, (1, 3, 4)))


@pytest.mark.parametrize("seed", [*SEEDS, 2**32 - 5])
def test_fold_in_has_the_bits_of_the_documented_hash(seed):
    data = [0, 1, -1, 70000]
    folded = fold_in(seed, tf.constant(data))
    assert folded.dtype == tf.int32
    assert folded.numpy().tolist() == [hash_fold(seed, value) for value in data]


def test_uniform_passes_kolmogorov_and_smirnov():
    values = np.sort(numbers(uniform, 0).ravel())
    ranks = np.arange(len(values) + 1) / len(values)
    distance = max((ranks[1:] - values).max(), (values - ranks[:-1]).max())
    assert distance < 1.95 / np.sqrt(len(values))  # the critical value at p = 0.001


@pytest.mark.parametrize("seed", [0, 1])
def test_uniform_fills_its_bins_as_chance_would(seed):
    counts = np.bincount((numbers(uniform, seed).ravel() * 256).astype(int), minlength=256)
    expected = counts.sum() / 256
    chi_square = ((counts - expected) ** 2 / expected).sum()
    # 255 degrees of freedom, standard deviation sqrt(510): neither uneven nor too even to be chance.
    assert abs(chi_square - 255) < 4 * np.sqrt(510)


def test_the_low_bits_of_uniform_are_even_as_well():
    low = (numbers(uniform, 3).ravel() * 2**23).astype(np.int64) % 256
    counts = np.bincount(low, minlength=256)
    expected = counts.sum() / 256
    assert abs(((counts - expected) ** 2 / expected).sum() - 255) < 4 * np.sqrt(510)


def test_uniform_never_gives_zero_or_one_and_keeps_to_its_grid():
    values = numbers(uniform, 2, rows=4000)
    assert values.min() > 0.0 and values.max() < 1.0
    steps = values * 2**23 - 0.5
    np.testing.assert_array_equal(steps, np.round(steps))


def test_normal_has_the_moments_of_a_standard_normal():
    values = numbers(normal, 0).ravel()
    n = len(values)
    standardised = (values - values.mean()) / values.std()
    assert abs(values.mean()) < 4 / np.sqrt(n)
    assert abs(values.var() - 1) < 4 * np.sqrt(2 / n)
    assert abs((standardised**3).mean()) < 4 * np.sqrt(6 / n)
    assert abs((standardised**4).mean() - 3) < 4 * np.sqrt(24 / n)
    assert np.abs(values).max() <= np.sqrt(48 * np.log(2)) + 1e-6  # sqrt(-2 ln 2**-24)


def test_the_two_halves_of_box_and_muller_are_independent():
    values = numbers(normal, 1)
    first, second = values[:, :500], values[:, 500:]
    bound = 4 / np.sqrt(first.size)
    assert abs(correlation(first, second)) < bound
    assert abs(correlation(first**2, second**2)) < bound


def test_gumbel_has_the_moments_of_a_gumbel():
    values = numbers(gumbel, 0).ravel()
    n, variance = len(values), np.pi**2 / 6
    assert abs(values.mean() - 0.5772156649) < 4 * np.sqrt(variance / n)
    # The fourth central moment of a Gumbel is 5.4 times its squared variance.
    assert abs(values.var() - variance) < 4 * variance * np.sqrt((5.4 - 1) / n)


def test_argmax_of_logits_and_gumbel_draws_a_category():
    probabilities = np.array([0.5, 0.3, 0.2])
    noise = numbers(gumbel, 4, rows=100_000, columns=3)
    shares = np.bincount((np.log(probabilities) + noise).argmax(axis=1), minlength=3) / 100_000
    np.testing.assert_array_less(np.abs(shares - probabilities), 4 * np.sqrt(probabilities / 100_000))


@pytest.mark.parametrize("sampler", [uniform, normal, gumbel])
def test_neighbouring_rows_counters_and_seeds_are_uncorrelated(sampler):
    folded = numbers(sampler, 0)
    consecutive = sampler(tf.range(1000), (1000,)).numpy()  # row seeds that differ by one
    bound = 4 / np.sqrt(folded.size)
    assert abs(correlation(folded[1:], folded[:-1])) < bound
    assert abs(correlation(folded[:, 1:], folded[:, :-1])) < bound
    assert abs(correlation(folded, numbers(sampler, 1))) < bound
    assert abs(correlation(consecutive[1:], consecutive[:-1])) < bound


def test_no_two_of_many_rows_are_correlated():
    values = uniform(tf.range(-64, 64), (4096,)).numpy()
    off_diagonal = np.corrcoef(values) - np.eye(128)
    assert np.abs(off_diagonal).max() < 5.5 / np.sqrt(4096)  # 8,128 pairs


@pytest.mark.parametrize("seed", [0, 1, -7])
def test_fold_in_gives_every_datum_a_seed_of_its_own(seed):
    folded = fold_in(seed, tf.range(-100_000, 100_000)).numpy()
    assert len(np.unique(folded)) == 200_000


def test_fold_in_broadcasts_seeds_against_data():
    folded = fold_in(tf.constant([[1], [2]]), tf.constant([3, 4, 5]))
    assert folded.numpy().tolist() == [[hash_fold(s, d) for d in (3, 4, 5)] for s in (1, 2)]


# The logarithm of one number may be rounded otherwise beside other neighbours in memory: the bits of
# `uniform` are the same wherever a row stands, those of the others but for the last ones.
ROUNDING = [(uniform, 0.0), (normal, 1e-6), (gumbel, 4e-6)]


@pytest.mark.parametrize(("sampler", "rounding"), ROUNDING)
@pytest.mark.parametrize("shape", [(3, 5), (64,)])
def test_a_row_depends_on_its_own_seed_alone(sampler, rounding, shape):
    seeds = tf.constant([5, -3, 99, 2**31 - 1, 0])
    rows = sampler(seeds, shape).numpy()
    order = [4, 2, 0, 3, 1]
    np.testing.assert_allclose(sampler(seeds[:2], shape).numpy(), rows[:2], rtol=0, atol=rounding)
    np.testing.assert_allclose(sampler(tf.gather(seeds, order), shape).numpy(), rows[order], rtol=0, atol=rounding)
    assert np.abs(rows[0] - rows[1]).max() > 0.1


@pytest.mark.parametrize(("sampler", "rounding"), ROUNDING)
def test_a_graph_draws_what_eager_execution_draws(sampler, rounding):
    specs = [tf.TensorSpec([None], tf.int32)]
    compiled = tf.function(lambda seed: sampler(seed, (7,)), input_signature=specs, autograph=False)
    seeds = row_seeds(0, 9)
    np.testing.assert_allclose(compiled(seeds).numpy(), sampler(seeds, (7,)).numpy(), rtol=0, atol=rounding)


@pytest.mark.parametrize("sampler", [uniform, normal, gumbel])
@pytest.mark.parametrize("shape", [(1,), (5,), (3, 3), (2, 3, 4)])
def test_shapes_of_draws(sampler, shape):
    drawn = sampler(row_seeds(0, 4), shape)
    assert drawn.shape == (4, *shape) and drawn.dtype == tf.float32


@pytest.mark.parametrize("seed", [0, 17, -5, 2**31, np.int64(2**32 - 1), np.int32(-(2**31))])
def test_an_int_seed_gives_row_i_the_seed_folded_with_i(seed):
    expected = [hash_fold(int(seed), i) for i in range(6)]
    assert row_seeds(seed, 6).numpy().tolist() == expected


def test_a_scalar_tensor_is_a_seed_as_an_int_is():
    np.testing.assert_array_equal(row_seeds(tf.constant(-8), 5), row_seeds(-8, 5))
    np.testing.assert_array_equal(row_seeds(np.int64(-8), 5), row_seeds(-8, 5))


def test_an_array_of_seeds_is_taken_as_it_is():
    assert row_seeds(np.array([3, -1, 7]), 3).numpy().tolist() == [3, -1, 7]
    assert row_seeds([3, -1, 7], 3).dtype == tf.int32


@pytest.mark.parametrize(
    ("seed", "received"),
    [
        (np.zeros(4, "int32"), r"shape \(4,\) and dtype int32"),
        (np.zeros((3, 1), "int32"), r"shape \(3, 1\) and dtype int32"),
        (np.zeros(3, "float32"), r"shape \(3,\) and dtype float32"),
    ],
)
def test_seeds_of_a_wrong_shape_or_type_are_refused(seed, received):
    expected = r"Expected `seed` to be an int or an int32 array of shape \[3\]\. Received: seed of "
    with pytest.raises(ValueError, match=expected + received):
        row_seeds(seed, 3)


@pytest.mark.parametrize(("seed", "data"), [(1, 2.7), (1.7, 2), ([1.5], 2), (np.array([1.7]), 2)])
def test_floats_are_no_seeds(seed, data):
    with pytest.raises(ValueError, match="Expected `seed` to be integers. Received: seed='dtype .*float"):
        fold_in(seed, data)


def test_fresh_seeds_fit_int32_and_differ():
    seeds = {fresh_seed() for _ in range(20)}
    assert len(seeds) > 15 and all(0 <= seed < 2**31 for seed in seeds)


def test_fresh_seeds_follow_from_the_seed_of_keras():
    """As Keras's own noise and weights do: a run that sets it once is the same each time."""

    def run():
        keras.utils.set_random_seed(5)
        model = zoo.VAE(zoo.networks.mlp_encoder((4, 4, 1), 2, (4,)), zoo.networks.mlp_decoder((4, 4, 1), 2, (4,)))
        model.compile("adam")
        model.fit(np.full((20, 4, 4, 1), 0.5, np.float32), batch_size=5, verbose=0)
        return [*model.get_weights(), model.sample(3).numpy()]

    first, second = run(), run()
    assert all(map(np.array_equal, first, second))
    keras.utils.set_random_seed(6)
    seeds = fresh_seed(), fresh_seed()
    keras.utils.set_random_seed(5)
    assert len({*seeds, fresh_seed(), fresh_seed()}) == 4


@pytest.mark.filterwarnings("ignore:.*tf.lite.Interpreter is deprecated")
def test_tflite_draws_the_same_numbers_with_builtin_operators_alone():
    @tf.function(input_signature=[tf.TensorSpec([1], tf.int32)])
    def draw(seed):
        return tf.stack([sampler(seed, (4, 25)) for sampler in (uniform, normal, gumbel)])

    converter = tf.lite.TFLiteConverter.from_concrete_functions([draw.get_concrete_function()])
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    device = tf.lite.Interpreter(model_content=converter.convert())
    device.allocate_tensors()
    for seed in SEEDS:
        device.set_tensor(device.get_input_details()[0]["index"], np.array([seed], np.int32))
        device.invoke()
        drawn = device.get_tensor(device.get_output_details()[0]["index"])
        here = draw(tf.constant([seed])).numpy()
        np.testing.assert_array_equal(drawn[0], here[0])
        np.testing.assert_allclose(drawn[1], here[1], rtol=0, atol=1e-5)
        np.testing.assert_allclose(drawn[2], here[2], rtol=0, atol=1e-5)


@pytest.mark.parametrize("draw", [zoo.random.uniform, zoo.random.normal, zoo.random.gumbel])
def test_seeds_and_shapes_of_another_form_are_refused(draw):
    seeds = zoo.random.row_seeds(0, 3)
    for shape in (3, (0,), (2.0,), (2, None)):
        with pytest.raises(ValueError, match="Expected `shape` to be a tuple of integers >= 1"):
            draw(seeds, shape)
    for seed in (0, np.int32(0), np.zeros((2, 2), np.int32)):
        with pytest.raises(ValueError, match=r"Expected `seed` to be seeds of rows, int32 \[B\]"):
            draw(seed, (3,))
    with pytest.raises(ValueError, match="Expected `seed` to be integers. Received: .*bool"):
        draw(np.array([True, False]), (3,))


def test_a_shape_may_be_an_array():
    seeds = zoo.random.row_seeds(0, 3)
    np.testing.assert_array_equal(uniform(seeds, np.array([2, 3])), uniform(seeds, (2, 3)))
