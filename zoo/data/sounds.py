"""Sounds of equal length: from WAV files and TensorFlow Datasets, and to WAV files."""

import dataclasses
import io
import math
import pathlib
import re
import warnings
import wave

import numpy as np

from zoo.data.errors import DataError
from zoo.data.sources import prepared
from zoo.data.splits import _SPLIT_SEED
from zoo.runtime import checks, files
from zoo.runtime.types import PathLike

_STREAMED = 2**32 - 2**16  # bytes that the header of a file promises whose writer did not know its length
_DIGIT = re.compile(r"(\d)_(\w+)_(\d+)")  # names of the recordings of spoken digits: digit, speaker, number


@dataclasses.dataclass(frozen=True)
class Sounds:
    """Mono sounds of equal length.

    Args:
        waveforms: float32 `[N,S]` in [−1, 1].
        rate: int, samples a second.
        labels: int32 `[N]`, places in `classes`; or None.
        classes: strs.
        names: strs, one for each sound; or ().
        cropped: int, how many were longer and have lost their end.

    Raises:
        ValueError: for arguments of another type, shape or range, or that do not fit each other.
    """

    waveforms: np.ndarray
    rate: int
    labels: np.ndarray | None = None
    classes: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    cropped: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "waveforms", checks.numpy_array("waveforms", self.waveforms))
        checks.positive_int("rate", self.rate)
        if self.waveforms.ndim != 2 or self.waveforms.dtype != np.float32:
            received = f"{self.waveforms.dtype} of shape {self.waveforms.shape}"
            checks.fail("waveforms", "a float32 array of shape [N,S]", received)
        checks.full_scale("waveforms", self.waveforms)
        for name, value in (("labels", self.labels), ("names", self.names or None)):
            if value is not None and len(value) != len(self):
                checks.fail(name, f"one for each of {len(self)} sounds", f"{len(value)}")

    def __len__(self) -> int:
        return len(self.waveforms)

    def take(self, rows: np.ndarray) -> "Sounds":
        """Some of the sounds."""
        labels = None if self.labels is None else self.labels[rows]
        names = tuple(self.names[row] for row in rows) if self.names else ()
        return dataclasses.replace(self, waveforms=self.waveforms[rows], labels=labels, names=names)

    def split(self) -> "tuple[Sounds, Sounds, Sounds]":
        """Training, validation and test sounds.

        Recordings named DIGIT_SPEAKER_NUMBER, as those of spoken digits, are tested with the numbers 0 to 4, as their
        authors do, and validated with 5 to 9, if there are others. Of other sounds a tenth each is for validation and
        testing, the same ones at each call.
        """
        found = [_DIGIT.fullmatch(name) for name in self.names]
        numbers = np.array([int(each[3]) for each in found if each])
        if len(numbers) == len(self) and numbers.max() >= 10:
            group = numbers // 5
        else:
            group = np.random.default_rng(_SPLIT_SEED).permutation(len(self)) * 10 // max(1, len(self))
        parts = [np.flatnonzero(group >= 2), np.flatnonzero(group == 1), np.flatnonzero(group == 0)]
        if not all(map(len, parts)):
            checks.fail("sounds", "enough of them for training, validation and test", f"{len(self)} sounds")
        return self.take(parts[0]), self.take(parts[1]), self.take(parts[2])


def load_sounds(folder: PathLike, rate: int = 8000, samples: int = 8192, peak: float | None = 0.9) -> Sounds:
    """Reads the WAV files of a folder and its subfolders, in the order of their names.

    Several channels are averaged, other rates resampled. Longer sounds lose their end, and shorter ones get silence.
    The label of a sound is the name of its subfolder, or else the part of its name before the first "_".

    Args:
        folder: path.
        rate: int >= 1, samples a second.
        samples: int >= 1, the length S of all sounds.
        peak: float > 0, the largest magnitude that each sound is scaled to; None leaves them as they are.

    Raises:
        DataError: for a folder without WAV files, or a file that is none of PCM or empty; the message names it.

    Warns:
        UserWarning: of sounds that are silent throughout.
    """
    checks.positive_int("rate", rate)
    folder = pathlib.Path(folder)
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() == ".wav")
    if not paths:
        raise DataError(f"Expected {folder} to be a folder with WAV files. Received: none")
    groups = [path.parent.name if path.parent != folder else path.stem.split("_")[0] for path in paths]
    return _fitted([read_wav(path, rate) for path in paths], groups, [path.stem for path in paths], rate, samples, peak)


def load_spoken_digits(data_dir: PathLike | None = None, samples: int = 8192, peak: float | None = 0.9) -> Sounds:
    """The recordings of TFDS's `spoken_digit`, 8,000 samples a second; arguments as in `load` and `load_sounds`.

    Raises:
        DataError: if the dataset is not available.
    """
    try:
        builder = prepared("spoken_digit", data_dir)
    except DataError as error:
        if "pydub" not in str(error):
            raise
        raise DataError(
            "Expected the package pydub, which TFDS prepares spoken_digit with. Received: none. Install it with: "
            "pip install 'vae-zoo[sound]', or read a folder of the recordings with --wav or load_sounds"
        ) from error
    rows = list(builder.as_dataset(split="train", shuffle_files=False).as_numpy_iterator())
    names = [row["audio/filename"].decode().removesuffix(".wav") for row in rows]
    order = np.argsort(names)
    waveforms = [rows[i]["audio"].astype(np.float32) / 2**15 for i in order]
    labels = [str(rows[i]["label"]) for i in order]
    return _fitted(waveforms, labels, [names[i] for i in order], 8000, samples, peak)


def read_wav(path: PathLike, rate: int | None = None) -> np.ndarray:
    """The mean of a WAV file's channels, float32 `[S]` in [−1, 1], at `rate` samples a second or at its own.

    Raises:
        DataError: for a file that is no WAV of PCM with 8, 16, 24 or 32 bits, that was cut off, or without a sample.
        ValueError: for a rate below 1.
    """
    if rate is not None:
        checks.positive_int("rate", rate)
    try:
        with wave.open(_with_plain_header(path), "rb") as file:
            width, channels, own = file.getsampwidth(), file.getnchannels(), file.getframerate()
            frames = file.getnframes()
            content = file.readframes(frames)
    except (OSError, EOFError, RuntimeError, wave.Error) as error:
        # A RuntimeError comes of a part that reaches beyond the size which the file names.
        received = str(error) or "a file that is too short"
        raise DataError(f"Expected {path} to be a WAV file of PCM. Received: {received}") from error
    size, promised = width * channels, frames * width * channels
    if len(content) % size or len(content) < promised < _STREAMED:
        received = f"one that was cut off after {len(content) // size} of {frames} samples"
        raise DataError(f"Expected {path} to be a whole WAV file. Received: {received}")
    if not content:
        raise DataError(f"Expected {path} to hold a sound. Received: one without a sample")
    raw = np.frombuffer(content, np.uint8).reshape(-1, width)
    if width == 1:  # the only width without a sign
        numbers = raw[:, 0].astype(np.float64) - 128.0
    else:
        padded = np.zeros((len(raw), 4), np.uint8)
        padded[:, 4 - width :] = raw
        numbers = padded.view("<i4")[:, 0] / 2.0 ** (32 - 8 * width)
    sound = (numbers / 2.0 ** (8 * width - 1)).reshape(-1, channels).mean(axis=1)
    # Without its high frequencies a wave may reach further than with them.
    return np.clip(resample(sound, own, rate or own), -1.0, 1.0).astype(np.float32)


def _with_plain_header(path):
    """A WAV file; one of PCM has the plain header in the place of the extensible one, which `wave` refuses."""
    content = bytearray(pathlib.Path(path).read_bytes())
    start = content.find(b"fmt ", 12, 1024) + 8
    kind, of_extensible = (int.from_bytes(content[start + place : start + place + 2], "little") for place in (0, 24))
    if kind == 0xFFFE and of_extensible == wave.WAVE_FORMAT_PCM:
        content[start : start + 2] = wave.WAVE_FORMAT_PCM.to_bytes(2, "little")
    return io.BytesIO(content)


def write_wav(path: PathLike, waveform: np.ndarray, rate: int) -> None:
    """Writes a sound, float `[S]` in [−1, 1], as a WAV file of 16 bits.

    Raises:
        ValueError: for another shape or type, values outside of [−1, 1], NaN, or a rate below 1.
    """
    waveform, rate = np.asarray(waveform), checks.positive_int("rate", rate)
    if waveform.ndim != 1 or waveform.dtype.kind != "f":
        checks.fail("waveform", "float of shape [S]", f"{waveform.dtype} of shape {list(waveform.shape)}")
    largest = np.abs(waveform).max(initial=0.0)
    if not largest <= 1.0:
        checks.fail("waveform", "finite values in [-1, 1]", f"values up to {largest:g}")
    levels = np.round(waveform.astype(np.float64) * (2**15 - 1)).astype("<i2")
    pathlib.Path(path).parent.mkdir(parents=True, exist_ok=True)
    with files.replacing(path) as scratch, wave.open(str(scratch), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(levels.tobytes())


def resample(sound: np.ndarray, rate: int, target: int) -> np.ndarray:
    """A sound `[S]` at another rate, by its Fourier transform: no frequency above half the lower rate is left.

    The result has S · target / rate samples, rounded; sample n is the sound at n / target seconds.
    """
    if rate == target or not len(sound):
        return sound
    rate, target = checks.positive_int("rate", rate), checks.positive_int("target", target)
    # The transform takes both lengths for the same time, and the sound for a period: a ramp fills it up to where that
    # is so, from its end to its beginning.
    missing = -len(sound) % (rate // math.gcd(rate, target))
    filled = np.pad(sound, (0, missing), "linear_ramp", end_values=sound[0])
    spectrum, length = np.fft.rfft(filled), len(filled) * target // rate
    kept = np.zeros(length // 2 + 1, complex)
    number = min(len(kept), len(spectrum))
    kept[:number] = spectrum[:number]
    if min(length, len(filled)) % 2 == 0:
        # Half the lower rate is one term of the spectrum there, and two at the higher rate, of f and of −f.
        kept[number - 1] *= 2.0 if length < len(filled) else 0.5
    resampled = np.fft.irfft(kept, length) * (length / len(filled))
    return resampled[: max(1, round(len(sound) * target / rate))]


def _fitted(waveforms, groups, names, rate, samples, peak):
    """`Sounds` of one length."""
    checks.positive_int("samples", samples)
    if peak is not None:
        checks.number("peak", peak, 0.0, 1.0, open_low=True)
    fitted = np.zeros((len(waveforms), samples), np.float32)
    for row, waveform in zip(fitted, waveforms):
        row[: len(waveform)] = waveform[:samples]
        largest = np.abs(row).max()
        if peak is not None and largest > 0.0:
            row *= peak / largest
    silent = [name for name, row in zip(names, fitted) if not row.any()]
    if silent:
        warnings.warn(f"{len(silent)} of {len(names)} sounds are silent, such as {silent[0]!r}", stacklevel=3)
    classes = tuple(sorted(set(groups)))
    labels = np.array([classes.index(group) for group in groups], np.int32)
    return Sounds(fitted, rate, labels, classes, tuple(names), sum(len(waveform) > samples for waveform in waveforms))
