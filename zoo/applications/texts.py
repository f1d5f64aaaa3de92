"""Texts: a VAE that takes and gives lines, samples them, scores them and passes from one to another."""

import json
import pathlib
from collections.abc import Sequence
from typing import Any, Self

import keras
import numpy as np

from zoo import callbacks, data, networks, random
from zoo.applications.interpolation import interpolate
from zoo.models import TextVAE
from zoo.runtime import checks, files
from zoo.runtime.types import PathLike, Seeds


class TextModel:
    """A `zoo.TextVAE` with its vocabulary: lines in, lines out.

    The vocabulary is a part of the model: `save`, `.keras` files and presets keep it.

    Args:
        model: a `zoo.TextVAE` with a `vocabulary`. `TextModel.build` makes one.

    Raises:
        ValueError: for another model.

    Example:
        >>> lines = ["A red car.", "A blue car.", "A red house."]
        >>> vocabulary = zoo.data.Vocabulary(length=16)
        >>> text = zoo.applications.TextModel.build(vocabulary, latent_dim=4, width=32, depth=1, seed=0)
        >>> text.fit(lines, epochs=1)
        >>> len(text.sample(3, seed=7))
        3
    """

    def __init__(self, model: keras.Model) -> None:
        if not isinstance(model, TextVAE) or model.vocabulary is None:
            checks.fail("model", "a zoo.TextVAE with a vocabulary, as TextModel.build makes it", type(model).__name__)
        self.model = model
        self.vocabulary = data.Vocabulary.from_config(model.vocabulary)
        if self.vocabulary.size != model.decoder.num_tokens or self.vocabulary.length != model.decoder.length:
            received = (self.vocabulary.length, self.vocabulary.size)
            checks.fail("vocabulary", f"of {model.decoder.length} of {model.decoder.num_tokens} tokens", received)

    @classmethod
    def build(
        cls,
        vocabulary: data.Vocabulary,
        latent_dim: int = 32,
        width: int = 128,
        depth: int = 2,
        heads: int = 4,
        word_dropout: float = 0.3,
        dropout: float = 0.0,
        free_bits: float = 0.25,
        seed: int | None = None,
    ) -> Self:
        """An untrained model for lines of a vocabulary.

        Args:
            vocabulary: `zoo.data.Vocabulary`.
            latent_dim, width, depth, heads, word_dropout, dropout: as in `zoo.networks.TextDecoder`; the encoder has
                the same sizes.
            free_bits: float >= 0, nats for each latent; see `zoo.VAE`.
            seed: int or None, of the noise in training; `keras.utils.set_random_seed` before this call fixes the
                initial weights too.
        """
        if not isinstance(vocabulary, data.Vocabulary):
            checks.fail("vocabulary", "a zoo.data.Vocabulary", type(vocabulary).__name__)
        size = (vocabulary.length, vocabulary.size, latent_dim)
        how: dict[str, Any] = {"width": width, "depth": depth, "heads": heads, "dropout": dropout, "seed": seed}
        encoder, decoder = networks.TextEncoder(*size, **how), networks.TextDecoder(*size, word_dropout, **how)
        return cls(TextVAE(encoder, decoder, free_bits, seed, vocabulary=vocabulary.get_config()))

    def fit(
        self,
        lines: Sequence[str],
        validation: Sequence[str] | None = None,
        epochs: int = 30,
        batch_size: int = 64,
        learning_rate: float = 2e-3,
        cycles: int = 4,
        verbose: int = 0,
    ) -> keras.callbacks.History:
        """Trains by Adam with a cosine decay of the learning rate, and a weight of the KL that rises in cycles.

        Args:
            lines: training lines.
            validation: lines that are not trained on, or None.
            epochs, batch_size, learning_rate: of the training.
            cycles: int >= 1, of the KL's weight, in the first nine tenths of the training (`zoo.callbacks.KLWarmup`).
            verbose: as in Keras's `fit`.
        """
        tokens = self.vocabulary.encode(lines)
        if not len(tokens):
            checks.fail("lines", "one line or more", lines)
        total = -(-len(tokens) // checks.positive_int("batch_size", batch_size)) * checks.positive_int("epochs", epochs)
        learning_rate = checks.number("learning_rate", learning_rate, 0.0, open_low=True)
        rate = keras.optimizers.schedules.CosineDecay(learning_rate, total)
        self.model.compile(keras.optimizers.Adam(rate, global_clipnorm=1.0))
        known = None if validation is None else self.vocabulary.encode(validation)
        return self.model.fit(
            tokens, batch_size=batch_size, epochs=epochs, verbose=verbose, validation_data=known,
            callbacks=[callbacks.KLWarmup(max(1, total * 9 // 10), cycles=cycles, ratio=0.5)],
        )  # fmt: skip

    def sample(self, num_lines: int, seed: Seeds = None, temperature: float = 1.0, greedy: bool = False) -> list[str]:
        """Samples lines: z from the prior, then tokens from p(x|z).

        Args:
            num_lines: int >= 1.
            seed: as in `model.sample`: a line depends on its own seed alone; None samples anew.
            temperature: float >= 0, multiplies the prior's standard deviation.
            greedy: bool, whether to take the likeliest token at each place instead, for the same z.
        """
        return self.vocabulary.decode(
            self.model.sample(num_lines, seed, temperature, observe=not checks.boolean("greedy", greedy))
        )

    def reconstruct(self, lines: Sequence[str]) -> list[str]:
        """Lines by way of their latents: those of the posterior mean, with the likeliest token at each place."""
        return self.vocabulary.decode(self.model.reconstruct(self.vocabulary.encode(lines)))

    def embed(self, lines: Sequence[str]) -> np.ndarray:
        """One vector for each line, float32 `[N,D]`: the posterior mean."""
        return np.asarray(self.model.embed(self.vocabulary.encode(lines)))

    def interpolate(self, start: Sequence[str], end: Sequence[str], num_steps: int = 8) -> list[list[str]]:
        """Lines on the way from each of `start` to each of `end`, `num_steps` for each pair, the ends among them."""
        tokens = interpolate(self.model, self.vocabulary.encode(start), self.vocabulary.encode(end), num_steps)
        return [self.vocabulary.decode(each) for each in tokens]

    def score(self, lines: Sequence[str], num_samples: int = 16, seed: int = 0) -> np.ndarray:
        """−log p of each line, the higher the more unusual: the importance-weighted bound, float64 `[N]`, nats.

        Longer lines have higher values: compare lines of one length, or values per token.
        """
        tokens = self.vocabulary.encode(lines)
        seeds = np.full(len(tokens), int(random.fold_in(checks.fixed_seed("seed", seed), 0)), np.int32)
        return -np.asarray(self.model.log_prob(tokens, num_samples, seeds), np.float64)

    def save(self, path: PathLike) -> None:
        """Writes a `.keras` file, which `load` reads; `keras.models.load_model` gives its model."""
        self.model.save(path)

    @classmethod
    def load(cls, path: PathLike) -> Self:
        """The model of a file that `save` wrote."""
        return cls(keras.models.load_model(path))

    def export(self, path: PathLike, **kwargs: Any) -> pathlib.Path:
        """Exports the model as `model.export` does, with `sample_observed`, and the vocabulary in `text.json`.

        The signatures take and give tokens. `text.json`, in a SavedModel's `assets.extra`, or beside a TFLite file as
        NAME.text.json, says how to make and read them: `data.Vocabulary.from_config`, or `tokens` for bytes.

        Args:
            path, kwargs: as in `zoo.export.export`.

        Returns:
            path of the version folder, or of the file.
        """
        written = self.model.export(path, observe=True, **kwargs)
        if written.is_file():
            target = written.with_suffix(".text.json")
        else:
            extra = written / "assets.extra"
            target = (extra if extra.is_dir() else written) / "text.json"
        files.write_json(target, json.loads(json.dumps(dict(self.model.vocabulary))))
        return written
