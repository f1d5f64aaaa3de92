"""Digits spoken by a synthesiser of a few lines, for trials without recordings. They sound like a toy."""

import numpy as np

from zoo.data.sounds import Sounds
from zoo.runtime import checks

# Sounds by their letters: formants in Hz, loudness of the voice, of hissing noise, and duration in seconds.
_SOUNDS = {
    "i": ((290, 2250, 2950), 1.0, 0.0, 0.13),
    "I": ((400, 1950, 2550), 1.0, 0.0, 0.09),
    "e": ((480, 1950, 2600), 1.0, 0.0, 0.13),
    "E": ((550, 1800, 2500), 1.0, 0.0, 0.10),
    "a": ((740, 1200, 2500), 1.0, 0.0, 0.14),
    "o": ((500, 880, 2400), 1.0, 0.0, 0.16),
    "u": ((320, 900, 2250), 1.0, 0.0, 0.17),
    "w": ((300, 650, 2200), 0.6, 0.0, 0.07),
    "r": ((400, 1200, 1600), 0.7, 0.0, 0.08),
    "n": ((250, 1400, 2400), 0.35, 0.0, 0.10),
    "v": ((300, 1100, 2300), 0.3, 0.1, 0.07),
    "z": ((300, 1700, 2600), 0.25, 0.3, 0.10),
    "s": ((300, 1700, 2600), 0.0, 0.5, 0.13),
    "f": ((300, 1100, 2300), 0.0, 0.12, 0.11),
    "t": ((300, 1700, 2600), 0.0, 0.6, 0.03),
    "_": ((300, 1700, 2600), 0.0, 0.0, 0.06),
}
_DIGITS = ("ziro", "wan", "tu", "fri", "for", "faiv", "sI_s", "sEvEn", "ei_t", "nain")
_SPEAKERS = ((105, 1.0), (130, 0.95), (170, 1.08), (210, 1.15), (250, 1.22), (90, 0.9))  # pitch in Hz, formants' scale


def made_digits(number: int = 1200, seed: int = 0, rate: int = 8000, samples: int = 8192) -> Sounds:
    """Digits of six voices, with random pitch, speed and loudness of their parts, by formant synthesis.

    Harmonics of a falling pitch have the gains of three resonances, which glide from one sound of a digit to the next;
    hissing sounds are noise, differenced. Names are DIGIT_SPEAKER_NUMBER.

    Args:
        number: int >= 1, of sounds; digits and voices take turns.
        seed: int.
        rate, samples: as in `load_sounds`.
    """
    checks.integer("rate", rate, 2000)  # below it the highest voice has no harmonic that the rate can hold
    waveforms, labels, names = [], [], []
    for row in range(checks.positive_int("number", number)):
        digit, speaker, turn = row % 10, row // 10 % len(_SPEAKERS), row // (10 * len(_SPEAKERS))
        draw = np.random.default_rng((seed, row))
        sound = _spoken(_DIGITS[digit], *_SPEAKERS[speaker], draw, rate)[:samples]
        waveforms.append(np.pad(sound, (0, samples - len(sound))))
        labels.append(digit)
        names.append(f"{digit}_voice{speaker}_{turn}")
    classes = tuple(map(str, range(10)))
    return Sounds(np.array(waveforms, np.float32), rate, np.array(labels, np.int32), classes, tuple(names))


def _spoken(letters, pitch, scale, draw, rate):
    """A word, float `[S]` with a peak of 0.9."""
    parts = [_SOUNDS[letter] for letter in letters]
    speed = draw.uniform(0.85, 1.3)
    durations = np.array([part[3] for part in parts]) * speed * draw.uniform(0.85, 1.15, len(parts))
    middles = np.cumsum(durations) - durations / 2
    time = np.arange(int(durations.sum() * rate)) / rate

    def along(values):  # glides from middle to middle
        return np.interp(time, middles, values)

    formants = [along([part[0][i] * scale * draw.uniform(0.95, 1.05) for part in parts]) for i in range(3)]
    voice, hiss = (along([part[i] * draw.uniform(0.8, 1.2) for part in parts]) for i in (1, 2))
    hertz = pitch * draw.uniform(0.9, 1.1) * (1.1 - 0.25 * time / time[-1])
    phase, harmonics = 2 * np.pi * np.cumsum(hertz) / rate, np.arange(1, int(rate / 2 / hertz.max()))
    frequencies = harmonics[:, None] * hertz
    gains = sum(level / (1 + ((frequencies - each) / 90) ** 2) for each, level in zip(formants, (1.0, 0.6, 0.3)))
    voiced = (gains * np.sin(harmonics[:, None] * phase)).sum(axis=0)
    noise = np.diff(draw.normal(size=len(time) + 1))
    ends = np.minimum(1, np.minimum(time, time[-1] - time) / 0.015)
    sound = (voice * voiced + 0.35 * hiss * noise) * ends
    return 0.9 * sound / np.abs(sound).max()
