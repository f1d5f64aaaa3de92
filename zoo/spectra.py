"""Log-mel spectrograms of sounds and back, by matrix products: any runtime computes them, also in a TFLite file."""

import dataclasses
import functools
import math
import warnings
from typing import Any

import keras
import numpy as np
from keras import ops

from zoo.runtime import checks
from zoo.runtime.types import Tensor

_TINY = 1e-8


@dataclasses.dataclass(frozen=True)
class Mel:
    """The settings of a log-mel spectrogram.

        y[f, m] = log max(Σ_k W[m, k] |S[f, k]|, floor),   S the short-time Fourier transform

    Frames are windowed by a periodic Hann window, and the sound is padded with fft − hop zeros, half of them at each
    end, and the odd one behind: N samples have N / hop frames. W has triangles of height 1 with corners at equal
    distances on the mel scale, 2595 log10(1 + Hz / 700), from 0 to half the rate. (Davis & Mermelstein 1980,
    "Comparison of Parametric Representations for Monosyllabic Word Recognition"; O'Shaughnessy 1987 for the scale.)

    Args:
        rate: int >= 1, samples a second.
        fft: int, samples of a frame, a multiple of 2 · hop.
        hop: int >= 1, samples between frames.
        mels: int >= 1, bands.
        floor: float > 0, the least magnitude; a full-scale sine has a magnitude of fft / 4.

    Warns:
        UserWarning: of bands so narrow that they hold no frequency of the transform.
    """

    rate: int = 8000
    fft: int = 256
    hop: int = 64
    mels: int = 40
    floor: float = 0.01

    def __post_init__(self) -> None:
        for name in ("rate", "hop", "mels"):
            checks.positive_int(name, getattr(self, name))
        checks.multiple("fft", checks.positive_int("fft", self.fft), 2 * self.hop)
        checks.number("floor", self.floor, 0.0, open_low=True)
        empty = int((self.filters().sum(axis=1) == 0.0).sum())
        if empty:
            warnings.warn(
                f"{empty} of {self.mels} bands hold no frequency of a transform of {self.fft} samples, and are "
                "constant. Choose fewer mels, or a larger fft",
                stacklevel=3,
            )

    def frames(self, samples: int) -> int:
        """The number of frames of a sound; ValueError unless `samples` is a multiple of `hop`."""
        return checks.multiple("samples", samples, self.hop) // self.hop

    @property
    def _ends(self):
        """How many zeros pad a sound before and behind."""
        start = (self.fft - self.hop) // 2
        return start, self.fft - self.hop - start

    def filters(self) -> np.ndarray:
        """W, float64 `[mels, fft/2 + 1]`."""
        top = 2595 * math.log10(1 + self.rate / 2 / 700)
        corners = 700 * (10 ** (np.linspace(0, top, self.mels + 2) / 2595) - 1)
        low, middle, high = (corners[i : self.mels + i, None] for i in range(3))
        hertz = np.arange(self.fft // 2 + 1) * self.rate / self.fft
        return np.maximum(0.0, np.minimum((hertz - low) / (middle - low), (high - hertz) / (high - middle)))

    def stft(self, sound: Tensor) -> tuple[Tensor, Tensor]:
        """Real and imaginary part of S: float `[B,N]` to float32 `[B, N/hop, fft/2 + 1]` each."""
        sound = ops.cast(_checked(sound), "float32")
        frames, ratio = self.frames(sound.shape[-1]), self.fft // self.hop
        blocks = ops.reshape(ops.pad(sound, ((0, 0), self._ends)), (-1, frames + ratio - 1, self.hop))
        framed = ops.concatenate([blocks[:, i : i + frames] for i in range(ratio)], axis=-1)
        spectrum = ops.matmul(framed, _constants(self)["forward"])
        return spectrum[..., : self.fft // 2 + 1], spectrum[..., self.fft // 2 + 1 :]

    def istft(self, real: Tensor, imaginary: Tensor) -> Tensor:
        """The sound whose transform is nearest in squares: float32 `[B,F,fft/2 + 1]` each to `[B, F·hop]`."""
        frames, ratio = real.shape[1], self.fft // self.hop
        framed = ops.matmul(ops.concatenate([real, imaginary], axis=-1), _constants(self)["inverse"])
        parts = ops.reshape(framed, (-1, frames, ratio, self.hop))
        added = sum(ops.pad(parts[:, :, i], ((0, 0), (i, ratio - 1 - i), (0, 0))) for i in range(ratio))
        start = self._ends[0]
        sound = ops.reshape(added, (-1, (frames + ratio - 1) * self.hop))[:, start : start + frames * self.hop]
        return sound * _overlap(self, frames)

    def log_mel(self, sound: Tensor) -> Tensor:
        """y: float `[B,N]` in [−1, 1] to float32 `[B, N/hop, mels]`."""
        real, imaginary = self.stft(sound)
        magnitude = ops.sqrt(ops.square(real) + ops.square(imaginary))
        return ops.log(ops.maximum(ops.matmul(magnitude, _constants(self)["mel"]), self.floor))

    def magnitude(self, log_mel: Tensor) -> Tensor:
        """An estimate of |S| by the pseudo-inverse of W: float32 `[B,F,mels]` to `[B,F,fft/2 + 1]`."""
        mel = ops.exp(log_mel)
        mel = ops.where(mel > 1.01 * self.floor, mel, 0.0)  # at the floor it may have been anything less
        return ops.maximum(ops.matmul(mel, _constants(self)["linear"]), 0.0)

    def griffin_lim(self, log_mel: Tensor, iterations: int = 32) -> Tensor:
        """A sound of a log-mel spectrogram: float32 `[B,F,mels]` to `[B, F·hop]` in [−1, 1]; deterministic.

            S ← √2 A S' / √(|S'|² + A²),   S' = stft(istft(S)),   A = `magnitude`(log_mel)

        Griffin & Lim 1984, "Signal Estimation from Modified Short-Time Fourier Transform"; deviation: theirs is
        A S' / |S'|. Near |S'| = A the two agree; where |S'| is small, its phase is all rounding, and the sum damps it.
        On recordings of speech this changes the distance that 32 iterations reach by a few hundredths of a decibel, and
        the sounds of two runtimes stay closer to each other. The first phases are those of sines in the middle of each
        bin.

        Args:
            log_mel: as `log_mel` gives it.
            iterations: int >= 0.
        """
        magnitude = self.magnitude(log_mel)
        real, imaginary = (magnitude * each for each in _first_phases(self, log_mel.shape[1]))

        def step(_, spectrum):
            real, imaginary = self.stft(self.istft(*spectrum))
            total = ops.square(real) + ops.square(imaginary) + ops.square(magnitude)
            factor = math.sqrt(2.0) * magnitude / ops.sqrt(total + _TINY)
            return real * factor, imaginary * factor

        spectrum = ops.fori_loop(0, checks.integer("iterations", iterations, 0), step, (real, imaginary))
        return ops.clip(self.istft(*spectrum), -1.0, 1.0)

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        return dataclasses.asdict(self)


def _checked(sound):
    """Raises ValueError for a sound of another shape or type; the values of an array are checked too."""
    dtype, shape = keras.backend.standardize_dtype(sound.dtype), tuple(sound.shape)
    if len(shape) != 2 or not keras.backend.is_float_dtype(dtype):
        checks.fail("sound", "float of shape [B, N]", f"{dtype} of shape {list(shape)}")
    if isinstance(sound, np.ndarray):
        checks.full_scale("sound", sound)
    return sound


@functools.cache
def _constants(mel):
    """The matrices of the transforms, float32."""
    size = mel.fft
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(size) / size)
    angles = 2 * np.pi * np.outer(np.arange(size), np.arange(size // 2 + 1)) / size
    twice = np.full(size // 2 + 1, 2.0)
    twice[[0, -1]] = 1.0
    forward = np.concatenate([np.cos(angles), -np.sin(angles)], axis=1) * window[:, None]
    inverse = np.concatenate([np.cos(angles) * twice, -np.sin(angles) * twice], axis=1).T / size * window
    filters = mel.filters()
    matrices = {"forward": forward, "inverse": inverse, "mel": filters.T, "linear": np.linalg.pinv(filters).T}
    return {name: matrix.astype(np.float32) for name, matrix in matrices.items()}


@functools.cache
def _overlap(mel, frames):
    """1 / Σ window² of the frames over each sample, float32 `[F·hop]`."""
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(mel.fft) / mel.fft)
    total = np.zeros((frames - 1) * mel.hop + mel.fft)
    for frame in range(frames):
        total[frame * mel.hop : frame * mel.hop + mel.fft] += window**2
    start = mel._ends[0]
    return (1.0 / np.maximum(total[start : start + frames * mel.hop], 1e-2)).astype(np.float32)


@functools.cache
def _first_phases(mel, frames):
    """Cosine and sine of the phases of sines in the middle of each bin, float32 `[F, fft/2 + 1]` each."""
    angles = 2 * np.pi * np.outer(np.arange(frames), np.arange(mel.fft // 2 + 1)) * mel.hop / mel.fft
    return np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)
