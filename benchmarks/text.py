"""Sentence VAEs against a language model: the same decoder, tokens and steps, with and without latents.

    python benchmarks/text.py --output runs/text
    python benchmarks/text.py --output runs/text --test

The text is the sentences of the docstrings of Python's standard library and of the packages that this one depends on
(`zoo.data.docstring_sentences`, by its fixed rule; `text.txt` in --output holds it). A tenth of the lines validates,
a tenth tests, by the hash of a line. Each model is trained once and saved; the same command goes on with the next. The
first command reports figures of the validation lines, and --test those of the test lines, with interpolations.
"""

import argparse
import json
import pathlib
import sysconfig
import time

import zoo  # before TensorFlow, which reads the settings that zoo makes
from zoo import data
from zoo.applications import TextModel

import keras
import machine
import numpy as np
import tensorflow as tf
from keras import ops
from matplotlib.figure import Figure

PACKAGES = ("numpy", "scipy", "sklearn", "matplotlib", "keras", "tensorflow")
PAIRS = 4  # of sentences to interpolate between


@keras.saving.register_keras_serializable("benchmarks")
class LanguageModel(zoo.TextVAE):
    """The decoder alone: its latents are 0, the KL is 0, and `elbo` is the exact log p(x)."""

    def posterior(self, x, labels=None, training=False):
        zeros = ops.zeros((ops.shape(x)[0], self.decoder.latent_dim))
        return zeros, zeros

    def decoder_inputs(self, z, labels):
        return ops.zeros_like(z)


# (class, word dropout, free bits in nats per latent, cycles of the KL's weight; 0: it stays 1)
CONTENDERS = {
    "language model": (LanguageModel, 0.0, 0.0, 0),
    "plain VAE": (zoo.TextVAE, 0.0, 0.0, 0),
    "VAE, free bits, cycles": (zoo.TextVAE, 0.0, 0.25, 4),
    "VAE, free bits, cycles, word dropout": (zoo.TextVAE, 0.3, 0.25, 4),
}


def load(folder):
    """The text, collected once."""
    path = folder / "text.txt"
    if not path.exists():
        packages = pathlib.Path(sysconfig.get_path("purelib"))
        found = data.docstring_sentences([data.STANDARD_LIBRARY, *(packages / name for name in PACKAGES)])
        path.write_text("\n".join(found.lines) + "\n")
    return data.Text.from_file(path)


def build(kind, vocabulary, flags):
    cls, word_dropout, free_bits, _ = CONTENDERS[kind]
    keras.utils.set_random_seed(flags.seed)
    size = (vocabulary.length, vocabulary.size, flags.latent_dim)
    how = {"width": flags.width, "depth": flags.depth, "seed": flags.seed}
    encoder = zoo.networks.TextEncoder(*size, **how)
    decoder = zoo.networks.TextDecoder(*size, word_dropout, **how)
    model = cls(encoder, decoder, free_bits, flags.seed, vocabulary=vocabulary.get_config())
    encoder.trainable = cls is not LanguageModel
    return model


def train(kind, vocabulary, tokens, validation, flags):
    model, began = build(kind, vocabulary, flags), time.process_time()
    rate = keras.optimizers.schedules.CosineDecay(0.0, flags.steps, warmup_target=2e-3, warmup_steps=100)
    model.compile(keras.optimizers.Adam(rate, global_clipnorm=1.0), steps_per_execution=10)
    cycles = CONTENDERS[kind][-1]
    warmup = [zoo.callbacks.KLWarmup(flags.steps, cycles=cycles, ratio=0.5)] if cycles else []
    rows = tf.data.Dataset.from_tensor_slices(tokens).shuffle(len(tokens), seed=flags.seed).repeat()
    model.fit(
        rows.batch(flags.batch_size).prefetch(2), steps_per_epoch=flags.steps // 4, epochs=4, callbacks=warmup,
        validation_data=tf.data.Dataset.from_tensor_slices(validation[:512]).batch(128), verbose=2, shuffle=False,
    )  # fmt: skip
    return model, time.process_time() - began


def figures(model, lines, vocabulary, samples):
    """ELBO, its parts and a tighter bound, nats per sentence, with standard errors; and the reconstructed tokens."""
    tokens = vocabulary.encode(lines)
    count = (tokens > 0).sum(axis=1)
    found = model.evaluate(tf.data.Dataset.from_tensor_slices(tokens).batch(128), verbose=0, return_dict=True)
    elbo = model.log_prob(tokens, 1, 0).numpy().astype(np.float64)
    bound = elbo if type(model) is LanguageModel else model.log_prob(tokens, samples, 0).numpy().astype(np.float64)
    same = (np.asarray(model.reconstruct(tokens)) == tokens) & (tokens > 0)
    return {
        "lines": len(lines),
        "tokens": int(count.sum()),
        "elbo": float(elbo.mean()),
        "elbo_error": float(elbo.std() / np.sqrt(len(elbo))),
        "kl": found["kl"],
        "reconstruction": found["reconstruction"],
        "bound": float(bound.mean()),
        "bound_error": float(bound.std() / np.sqrt(len(bound))),
        "perplexity": float(np.exp(-bound.sum() / count.sum())),
        "tokens_reconstructed": float(same.sum() / count.sum()),
    }


def show(model, lines):
    """Prints reconstructions, samples and interpolations."""
    text = TextModel(model)
    for line, other in zip(lines[:PAIRS], text.reconstruct(lines[:PAIRS])):
        print(f"  {line}\n  -> {other}")
    print("\n  samples, greedy and drawn from p(x|z)")
    for line in (*text.sample(4, seed=0, greedy=True), *text.sample(4, seed=0)):
        print(f"  {line}")
    for path in text.interpolate(lines[:PAIRS], lines[PAIRS : 2 * PAIRS], 6):
        print()
        for line in path:
            print(f"  {line}")


def plot(results, path):
    """The two terms of −ELBO of each contender, stacked."""
    figure = Figure(figsize=(8, 2.4), layout="constrained")
    axis = figure.subplots()
    names = list(results)[::-1]
    distortion, rate = ([results[name][term] for name in names] for term in ("reconstruction", "kl"))
    axis.barh(names, distortion, label="−log p(x|z)")
    axis.barh(names, rate, left=distortion, label="KL")
    axis.set(xlabel="−ELBO, nats per sentence; of the language model −log p(x)")
    figure.legend(loc="outside upper right", ncols=2)
    figure.savefig(path, dpi=100)


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=pathlib.Path, default=pathlib.Path("runs/text_benchmark"))
    parser.add_argument("--contenders", nargs="+", choices=list(CONTENDERS), default=list(CONTENDERS))
    parser.add_argument("--tokens", type=int, default=2000, help="size of the vocabulary")
    parser.add_argument("--length", type=int, default=24, help="most tokens of a line")
    parser.add_argument("--latent-dim", type=int, default=32)
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--depth", type=int, default=2)
    parser.add_argument("--steps", type=int, default=900)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--samples", type=int, default=16, help="importance samples of the bound of test lines")
    parser.add_argument("--lines", type=int, default=1000, help="lines that figures are of, the first ones")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--test", action="store_true", help="the figures of the test lines")
    flags = parser.parse_args(argv)
    flags.output.mkdir(parents=True, exist_ok=True)
    text = load(flags.output)
    train_lines, validation, test = text.split()
    vocabulary = data.Vocabulary.learn(train_lines.lines, flags.tokens, flags.length)
    parts = [part.fitting(vocabulary) for part in (train_lines, validation, test)]
    print(f"made on {machine.line()}")
    print(f"{len(text)} lines; kept {[len(kept) for kept, _ in parts]}, too long {[len(long) for _, long in parts]}")
    (kept, _), (validation, _), (test, _) = parts
    tokens = vocabulary.encode(kept.lines)
    results = {}
    for kind in flags.contenders:
        path = flags.output / f"{kind.replace(', ', '_').replace(' ', '_')}.keras"
        seconds = None
        if not path.exists():
            model, seconds = train(kind, vocabulary, tokens, vocabulary.encode(validation.lines), flags)
            model.save(path)
        model = keras.models.load_model(path, compile=False)  # its optimizer did not see the encoder of all contenders
        model.compile()
        lines = (test if flags.test else validation).lines[: flags.lines]
        results[kind] = figures(model, lines, vocabulary, flags.samples if flags.test else 1)
        print(kind, {"cpu_seconds": seconds, **results[kind]}, flush=True)
        show(model, lines)
    name = "test" if flags.test else "validation"
    (flags.output / f"{name}.json").write_text(json.dumps(results, indent=2))
    plot(results, flags.output / f"{name}.png")


if __name__ == "__main__":
    main()
