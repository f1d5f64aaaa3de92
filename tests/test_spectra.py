"""Log-mel spectrograms against scipy and formulas, and back to sounds."""

import math

import numpy as np
import pytest
from scipy import signal

from zoo.spectra import Mel

MEL = Mel(rate=8000, fft=256, hop=64, mels=40)


@pytest.fixture(scope="module")
def sounds():
    time = np.arange(2048) / 8000
    glide = np.sin(2 * np.pi * (300 * time + 2000 * time**2)) * np.hanning(2048)
    noise = np.random.default_rng(0).normal(size=2048)
    return np.stack([0.8 * glide, 0.2 * np.clip(noise, -4, 4)]).astype(np.float32)


@pytest.mark.parametrize("hop, fft, before, behind", [(64, 256, 96, 96), (63, 252, 94, 95), (3, 6, 1, 2)])
def test_the_transform_is_that_of_scipy(sounds, hop, fft, before, behind):
    mel, window, sounds = Mel(8000, fft, hop, mels=1), signal.get_window("hann", fft), sounds[:, : 32 * hop]
    padded = np.pad(sounds.astype(np.float64), ((0, 0), (before, behind)))
    _, _, expected = signal.stft(padded, window=window, nperseg=fft, noverlap=fft - hop, boundary=None, padded=False)
    real, imaginary = mel.stft(sounds)
    assert real.shape == (2, 32, fft // 2 + 1)
    found = np.asarray(real) + 1j * np.asarray(imaginary)
    np.testing.assert_allclose(found, window.sum() * expected.transpose(0, 2, 1), atol=1e-4)
    np.testing.assert_allclose(mel.istft(real, imaginary), sounds, atol=1e-5)


def test_a_sine_has_the_magnitude_of_its_bin_in_the_bands_around_it():
    sine = np.sin(2 * np.pi * 1000 * np.arange(1024) / 8000)[None]  # in the middle of bin 32
    spectrogram = np.asarray(MEL.log_mel(sine))[0, 8]
    # A Hann window gives N/4 in the bin and half of it in the two beside it.
    weights = MEL.filters()[:, 31:34] @ [32.0, 64.0, 32.0]
    np.testing.assert_allclose(spectrogram[weights > 0], np.log(weights[weights > 0]), atol=0.01)
    assert np.all(spectrogram[weights == 0] < math.log(0.5))


def test_filters_are_triangles_between_corners_on_the_mel_scale():
    filters = MEL.filters()
    assert filters.shape == (40, 129) and filters.min() == 0 and filters.max() <= 1
    hertz = 31.25 * np.arange(129)
    step = 2595 * math.log10(1 + 4000 / 700) / 41
    middle = 700 * (10 ** (20 * step / 2595) - 1)
    low, high = (700 * (10 ** (i * step / 2595) - 1) for i in (19, 21))
    expected = np.interp(hertz, [low, middle, high], [0, 1, 0])
    np.testing.assert_allclose(filters[19], expected, atol=1e-12)


def test_bands_without_a_frequency_are_warned_about():
    with pytest.warns(UserWarning, match="16 of 100 bands hold no frequency of a transform of 128 samples"):
        Mel(8000, 128, 32, 100)


def test_silence_is_at_the_floor_and_comes_back_as_silence():
    silence = np.zeros((1, 512), np.float32)
    spectrogram = MEL.log_mel(silence)
    np.testing.assert_allclose(spectrogram, math.log(0.01), rtol=1e-6)
    np.testing.assert_array_equal(MEL.griffin_lim(spectrogram, 2), silence)


def test_griffin_lim_finds_a_sound_of_the_spectrogram(sounds):
    wanted = MEL.log_mel(sounds)

    def distance(iterations):
        found = MEL.griffin_lim(wanted, iterations)
        assert found.shape == (2, 2048) and np.abs(found).max() <= 1.0
        loud = np.asarray(wanted) > 0.0
        return np.abs(np.asarray(MEL.log_mel(found)) - wanted)[loud].mean()

    assert distance(32) < 0.25 * distance(0)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"fft": 300, "hop": 64}, "Expected `fft` to be a multiple of 128"),
        ({"floor": 0.0}, "Expected `floor` to be a finite number > 0"),
        ({"mels": 0}, "Expected `mels` to be an integer >= 1"),
    ],
)
def test_wrong_settings_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        Mel(**arguments)
    with pytest.raises(ValueError, match="Expected `samples` to be a multiple of 64"):
        MEL.frames(100)


@pytest.mark.parametrize(
    "sound, message",
    [
        (np.zeros(128, np.float32), r"float of shape \[B, N\]. Received: sound='float32 of shape \[128\]'"),
        (np.zeros((1, 128), np.int16), "Received: sound='int16 of shape"),
        (np.full((1, 128), 3.0, np.float32), r"finite values in \[-1, 1\]. Received: sound='values up to 3'"),
        (np.full((1, 128), np.nan, np.float32), "Received: sound='values up to nan'"),
    ],
)
def test_what_is_no_sound_is_refused(sound, message):
    with pytest.raises(ValueError, match=message):
        MEL.log_mel(sound)
