import entries
import numpy as np
import pytest
import tensorflow as tf

import zoo
from zoo.networks.attention import Block


@pytest.mark.parametrize("num_classes", (None, 10))
def test_cached_logits_are_those_of_the_whole_grid_at_a_usual_size(num_classes):
    prior = zoo.priors.Transformer(512, (8, 8), num_classes, width=64, depth=3, heads=4)
    draw = np.random.default_rng(0)
    for weight in prior.trainable_weights:
        weight.assign_add(draw.normal(0, 0.1, weight.shape))
    codes = draw.integers(0, 512, (5, 8, 8)).astype(np.int32)
    labels = None if num_classes is None else np.int32([0, 3, 9, 3, 5])
    step, cache, logits = tf.function(prior.step, autograph=False), prior.start(5), []
    for place in range(64):
        there, cache = step(tf.constant(place), tf.reshape(codes, (5, 64)), labels, cache)
        logits.append(there)
    expected = prior.logits(codes, labels).numpy().reshape(5, 64, 512)
    assert np.ptp(expected) > 5
    np.testing.assert_allclose(np.stack(logits, 1), expected, atol=1e-4)


def test_a_draw_is_one_loop_whatever_the_length_of_the_grid():
    def size(grid_shape):
        prior = zoo.priors.Transformer(8, grid_shape, width=8, depth=1, heads=1)
        draw = tf.function(prior.draw, autograph=False)
        graph = draw.get_concrete_function(tf.TensorSpec([2], tf.int32), tf.TensorSpec([2])).graph
        graph_def = graph.as_graph_def()
        return len(graph_def.node) + sum(len(function.node_def) for function in graph_def.library.function)

    assert size((8, 8)) < 1.1 * size((4, 4))


def test_width_is_a_multiple_of_heads():
    with pytest.raises(ValueError, match="Expected `width` to be a multiple of 3, at least 3. Received: width=16"):
        zoo.priors.Transformer(4, (2, 2), width=16, heads=3)
    with pytest.raises(ValueError, match="Expected `heads` to be an integer >= 1. Received: heads=0"):
        zoo.priors.Transformer(4, (2, 2), heads=0)


def test_both_terms_that_a_block_adds_are_dropped_in_training():
    block = Block(4, 2, 1, lambda term, training: 0.0 * term if training else term)
    x = np.random.default_rng(0).normal(size=(1, 3, 4)).astype(np.float32)
    np.testing.assert_array_equal(block(x, training=True), x)
    assert np.abs(block(x) - x).max() > 1e-6


def test_layers_that_add_to_the_path_begin_smaller_the_more_there_are():
    """Of eight blocks with two such layers each, a quarter of 0.02."""
    block = Block(64, 4, 8, None)
    for layer, deviation in (
        (block.query_key_value, 0.02), (block.hidden, 0.02), (block.attention_out, 0.005), (block.mlp_out, 0.005)
    ):  # fmt: skip
        np.testing.assert_allclose(np.std(layer.kernel), deviation, rtol=0.05)


def test_rows_and_columns_have_vectors_of_their_own():
    prior = entries.make(zoo.priors.Transformer)
    names = ("code_vectors", "first_vectors", "row_vectors", "column_vectors")
    assert [getattr(prior, name).embeddings.shape[0] for name in names] == [4, 1, 2, 3]
    codes = np.zeros((1, 2, 3), np.int32)
    before = prior.logits(codes).numpy()[0]
    prior.column_vectors.embeddings.assign_add([[0.0] * 16, [0.0] * 16, [1.0] * 8 + [-1.0] * 8])
    moved = np.abs(prior.logits(codes).numpy()[0] - before).max(-1) > 1e-6
    np.testing.assert_array_equal(
        moved, [[False, False, True], [True, True, True]]
    )  # the third column, and what follows


# By hand.


def dense(layer, x):
    kernel, *bias = layer.get_weights()
    return x @ kernel + (bias[0] if bias else 0.0)


def normalised(layer, x):
    gain, bias = layer.get_weights()
    centred = x - x.mean(axis=-1, keepdims=True)
    return centred / np.sqrt(np.mean(centred**2, axis=-1, keepdims=True) + 1e-5) * gain + bias


def gelu(x):
    return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))


def attention(block, x, heads):
    """softmax(q kᵀ / √d) v of each head, to which a place sees itself and those before: `[T,W]` to the same."""
    length, width = x.shape
    size = width // heads
    query, key, value = np.split(dense(block.query_key_value, x), 3, axis=1)
    mixed = np.zeros((length, width))
    for head in range(heads):
        of_head = slice(head * size, (head + 1) * size)
        for place in range(length):
            scores = np.array([query[place, of_head] @ key[seen, of_head] for seen in range(place + 1)]) / size**0.5
            weights = np.exp(scores) / np.exp(scores).sum()
            mixed[place, of_head] = weights @ value[: place + 1, of_head]
    return mixed


def logits_by_hand(prior, codes, label=0):
    """The logits of every place of one grid: `[T,K]`."""
    height, width = codes.shape
    before = prior.code_vectors.embeddings.numpy()[codes.ravel()[:-1]]
    x = np.concatenate([prior.first_vectors.embeddings.numpy()[[label]], before])
    rows, columns = np.divmod(np.arange(height * width), width)
    x = x + prior.row_vectors.embeddings.numpy()[rows] + prior.column_vectors.embeddings.numpy()[columns]
    for block in prior.blocks:
        x = x + dense(block.attention_out, attention(block, normalised(block.norm, x), prior.heads))
        x = x + dense(block.mlp_out, gelu(dense(block.hidden, normalised(block.norm_mlp, x))))
    return dense(prior.head, normalised(prior.norm, x))


@pytest.mark.parametrize("num_classes", (None, entries.CLASSES))
def test_logits_are_those_of_attention_in_numpy_for_the_whole_grid_and_step_by_step(num_classes):
    prior = entries.make(zoo.priors.Transformer, num_classes)
    codes, labels = entries.codes(3), None if num_classes is None else entries.labels(3)
    wanted = np.stack([logits_by_hand(prior, codes[row], labels[row] if num_classes else 0) for row in range(3)])
    assert np.ptp(wanted) > 2
    received = prior.logits(codes, labels=labels).numpy()
    np.testing.assert_allclose(received.reshape(3, prior.length, -1), wanted, atol=1e-4)
    cache = prior.start(3)
    for place in range(prior.length):
        there, cache = prior.step(tf.constant(place), tf.reshape(codes, (3, -1)), labels, cache)
        np.testing.assert_allclose(there, wanted[:, place], atol=1e-4, err_msg=f"place {place}")
