"""What holds for every prior over codes."""

import entries
import numpy as np
import pytest
import tensorflow as tf

import zoo

pytestmark = pytest.mark.parametrize("kind", entries.KINDS)


@pytest.fixture(params=(None, entries.CLASSES), ids=("plain", "conditional"))
def num_classes(request):
    return request.param


def given(num_classes, number=6):
    return {} if num_classes is None else {"labels": entries.labels(number)}


def test_shapes_and_types(kind, num_classes):
    prior, codes = entries.shared(kind, num_classes), entries.codes()
    given_labels = given(num_classes)
    logits = prior.logits(codes, **given_labels)
    assert logits.shape == (6, 2, 3, 4) and logits.dtype == tf.float32
    assert prior.log_prob(codes, **given_labels).shape == (6,)
    samples = prior.sample(6, seed=0, **given_labels)
    assert samples.shape == (6, 2, 3) and samples.dtype == tf.int32
    assert prior.conditional == (num_classes is not None)
    np.testing.assert_array_equal(
        prior.log_prob(codes.astype(np.uint8), **given_labels), prior.log_prob(codes, **given_labels)
    )


def test_log_prob_adds_up_the_softmax_of_the_logits(kind):
    prior, codes = entries.shared(kind), entries.codes()
    logits = prior.logits(codes).numpy().astype(np.float64)
    chosen = np.take_along_axis(logits, codes[..., None], axis=-1)[..., 0]
    expected = (chosen - np.log(np.exp(logits).sum(-1))).sum((1, 2))
    np.testing.assert_allclose(prior.log_prob(codes), expected, rtol=1e-5)


@pytest.mark.filterwarnings("ignore:You are using a softmax over axis")  # of a grid of one code
@pytest.mark.parametrize(("num_codes", "grid_shape"), [(2, (1, 2)), (3, (2, 2)), (5, (1, 1))])
def test_probabilities_of_all_codes_add_up_to_one(kind, num_classes, num_codes, grid_shape):
    prior = entries.shared(kind, num_classes, num_codes, grid_shape)
    every = entries.all_codes(num_codes, grid_shape)
    totals = []
    for label in range(num_classes or 1):
        labels = None if num_classes is None else np.full(len(every), label, np.int32)
        probabilities = np.exp(prior.log_prob(every, labels))
        totals.append(probabilities.sum())
        assert probabilities.max() > 1.1 / len(every)
    np.testing.assert_allclose(totals, 1.0, rtol=1e-5)


def test_logits_depend_on_the_codes_before_alone_and_on_each_of_them(kind, num_classes):
    prior, codes = entries.shared(kind, num_classes), entries.codes(1)
    labels = None if num_classes is None else np.int32([1])
    logits = prior.logits(codes, labels).numpy().reshape(-1, 4)
    for place in range(6):
        other = codes.copy()
        other.reshape(-1)[place] = (other.reshape(-1)[place] + 1) % 4
        moved = np.abs(prior.logits(other, labels).numpy().reshape(-1, 4) - logits).max(-1)
        assert np.all(moved[: place + 1] == 0)
        assert np.all(moved[place + 1 :] > 1e-5)


def test_labels_reach_every_place(kind):
    prior = entries.shared(kind, entries.CLASSES)
    logits = prior.logits(np.repeat(entries.codes(1), 3, 0), [0, 1, 2])
    assert np.all(np.abs(logits[0] - logits[1]).max(-1) > 1e-4) and np.all(np.abs(logits[1] - logits[2]).max(-1) > 1e-4)


def test_step_by_step_the_logits_are_the_same(kind, num_classes):
    prior, codes = entries.shared(kind, num_classes), entries.codes(9)
    labels = given(num_classes, 9).get("labels")
    step, cache, logits = tf.function(prior.step, autograph=False), prior.start(9), []
    for place in range(prior.length):
        known = np.where(np.arange(prior.length) < place, codes.reshape(9, -1), 0)  # nothing may be read ahead
        there, cache = step(tf.constant(place), tf.constant(known, tf.int32), labels, cache)
        logits.append(there)
    expected = prior.logits(codes, labels).numpy().reshape(9, -1, 4)
    np.testing.assert_allclose(np.stack(logits, 1), expected, atol=1e-4)


def expected_frequencies(prior, every, temperature, top_k):
    logits = prior.logits(every).numpy().astype(np.float64)
    if top_k is not None:
        logits[logits < np.sort(logits)[..., -top_k][..., None]] = -np.inf
    weights = np.exp(logits / temperature)
    shares = np.take_along_axis(weights, every[..., None], -1)[..., 0] / weights.sum(-1)
    return shares.prod((1, 2))


@pytest.mark.parametrize(("temperature", "top_k"), [(1.0, None), (0.6, 2)])
def test_frequencies_of_samples_are_the_probabilities(kind, temperature, top_k):
    prior = entries.shared(kind, num_codes=3, grid_shape=(2, 1))
    every = entries.all_codes(3, (2, 1))
    samples = prior.sample(20_000, seed=5, temperature=temperature, top_k=top_k).numpy()
    counts = np.bincount(samples.reshape(-1, 2) @ (3, 1), minlength=9)
    expected = 20_000 * expected_frequencies(prior, every, temperature, top_k)
    possible = expected > 0
    assert np.all(counts[~possible] == 0)
    chi_square = ((counts - expected)[possible] ** 2 / expected[possible]).sum()
    assert chi_square < 27.9  # eight degrees of freedom at most: one chance in 2,000


def test_a_row_depends_on_its_own_seed_and_label_alone(kind, num_classes):
    prior = entries.shared(kind, num_classes)
    row = given(num_classes)
    samples = prior.sample(6, seed=11, **row).numpy()
    seeds = zoo.random.fold_in(11, np.arange(6, dtype=np.int32)).numpy()
    np.testing.assert_array_equal(prior.sample(6, seed=seeds, **row), samples)
    turned = {name: values[::-1].copy() for name, values in row.items()}
    np.testing.assert_array_equal(prior.sample(6, seed=seeds[::-1].copy(), **turned)[::-1], samples)
    alone = {name: values[4:5] for name, values in row.items()}
    np.testing.assert_array_equal(prior.sample(1, seed=seeds[4:5], **alone)[0], samples[4])
    assert len(np.unique(samples.reshape(6, -1), axis=0)) > 1
    assert np.any(prior.sample(6, **row) != prior.sample(6, **row))  # without a seed
    np.testing.assert_array_equal(prior.draw(seeds, np.ones(6, np.float32), **row), samples)


def greedy(prior, codes):
    """The likeliest code of each place given those before it, one whole pass a place."""
    codes = np.zeros_like(codes)
    for place in range(prior.length):
        logits = prior.logits(codes).numpy().reshape(len(codes), -1, 4)
        codes.reshape(len(codes), -1)[:, place] = logits[:, place].argmax(-1)
    return codes


def test_temperature_zero_and_top_1_take_the_likeliest_code(kind):
    prior = entries.shared(kind)
    expected = greedy(prior, entries.codes(4))
    np.testing.assert_array_equal(prior.sample(4, seed=0, temperature=0.0), expected)
    np.testing.assert_array_equal(prior.sample(4, seed=0, temperature=0.0, top_k=3), expected)
    np.testing.assert_array_equal(prior.sample(4, seed=0, temperature=5.0, top_k=1), expected)


def test_top_k_draws_none_of_the_others(kind):
    prior = entries.shared(kind)
    codes = prior.sample(64, seed=0, temperature=10.0, top_k=2).numpy()
    logits = prior.logits(codes).numpy()
    ranks = (logits > np.take_along_axis(logits, codes[..., None], -1)).sum(-1)
    assert set(ranks.ravel()) == {0, 1}
    np.testing.assert_array_equal(prior.sample(8, seed=0, top_k=4), prior.sample(8, seed=0))


BAD_ARGUMENTS = [
    ({"num_codes": 0}, "Expected `num_codes` to be an integer >= 1. Received: num_codes=0"),
    ({"grid_shape": (2,)}, r"Expected `grid_shape` to be a pair of integers \(h, w\). Received: grid_shape=\(2,\)"),
    ({"grid_shape": (2, 0)}, "Expected `grid_shape` to be an integer >= 1. Received: grid_shape=0"),
    ({"num_classes": 0}, "Expected `num_classes` to be an integer >= 1. Received: num_classes=0"),
    ({"dropout": 1.0}, "Expected `dropout` to be a finite number >= 0 and < 1. Received: dropout=1.0"),
    ({"depth": 0}, "Expected `depth` to be an integer >= 1. Received: depth=0"),
    ({"width": 0}, "Expected `width` to be an integer >= 1. Received: width=0"),
]


@pytest.mark.parametrize(("arguments", "message"), BAD_ARGUMENTS)
def test_bad_arguments_are_refused(kind, arguments, message):
    with pytest.raises(ValueError, match=message):
        kind(**{"num_codes": 4, "grid_shape": (2, 3), **arguments})


def test_bad_input_is_refused_with_what_was_expected_and_what_came(kind):
    prior, codes = entries.shared(kind), entries.codes()
    for method in (prior.log_prob, prior.logits):
        with pytest.raises(ValueError, match="Expected `codes` to be int32. Received: dtype=float32"):
            method(codes.astype(np.float32))
        with pytest.raises(
            ValueError, match=r"Expected `codes` to have the shape \[B, 2, 3\]. Received: shape \(6, 3, 2\)"
        ):
            method(codes.reshape(6, 3, 2))
        for wrong in (4, -1):
            with pytest.raises(ValueError, match=f"Expected `codes` to be from 0 to 3. Received: codes={wrong}"):
                method(np.full((1, 2, 3), wrong))
        with pytest.raises(ValueError, match="Expected no `labels`, as .* is not conditional"):
            method(codes, entries.labels())
    for options, message in (
        ({"num_samples": 0}, "Expected `num_samples` to be an integer >= 1. Received: num_samples=0"),
        ({"temperature": -1}, "Expected `temperature` to be .*>= 0. Received: temperature=-1"),
        ({"top_k": 0}, "Expected `top_k` to be an integer >= 1. Received: top_k=0"),
        ({"top_k": 5}, "Expected `top_k` to be at most num_codes=4. Received: top_k=5"),
        ({"seed": [1, 2]}, r"Expected `seed` to be an int or an int32 array of shape \[3\]"),
        ({"labels": [1, 2, 0]}, "Expected no `labels`"),
    ):
        with pytest.raises(ValueError, match=message):
            prior.sample(**{"num_samples": 3, **options})
    with pytest.raises(ValueError, match="Expected `loss` to be None.* Received: loss='mse'"):
        prior.compile(loss="mse")
    for name in ("metrics", "weighted_metrics"):
        with pytest.raises(ValueError, match=f"Expected `{name}` to be None, as a .* reconstructs nothing"):
            prior.compile(**{name: ["mse"]})


def test_a_conditional_prior_asks_for_labels_that_fit(kind):
    prior, codes = entries.shared(kind, entries.CLASSES), entries.codes()
    for call in (lambda labels: prior.log_prob(codes, labels), lambda labels: prior.sample(6, labels=labels)):
        with pytest.raises(ValueError, match="Expected `labels`, as .* is conditional. Received: None"):
            call(None)
        with pytest.raises(ValueError, match="Expected `labels` to be from 0 to 2. Received: labels=3"):
            call([0, 1, 2, 3, 0, 0])
        with pytest.raises(ValueError, match=r"Expected `labels` to be int32 of shape \[6\]"):
            call([0, 1])


def test_given_rows_stay_and_the_others_continue_them(kind):
    prior = entries.shared(kind)
    whole = prior.sample(6, seed=3).numpy()
    # With the same seeds, what follows a sample's own first row is the rest of that sample.
    np.testing.assert_array_equal(prior.sample(6, seed=3, given=whole[:, :1]), whole)
    rows = (whole[:, :1] + 1) % 4
    other = prior.sample(6, seed=3, given=rows).numpy()
    np.testing.assert_array_equal(other[:, :1], rows)
    assert (other[:, 1] != whole[:, 1]).any()
    for wrong in (rows[:, :, :2], np.zeros((6, 3, 3), np.int32)):
        with pytest.raises(ValueError, match=r"Expected `given` to be int32 \[B, r, 3\], at most 2 rows"):
            prior.sample(6, seed=3, given=wrong)
    with pytest.raises(ValueError, match="Expected `given` to be from 0 to 3"):
        prior.sample(6, seed=3, given=rows + 4)
