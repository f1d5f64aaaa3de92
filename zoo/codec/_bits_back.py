"""Bits-back coding: lossless, with a VAE or a hierarchical VAE.

    read z ~ q(z|x) from the stack;  write x under p(x|z);  write z under p(z)

An image takes −log p(x|z) − log p(z) + log q(z|x) bits, the negative ELBO on average. (Townsend et al. 2019, BB-ANS;
with layers read from the top down and written from the bottom up: Townsend et al. 2020, HiLLoC, section 3.4.) The first
image has nothing to read from: the stack begins with pseudo-random words, which stay in the file. Batches grow with the
stack: those of B images need the latents' bits B times.
"""

import hashlib
import math
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np

from zoo import likelihoods
from zoo.codec import _pixels
from zoo.codec._coder import Stack
from zoo.codec._latents import MAX_BITS, LatentGrid
from zoo.codec._note import Note
from zoo.codec._passes import LatentPasses
from zoo.codec._tiles import Tiles
from zoo.runtime import checks

BATCHES = (1, 4, 16, 64)
_SPARE = 8  # words at the bottom that are never read
_TRIAL = 64  # images that choose the bits of latents

Settings = dict[str, Any]


class BitsBack:
    """The codec of one model, a VAE or a hierarchical VAE."""

    def __init__(self, model: keras.Model) -> None:
        self.model, self.levels = model, _pixels.levels(model.likelihood)
        self._passes = {size: LatentPasses(model, size) for size in BATCHES}
        self.shapes = self._passes[1].shapes
        self.grids: list[LatentGrid] = []

    def configure(self, settings: Settings) -> None:
        """Takes the settings of a file; ValueError for those that cannot be."""
        self._set_bits(_checked_bits(settings.get("bits"), self.shapes))

    # Writing.

    def write(self, x: Tiles, note: Note) -> tuple[np.ndarray, Settings]:
        """The words of images, and the settings to read them with.

        Args:
            x: of uint8.
            note: called for each batch with its first image's number and the images.
        """
        bits = self._plan(x)
        self._set_bits(bits)
        for margin in (1.25, 2.0, 4.0):
            try:
                words, sizes, initial = self._write(x, margin, note)
                return words, {"bits": bits, "batches": _run_lengths(sizes), "initial": initial}
            except EOFError:  # a batch needed more bits than the stack had
                note.restart()
        raise RuntimeError("Bits-back coding found no batch sizes for which the stack is never empty")

    def _write(self, x, margin, note):
        """Writes once. Args: `margin`, over the information of latents so far, for those that come."""
        words = 16 + sum(grid.bits.sum() for grid in self.grids) // 16
        stack = Stack(_random_words(words), seal=True)
        before = stack.bits
        self._read_latents(stack, x[0:1])
        # The first images add little to what they take. Half of the margin serves them, as these words stay.
        initial = math.ceil((before - stack.bits) * (0.5 + 0.5 * margin) / 32) + _SPARE
        stack = Stack(_random_words(initial), seal=True)
        sizes, done, need = [], 0, math.inf
        while done < len(x):
            fitting = [n for n in BATCHES if n <= len(x) - done and n * need * margin <= stack.bits - 32 * _SPARE]
            size = max(fitting, default=1)
            taken = self._push(stack, x[done : done + size]) / size
            need = max(need, taken) if done else taken
            note(done, x[done : done + size])
            sizes.append(size)
            done += size
        return stack.words(), sizes, initial

    def _push(self, stack, x):
        """Writes a batch; returns the bits that its latents took from the stack."""
        before = stack.bits
        bins = self._read_latents(stack, x)
        taken = before - stack.bits
        params = self._generate(bins)
        stack.write(self._pixels(params), _pixels.symbols(self.model.likelihood, x))
        for grid, each in reversed(list(zip(self.grids, bins))):
            stack.write(grid.prior(len(x)), grid.symbols(each))
        return taken

    def _read_latents(self, stack, x):
        bins = []

        def choose(layer, posterior):
            bins.append(stack.read(self.grids[layer].posterior(*posterior)))
            return self.grids[layer].medians(bins[-1])

        self._passes[len(x)].infer(self._floats(x), choose)
        return bins

    # Reading.

    def read(self, words: np.ndarray, settings: Settings) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
        """The images, batch by batch from the last: the first one's number, and the images twice, uint8 `[n,H,W,C]`.

        Raises:
            EOFError: if the words end before.
            ValueError: for settings that cannot be, or words left at the end.
        """
        initial = checks.positive_int("initial", settings.get("initial"))
        runs = _checked_runs(settings.get("batches"))
        stack = Stack(words)
        end = sum(size * count for size, count in runs)
        for size, count in reversed(runs):
            for _ in range(count):
                end -= size
                images = self._pop(stack, size)
                yield end, images, images
        if initial > len(words) + _SPARE or not np.array_equal(_unsealed(stack), _random_words(initial)):
            raise EOFError

    def _pop(self, stack, size):
        bins = []

        def read(layer, posterior):
            bins.append(stack.read(self.grids[layer].prior(size)))
            return self.grids[layer].medians(bins[-1])

        params = self._passes[size].generate(read)
        x = stack.read(self._pixels(params))
        posteriors = []

        def note(layer, posterior):
            posteriors.append(posterior)
            return self.grids[layer].medians(bins[layer])

        self._passes[size].infer(self._floats(x), note)
        for grid, each, posterior in reversed(list(zip(self.grids, bins, posteriors))):
            stack.write(grid.posterior(*posterior), grid.symbols(each))
        return x

    # Both.

    def digest(self, settings: Settings) -> str:
        """Hash of what the networks and tables give for fixed inputs, with the batch sizes of a file."""
        digest = hashlib.sha256()
        for size in sorted({size for size, _ in _checked_runs(settings.get("batches"))}):
            params = self._passes[size].digest(digest)
            for value in (params, *next(self._pixels(params))[1:]):
                digest.update(value.tobytes())
        return digest.hexdigest()[:12]

    def _floats(self, x):
        return x.astype(np.float32) / np.float32(self.levels - 1)

    def _pixels(self, params):
        return _pixels.script(self.model.likelihood, params, self.model.image_shape[-1])

    def _generate(self, bins):
        values = [grid.medians(each) for grid, each in zip(self.grids, bins)]
        return self._passes[len(bins[0])].generate(lambda layer, _: values[layer])

    def _set_bits(self, bits):
        self.grids = [LatentGrid(shape, each) for shape, each in zip(self.shapes, bits)]

    # The bits of latents.

    def _plan(self, x):
        """For each layer the bits of its channels, those of the smallest file among a few candidates.

        A bin should be narrow against the posterior, but wide bins need fewer bits to begin with, which counts in small
        files. A channel whose posterior hardly differs from the prior may be left out: 0 bits.
        """
        size = max(size for size in BATCHES if size <= min(len(x), _TRIAL))
        trial = x[:size]
        scales, kls = self._statistics(trial)
        candidates = [
            [_bits(scale, kl, bins, silent) for scale, kl in zip(scales, kls)]
            for silent in (0.0, 1e-3, 1e-2, 0.1)
            for bins in (1.0, 2.0, 4.0)
        ]
        unique = [each for n, each in enumerate(candidates) if each not in candidates[:n]]
        return min(unique, key=lambda bits: self._expected_bits(trial, bits, len(x)))

    def _statistics(self, x):
        """By layer and channel: the small scales of the posterior in units of the prior, and the mean KL in nats."""
        generator, scales, kls = np.random.RandomState(1), [], []

        def choose(layer, posterior):
            mean, scale = posterior
            axes = tuple(range(mean.ndim - 1))
            scales.append(np.quantile(scale, 0.1, axis=axes))
            kls.append((0.5 * (mean**2 + scale**2 - 1.0) - np.log(scale)).mean(axis=axes))
            return (mean + scale * generator.standard_normal(mean.shape)).astype(np.float32)

        self._passes[len(x)].infer(self._floats(x), choose)
        return scales, kls

    def _expected_bits(self, x, bits, number):
        """The bits of a file of `number` images like `x`: `number` times the net bits, and those of the start."""
        self._set_bits(bits)
        generator, bins, information = np.random.RandomState(2), [], np.zeros(len(x))

        def choose(layer, posterior):
            grid = self.grids[layer]
            drawn, taken = grid.draw(*posterior, generator.uniform(size=posterior[0].shape))
            bins.append(drawn)
            information[:] += taken
            return grid.medians(drawn)

        self._passes[len(x)].infer(self._floats(x), choose)
        params = self._generate(bins)
        log_prob = np.asarray(self.model.judge(self._floats(x), params))
        pixels = -log_prob.mean() / math.log(2.0)
        if isinstance(self.model.likelihood, likelihoods.Gaussian):  # a density; of values on the grid k/255
            pixels += math.prod(x.shape[1:]) * math.log2(255.0)
        prior = sum(float(grid.bits.sum()) for grid in self.grids)
        return number * (pixels + prior - information.mean()) + information.mean()


def _bits(scale, kl, bins, silent):
    """Bits of each channel: the posterior's scale covers about `bins` bins. 0 where the KL is below `silent`."""
    # Near the prior's mean, a bin of 2^b is √(2π) / 2^b wide.
    bits = np.ceil(np.log2(np.maximum(bins * math.sqrt(2.0 * math.pi) / scale, 2.0)))
    return np.where(kl < silent, 0, np.clip(bits, 1, MAX_BITS)).astype(int).tolist()


def _checked_bits(bits, shapes):
    if not isinstance(bits, list) or len(bits) != len(shapes):
        checks.fail("data", f"bits for {len(shapes)} layers of latents", bits)
    for shape, each in zip(shapes, bits):
        fits = isinstance(each, list) and len(each) == shape[-1]
        if not fits or any(not checks.is_integer(b) or not 0 <= b <= MAX_BITS for b in each):
            checks.fail("data", f"{shape[-1]} numbers of bits from 0 to {MAX_BITS}", each)
    return bits


def _run_lengths(sizes):
    runs: list[list[int]] = []
    for size in sizes:
        if runs and runs[-1][0] == size:
            runs[-1][1] += 1
        else:
            runs.append([size, 1])
    return runs


def _checked_runs(runs: Any) -> Sequence[tuple[int, int]]:
    fits = isinstance(runs, list) and all(isinstance(run, list) and len(run) == 2 for run in runs)
    if not fits or any(
        not checks.is_integer(size) or size not in BATCHES or not checks.is_integer(n) or n < 1 for size, n in runs
    ):
        checks.fail("data", f"runs of batches of {BATCHES}", runs)
    return runs


def _random_words(number):
    """The first words of a stack, read from the end: more words have the same end."""
    return np.frombuffer(hashlib.shake_256(b"vae-zoo").digest(4 * int(number)), "<u4").astype(np.uint32)[::-1].copy()


def _unsealed(stack):
    try:
        return stack.words(unseal=True)
    except Exception as error:  # constriction's own kinds
        raise EOFError from error
