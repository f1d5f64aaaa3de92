"""The codes of a VQ-VAE under its prior, and the pixels given the codes: lossy, or lossless through lossy.

Codes are written in the order in which the prior computes them, by the loop that also reads them: a whole grid at once
would give other bits than place after place.
"""

import functools
import hashlib
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from zoo.codec import _pixels
from zoo.codec._coder import Queue, Script, constriction
from zoo.codec._note import Note
from zoo.codec._passes import CodePasses
from zoo.codec._tiles import Tiles
from zoo.runtime import checks

BATCHES = (1, 8, 64)
_STATE = 256  # bits; more than the state of the coder holds
_LEAST = 2.0**-24  # the least probability that the coder knows

Settings = dict[str, Any]


class Codes:
    """The codec of one model.

    Args:
        model: a `zoo.VQVAE` with a prior.
        lossless: bool, whether the pixels follow their codes.
        rate_weight: float >= 0, as in `zoo.codec.compress`; for writing only.
    """

    def __init__(self, model: keras.Model, lossless: bool, rate_weight: float = 0.0) -> None:
        self.model, self.lossless, self.rate_weight = model, lossless, rate_weight
        self.levels = _pixels.levels(model.likelihood) if lossless else 256
        self.batch_size = BATCHES[0]
        self._all_passes = {size: CodePasses(model, size) for size in BATCHES}

    def configure(self, settings: Settings) -> None:
        """Takes the settings of a file; ValueError for those that cannot be."""
        self.batch_size = checks.one_of("batch", checks.positive_int("batch", settings.get("batch")), BATCHES)

    @property
    def _passes(self):
        return self._all_passes[self.batch_size]

    def write(self, x: Tiles, note: Note) -> tuple[np.ndarray, Settings]:
        """The words of images, and the settings to read them with.

        Args:
            x: of float32 or uint8; of uint8 if the file is lossless.
            note: called for each batch with its first image's number, and the codes, or images if lossless.
        """
        self.batch_size = next((size for size in BATCHES if size >= len(x)), BATCHES[-1])
        queue = Queue()
        for start in range(0, len(x), self.batch_size):
            images = x[start : start + self.batch_size]
            codes = self._write(queue, images)
            note(start, images if self.lossless else codes)
        return queue.words(), {"batch": self.batch_size, "number": len(x)}

    def _write(self, queue, images):
        chosen, number = self._chosen(images), len(images)

        def choose(place, logits):
            codes = chosen(place, logits)
            queue.write(_script(logits[:number]), [codes[:number]])
            return codes

        codes = self._passes.follow(choose)
        if self.lossless:
            script = self._pixels(codes, number)
            queue.write(script, _pixels.symbols(self.model.likelihood, images))
        return codes[:number]

    def _chosen(self, images):
        """Function of a place and its logits `[B,K]` that gives the codes int32 `[B]` of at most a batch of images.

        The last rows are copies.
        """
        images = images.astype(np.float32) / np.float32(255.0) if images.dtype == np.uint8 else images
        images = images[np.minimum(np.arange(self.batch_size), len(images) - 1)]
        if not self.rate_weight:
            nearest = np.asarray(self.model.encode(images, batch_size=self.batch_size)).reshape(self.batch_size, -1)
            return lambda place, logits: nearest[:, place]
        distances = self._passes.distances(images) / self._spacing

        def cheapest(place, logits):
            bits = -np.log2(np.maximum(_probabilities(logits), _LEAST))
            return np.argmin(distances[:, place] + self.rate_weight * bits, axis=1).astype(np.int32)

        return cheapest

    @functools.cached_property
    def _spacing(self):
        """The mean squared distance of a code's vector from the nearest other one."""
        distances = self._passes.distances_of_codes()
        np.fill_diagonal(distances, np.inf)
        return distances.min(axis=1).mean()

    def read(self, words: np.ndarray, settings: Settings) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
        """The images, batch by batch: the first one's number; what `note` takes; images, uint8 or, if lossy, float32.

        Raises:
            EOFError: if the words end before.
        """
        number, queue = checks.positive_int("number", settings.get("number")), Queue(words)
        beyond = 0.0  # bits read after the words ended
        for start in range(0, number, self.batch_size):
            count = min(self.batch_size, number - start)

            def choose(place, logits, count=count):
                nonlocal beyond
                ended = queue.ended
                read = queue.read(_script(logits[:count]))
                beyond += _information(logits[:count], read) if ended else 0.0
                if beyond > _STATE:
                    raise EOFError
                return np.concatenate([read, np.zeros(self.batch_size - count, np.int32)])

            codes = self._passes.follow(choose)
            if self.lossless:
                images = queue.read(self._pixels(codes, count))
                yield start, images, images
            else:
                images = np.asarray(self.model.decode(codes, batch_size=self.batch_size))[:count]
                yield start, codes[:count], images

    def _pixels(self, codes, number):
        params = self._passes.params(codes)[:number]
        return _pixels.script(self.model.likelihood, params, self.model.image_shape[-1])

    def digest(self, settings: Settings) -> str:
        """Hash of what the networks and tables give for fixed codes, with the batch size of a file."""
        digest = hashlib.sha256()
        for logits in self._passes.digest(digest, self.lossless):
            digest.update(next(_script(logits))[1].tobytes())
        return digest.hexdigest()[:12]


def _script(logits: np.ndarray) -> Script:
    """The script of the codes of one place, under softmax(logits) `[n,K]`."""
    if logits.shape[1] == 1:  # the coder wants two: one more, that does not occur
        logits = np.pad(logits, [(0, 0), (0, 1)], constant_values=-np.inf)
    codes = yield constriction().model.Categorical(perfect=False), _probabilities(logits).astype(np.float32)
    return codes


def _probabilities(logits):
    logits = logits.astype(np.float64)
    probabilities = np.exp(logits - logits.max(axis=1, keepdims=True))
    return probabilities / probabilities.sum(axis=1, keepdims=True)


def _information(logits, codes):
    """−log2 of the probability of codes `[n]`, in sum."""
    chosen = np.take_along_axis(_probabilities(logits), codes[:, None].astype(np.int64), axis=1)
    return float(-np.log2(np.maximum(chosen, _LEAST)).sum())
