"""The sentence VAE: its probability by hand, its decoding, and its exports."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

import zoo
from zoo import data
from zoo.export import runtimes
from zoo.networks import TextDecoder, TextEncoder

VOCABULARY = data.Vocabulary(length=9)
LINES = ["red car", "blue car", "red dog", "a cat"]
TOKENS = VOCABULARY.encode(LINES * 4)
SMALL = {"width": 12, "depth": 1, "heads": 3, "seed": 3}


def make(word_dropout=0.25):
    keras.utils.set_random_seed(0)
    size = (VOCABULARY.length, VOCABULARY.size, 3)
    encoder, decoder = TextEncoder(*size, dropout=0.1, **SMALL), TextDecoder(*size, word_dropout, **SMALL)
    model = zoo.TextVAE(encoder, decoder, free_bits=0.125, seed=3, vocabulary=VOCABULARY.get_config(), name="other")
    model.compile(keras.optimizers.Adam(1e-2))
    return model


def fit(model, epochs):
    return model.fit(TOKENS, batch_size=8, epochs=epochs, verbose=0, shuffle=False).history


@pytest.fixture(scope="module")
def trained():
    model = make()
    model.first_history = fit(model, 8)
    return model


def log_softmax(logits):
    logits = np.asarray(logits, np.float64)
    return (
        logits
        - np.log(np.sum(np.exp(logits - logits.max(-1, keepdims=True)), -1, keepdims=True))
        - logits.max(-1, keepdims=True)
    )


def test_training_lowers_the_loss_and_the_kl_is_above_the_free_bits(trained):
    history = trained.first_history
    assert set(history) == {"loss", "reconstruction", "kl", "elbo"}
    assert history["loss"][-1] < 0.7 * history["loss"][0]
    assert trained.compute_terms(TOKENS[:4])["kl"].numpy().min() > 0.0


def test_the_probability_counts_each_token_and_the_end_but_no_padding(trained):
    z = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
    logits = log_softmax(trained.decoder(z, TOKENS[:4]))
    by_hand = [
        sum(logits[row, place, token] for place, token in enumerate(TOKENS[row]) if token > 0) for row in range(4)
    ]
    assert [int((TOKENS[row] > 0).sum()) for row in range(4)] == [8, 9, 8, 6]
    np.testing.assert_allclose(trained.judge(tf.constant(TOKENS[:4]), z), by_hand, rtol=1e-5)
    terms = trained.compute_terms(TOKENS[:4])
    np.testing.assert_allclose(terms["elbo"], -(terms["reconstruction"] + terms["kl"]), rtol=1e-6)


def test_the_probabilities_of_all_sentences_add_up_to_one():
    keras.utils.set_random_seed(1)
    size = (3, 5, 2)  # two tokens of its own, 3 and 4
    decoder = TextDecoder(*size, **SMALL)
    model = zoo.TextVAE(TextEncoder(*size, **SMALL), decoder)
    decoder.head.bias.assign([3.0, 2.0, 0.5, -0.5, 1.0])
    longest = itertools.product((3, 4), (3, 4), (2, 3, 4))
    every = [[2, 0, 0], [3, 2, 0], [4, 2, 0], *(list(each) for each in longest)]
    z = np.tile(np.float32([[0.3, -2.0]]), (len(every), 1))
    total = np.exp(np.asarray(model.judge(tf.constant(every), z), np.float64)).sum()
    assert len(every) == 1 + 2 + 12 and total == pytest.approx(1.0, abs=1e-5)


def test_the_posterior_does_not_see_padding(trained):
    before = trained.encode(TOKENS[:4])["mean"].numpy()
    vectors = trained.encoder.token_vectors.embeddings
    kept = vectors.numpy()
    try:
        other = np.random.default_rng(0).normal(size=kept.shape)
        vectors.assign(kept + other * (np.arange(len(kept)) == 0)[:, None])
        np.testing.assert_allclose(trained.encode(TOKENS[:4])["mean"], before, atol=1e-6)
        vectors.assign(kept + other * (np.arange(len(kept)) == 2)[:, None])  # the end is seen
        assert np.abs(trained.encode(TOKENS[:4])["mean"] - before).max() > 1e-3
    finally:
        vectors.assign(kept)


def test_an_encoder_of_longer_sentences_has_the_same_posterior(trained):
    """The mean over places is that over tokens, however many places hold padding."""
    longer = TextEncoder(VOCABULARY.length + 4, VOCABULARY.size, 3, dropout=0.1, **SMALL)
    for weight, other in zip(longer.weights, trained.encoder.weights, strict=True):
        weight.assign(other if weight.shape == other.shape else np.pad(other, ((0, 4), (0, 0))))
    padded = np.pad(TOKENS[:4], ((0, 0), (0, 4)))
    np.testing.assert_allclose(longer(padded), trained.encoder(TOKENS[:4]), rtol=1e-4, atol=1e-6)


def test_a_place_sees_the_tokens_before_it_alone(trained):
    z, changed = np.zeros((1, 3), np.float32), TOKENS[:1].copy()
    changed[0, 4] = 77
    one, other = (np.asarray(trained.decoder(z, tf.constant(x))) for x in (TOKENS[:1], changed))
    np.testing.assert_allclose(one[:, :5], other[:, :5], atol=1e-5)
    assert np.abs(one[:, 5] - other[:, 5]).max() > 1e-3


def test_dropped_words_are_not_seen_in_training():
    decoder = TextDecoder(9, 259, 3, word_dropout=0.9999, **SMALL)
    z = np.zeros((2, 3), np.float32)
    hidden = decoder(z, TOKENS[:2], training=True).numpy()
    np.testing.assert_allclose(hidden[0], hidden[1], atol=1e-6)
    nothing = decoder(z, np.zeros_like(TOKENS[:2])).numpy()  # padding stands for a dropped word
    np.testing.assert_allclose(hidden, nothing, atol=1e-6)
    seen = decoder(z, TOKENS[:2]).numpy()
    assert np.abs(seen[0] - seen[1]).max() > 1e-4


def test_decoding_takes_the_likeliest_token_or_the_one_of_the_seed(trained):
    z = np.random.default_rng(1).normal(size=(5, 3)).astype(np.float32)
    greedy = trained.decode(z).numpy()
    assert greedy.dtype == np.int32 and greedy.shape == (5, 9)
    best = np.asarray(trained.decoder(z, greedy)).argmax(axis=-1)
    seeds = zoo.random.row_seeds(7, 5)
    drawn = trained.decoder.generate(z, seeds).numpy()
    noise = np.stack([zoo.random.gumbel(zoo.random.fold_in(seeds, place), (259,)) for place in range(9)], axis=1)
    noisy = (np.asarray(trained.decoder(z, drawn)) + noise).argmax(axis=-1)
    for tokens, expected in ((greedy, best), (drawn, noisy)):
        before_end = np.cumsum(tokens == 2, axis=1) - (tokens == 2) == 0
        np.testing.assert_array_equal(tokens, np.where(before_end, expected, 0))
        assert not np.isin(tokens[before_end], (0, 1)).any()


def test_samples_follow_their_own_seeds(trained):
    samples, observed = (trained.sample(6, seed=11, observe=observe).numpy() for observe in (False, True))
    assert samples.dtype == np.int32 and len(np.unique(samples, axis=0)) > 1
    seeds = zoo.random.fold_in(11, np.arange(6, dtype=np.int32)).numpy()
    np.testing.assert_array_equal(trained.sample(6, seed=seeds[::-1].copy(), observe=True).numpy()[::-1], observed)
    assert (samples != observed).any()
    cold = trained.sample(2, temperature=0.0).numpy()
    np.testing.assert_array_equal(cold, trained.decode(np.zeros((2, 3), np.float32)))


def test_reconstruct_is_decode_of_encode_and_of_embed(trained):
    x = TOKENS[:4]
    np.testing.assert_array_equal(trained.reconstruct(x), trained.decode(trained.encode(x)["mean"]))
    np.testing.assert_array_equal(trained.decode_embedding(trained.embed(x)), trained.reconstruct(x))
    proposal = trained.propose(tf.constant(x), zoo.random.fold_in(zoo.random.row_seeds(0, 4), 0))
    weights = trained.judge(tf.constant(x), proposal.params) + proposal.log_ratio
    np.testing.assert_allclose(weights, trained.log_prob(x), rtol=1e-5)


def check_export(model, path):
    written = model.export(path, images=TOKENS[:4], observe=True)
    rows = {(row["signature"], row["output"]): row for row in zoo.export.check(written, model, TOKENS[:4])}
    assert all(row["passed"] for row in rows.values())
    # The same tokens, not merely near ones.
    assert {rows[name, "x"]["largest"] for name in ("reconstruct", "decode", "sample", "sample_observed")} == {0.0}
    return written


@pytest.mark.slow
def test_a_saved_model_gives_the_same_tokens_for_the_same_seeds(trained, tmp_path):
    loaded = tf.saved_model.load(str(check_export(trained, tmp_path / "text")))
    spec = loaded.signatures["encode"].structured_input_signature[1]["x"]
    assert spec.dtype == tf.int32 and spec.shape.as_list() == [None, 9]


@pytest.mark.slow
def test_a_litert_file_gives_the_same_tokens_for_the_same_seeds(trained, tmp_path):
    check_export(trained, tmp_path / "text.tflite")


def changed(place, token):
    found = TOKENS[:4].copy()
    found[3, place] = token  # "a cat": five tokens, the end, and padding
    return found


NO_SENTENCES = {
    "behind the end": (changed(7, 70), "70 at place 7 of row 3"),
    "no end": (changed(5, 0), "0 at place 5 of row 3"),
    "padding alone": (0 * TOKENS[:4], "0 at place 0 of row 0"),
    "begin": (changed(2, 1), "1 at place 2 of row 3"),
}


@pytest.mark.parametrize("name", NO_SENTENCES)
def test_tokens_that_are_no_sentence_are_refused(trained, name):
    tokens, received = NO_SENTENCES[name]
    for use in (trained.log_prob, trained.encode, lambda x: trained.fit(x, verbose=0)):
        with pytest.raises(ValueError, match=f"Expected `x` to be sentences: .* after the end 2 .*{received}"):
            use(tokens)


def test_a_sentence_of_all_places_needs_no_end(trained):
    assert np.isfinite(trained.log_prob(np.full((1, 9), 70, np.int32)))


@pytest.mark.parametrize("name", ["text", pytest.param("text.tflite", marks=pytest.mark.slow)])
def test_an_export_gives_nan_for_tokens_that_are_no_sentence(trained, tmp_path, name):
    path = trained.export(tmp_path / name)
    runtime = (runtimes.LiteRT if path.suffix else runtimes.SavedModel)(path)
    seeds = np.zeros(4, np.int32)
    for tokens in (*(each for each, _ in NO_SENTENCES.values() if each[0, 0]), changed(2, 259), changed(2, -1)):
        found = runtime.run("log_prob", x=tokens, seed=seeds)["log_prob"]
        assert np.isnan(found).tolist() == [False, False, False, True]


def test_networks_that_do_not_fit_are_refused(trained):
    for other, message in (
        ((10, 259, 3), "length, 9"), ((9, 100, 3), "num_tokens, 259"), ((9, 259, 4), "latent_dim, 3")
    ):  # fmt: skip
        with pytest.raises(ValueError, match=f"Expected `encoder` to be one of the decoder's {message}. Received"):
            zoo.TextVAE(TextEncoder(*other, **SMALL), trained.decoder)


def test_wrong_input_is_refused(trained):
    refused = [
        (TOKENS.astype(np.float32), "Expected `x` to be int32. Received: dtype=float32"),
        (TOKENS[:, :5], r"Expected `x` to have the shape \[B, 9\]. Received: shape \(16, 5\)"),
        (TOKENS + 200, "Expected `x` to be from 0 to 258. Received: x=3"),
    ]
    for x, message in refused:
        with pytest.raises(ValueError, match=message):
            trained.encode(x)
    with pytest.raises(ValueError, match="Expected `y` to be None, as a sentence is its own target"):
        trained.fit(TOKENS, TOKENS.astype(np.float32), verbose=0)
    with pytest.raises(ValueError, match="Expected `decoder` to be a zoo.networks.TextDecoder"):
        zoo.TextVAE(trained.encoder, zoo.networks.mlp_decoder((9,), 3))
    with pytest.raises(ValueError, match="Expected `word_dropout` to be a finite number >= 0 and < 1"):
        TextDecoder(9, 259, 3, word_dropout=1.0)
