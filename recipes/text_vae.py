"""VAE of the lines of a text: reconstructions, samples, and the way from one sentence to another.

    python recipes/text_vae.py --text FILE
    python recipes/text_vae.py --text FILE --vocabulary subwords --length 32
    python recipes/text_vae.py --sample

FILE is UTF-8, and a line of it is an example. By the hash of a line a tenth of the lines is used for validation and
another tenth for testing, and no line is in two parts. Lines of more than --length − 1 tokens are left out; their
number, and the first of them, are printed. The vocabulary is kept with the model: the bytes, or sub-words learned from
the training lines, which need `pip install 'vae-zoo[text]'`. Word dropout, free bits and a weight of the KL that rises
in cycles keep the KL above 0.

Written to --output, besides what all recipes write: `sentences.txt`, with reconstructions of test lines, samples, and
lines on the way between two sentences. `zoo.applications.TextModel.load` reads `model.keras`. The export's signatures
take and give tokens, and `text.json` in it is the vocabulary.

--sample trains a small model on short sentences of the docstrings of Python's standard library and of NumPy.

Hardware: two CPU cores. Time of --sample: 2.7 minutes of CPU time, 111 seconds of them training. Seed 0: ELBO −55.9
nats per test line, with a KL of 3.5 nats; it has learned how a sentence begins, and no more.
"""

import dataclasses
import functools
import pathlib

import numpy as np

import zoo
from zoo import data, training
from zoo.applications import TextModel
from zoo.runtime import checks, files

_SHOWN = 6  # sentences of each kind in sentences.txt


@dataclasses.dataclass(frozen=True)
class Flags:
    text: pathlib.Path | None = training.flag(None, "text file in UTF-8; a line is an example")
    sample: bool = training.flag(False, "train a small model on sentences of Python's documentation")
    vocabulary: str = training.flag("bytes", "kind of the tokens", choices=("bytes", "subwords"))
    tokens: int = training.flag(2000, "number of sub-words", only={"vocabulary": ("subwords",)})
    length: int = training.flag(96, "most tokens of a line, its end among them", sample=40)
    latent_dim: int = training.flag(32, "dimensions of z", sample=16)
    width: int = training.flag(128, "numbers of a place in the transformers", sample=96)
    depth: int = training.flag(2, "blocks of each transformer")
    word_dropout: float = training.flag(0.3, "share of tokens that the decoder does not see in training", sample=0.2)
    free_bits: float = training.flag(0.25, "nats of each latent that cost nothing")
    cycles: int = training.flag(4, "cycles of the weight of the KL")

    def __post_init__(self):
        if self.sample == (self.text is not None):
            checks.fail("--text", "a file, or left out with --sample", None if self.text is None else str(self.text))
        checks.integer("--length", self.length, 2)
        checks.positive_int("--cycles", self.cycles)
        if self.vocabulary == "subwords":
            try:
                checks.extra("text", "tokenizers")
            except ImportError as error:
                raise ValueError(str(error)) from error  # a usage error


@functools.cache
def corpus(flags):
    """The vocabulary and the three parts of the text, without the lines that are too long."""
    if flags.sample:
        found = data.docstring_sentences([data.STANDARD_LIBRARY, pathlib.Path(np.__file__).parent], 15, 39)
    else:
        found = data.Text.from_file(flags.text)
    parts = found.split()
    if flags.vocabulary == "bytes":
        vocabulary = data.Vocabulary(flags.length)
    else:
        vocabulary = data.Vocabulary.learn(parts[0].lines, flags.tokens, flags.length)
    kept, left_out = zip(*(part.fitting(vocabulary) for part in parts))
    numbers = sorted(number for part in left_out for number in part)
    if numbers:
        first = ", ".join(map(str, numbers[:5]))
        print(f"{len(numbers)} lines of more than {flags.length - 1} tokens are left out, first {first}")
    if len(kept[2]) < 2:
        checks.fail("--text", "a file with two or more test lines, a tenth of all, that are not too long", len(kept[2]))
    return vocabulary, kept


def build(flags, shape, seed):
    vocabulary, _ = corpus(flags)
    return TextModel.build(
        vocabulary, flags.latent_dim, flags.width, flags.depth, word_dropout=flags.word_dropout,
        free_bits=flags.free_bits, seed=seed,
    ).model  # fmt: skip


def load(flags, shape, disk_folder):
    vocabulary, parts = corpus(flags)
    return data.Splits(*(vocabulary.encode(part.lines) for part in parts))


def finish(flags, model, splits, folder, seed):
    """Writes and prints sentences; figures of the test lines."""
    text, tokens = TextModel(model), splits.test
    lines = text.vocabulary.decode(tokens[: 2 * _SHOWN])
    half = len(lines) // 2
    written = ["Reconstructions", *(f"{a}\n  {b}" for a, b in zip(lines, text.reconstruct(lines)))]
    written += ["", "Samples, the likeliest tokens of a sampled z", *text.sample(_SHOWN, seed, greedy=True)]
    written += ["", "Samples, tokens sampled from p(x|z) for the same z", *text.sample(_SHOWN, seed)]
    written += ["", "Interpolations"]
    for path in text.interpolate(lines[:half], lines[half : 2 * half]):
        written += [*path, ""]
    print("\n".join(written))
    files.write_text(folder / "sentences.txt", "\n".join(written) + "\n")
    known = tokens > 0
    same = (np.asarray(model.reconstruct(tokens)) == tokens) & known
    nats = -float(np.sum(model.log_prob(tokens))) / known.sum()
    return {"nats_per_token": nats, "perplexity": float(np.exp(nats)), "tokens_reconstructed": same.sum() / known.sum()}


def callbacks(flags, total_steps):
    return [zoo.callbacks.KLWarmup(max(1, total_steps * 9 // 10), cycles=flags.cycles, ratio=0.5)]


main = training.script(
    __name__,
    __file__,
    __doc__,
    image_shape=lambda flags: (flags.length,),
    build=build,
    flags=Flags,
    load=load,
    training_data=lambda flags: (
        "sentences of the docstrings of Python and NumPy" if flags.sample else f"the lines of {flags.text}"
    ),
    examples=training.Examples(
        noun="lines", batches=data.code_batches, finish=finish, exporter=lambda flags, model: TextModel(model).export
    ),
    callbacks=callbacks,
    epochs=30,
    sample_epochs=24,
    batch_size=64,
    learning_rate=2e-3,
    warmup_steps=100,
    gradient_clip=1.0,
    steps_per_execution=10,
)
