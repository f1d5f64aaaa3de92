"""Latents cut into bins of equal prior mass, and their scripts.

With b bits, a latent z = μ_p + σ_p u has 2^b bins in u, whose edges are quantiles of N(0, 1): under the prior each bin
takes b bits exactly. The posterior's probability of a bin is a difference of its distribution function. A bin stands
for its median. With 0 bits a latent is the prior's mean and takes no bits. (Townsend et al. 2019, "Practical Lossless
Compression with Latent Variables Using Bits Back Coding", section 2.5.1; Townsend et al. 2020, HiLLoC, section 3.2.)
"""

from collections.abc import Sequence

import numpy as np

from zoo.codec._coder import Script, constriction

MAX_BITS = 12
_ENTRIES = 1 << 20  # of a table: 8 MiB


class LatentGrid:
    """The bins of one layer's latents.

    Args:
        shape: the latents of an example, (D,) or (h, w, D).
        bits: D ints from 0 to `MAX_BITS`.
    """

    def __init__(self, shape: Sequence[int], bits: Sequence[int]) -> None:
        from scipy import special

        self.shape, self._ndtr = tuple(shape), special.ndtr
        self.bits = np.broadcast_to(np.asarray(bits, np.int64), self.shape)
        self._edges, self._medians = {}, {}
        for each in set(bits):
            quantiles = np.arange(2 * 2**each + 1) / (2 * 2**each)
            self._edges[each] = special.ndtri(quantiles[::2])
            self._medians[each] = special.ndtri(quantiles[1::2]).astype(np.float32)

    def medians(self, bins: np.ndarray) -> np.ndarray:
        """u of bins, int32 `[B,…]` to float32."""
        u = np.zeros(bins.shape, np.float32)
        for bits, medians in self._medians.items():
            of_bits = np.broadcast_to(self.bits == bits, bins.shape)
            u[of_bits] = medians[bins[of_bits]]
        return u

    def symbols(self, bins: np.ndarray) -> list[np.ndarray]:
        """The arrays that both scripts expect, of bins int32 `[B,…]`."""
        return [bins.reshape(-1)[places] for _, places in self._parts(len(bins))]

    def prior(self, number: int) -> Script:
        """The script of `number` examples under the prior; returns their bins."""
        bins = np.zeros(number * self.bits.size, np.int32)
        for bits, places in self._parts(number):
            sizes = np.full(len(places), 2**bits, np.int32)
            bins[places] = yield constriction().model.Uniform(), sizes
        return bins.reshape(number, *self.shape)

    def posterior(self, mean: np.ndarray, scale: np.ndarray) -> Script:
        """The script under N(mean, scale²) of u, float64 `[B,…]`; returns the bins."""
        bins = np.zeros(mean.size, np.int32)
        for bits, places in self._parts(len(mean)):
            table = self._masses(mean.reshape(-1)[places], scale.reshape(-1)[places], bits)
            bins[places] = yield constriction().model.Categorical(perfect=False), table.astype(np.float32)
        return bins.reshape(mean.shape)

    def draw(self, mean: np.ndarray, scale: np.ndarray, uniform: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Bins drawn from the posterior without a coder, and their information in bits, `[B]`."""
        bins, information = np.zeros(mean.size, np.int32), np.zeros(mean.size)
        for bits, places in self._parts(len(mean)):
            table = self._masses(mean.reshape(-1)[places], scale.reshape(-1)[places], bits)
            below = np.cumsum(table, axis=1) < uniform.reshape(-1)[places, None]
            bins[places] = np.minimum(below.sum(axis=1), 2**bits - 1)
            chosen = np.take_along_axis(table, bins[places, None].astype(np.int64), axis=1)[:, 0]
            information[places] = -np.log2(np.maximum(chosen, 2.0**-24))
        return bins.reshape(mean.shape), information.reshape(len(mean), -1).sum(axis=1)

    def _masses(self, mean, scale, bits):
        """The posterior's probabilities of the bins, `[N,2^bits]`."""
        edges = self._edges[bits]
        return np.diff(self._ndtr((edges - mean[:, None]) / scale[:, None]), axis=1)

    def _parts(self, number):
        """Pairs of bits and the places in the flat array of `number` examples; those of 0 bits are left out."""
        flat = np.tile(self.bits.reshape(-1), number)
        for bits in sorted(self._edges):
            places = np.flatnonzero(flat == bits) if bits else ()
            rows = max(_ENTRIES >> bits, 1)
            yield from ((bits, places[start : start + rows]) for start in range(0, len(places), rows))
