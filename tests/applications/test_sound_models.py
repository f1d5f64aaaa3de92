"""Models of sounds take and give waveforms, in exports too."""

import keras
import numpy as np
import pytest
from scipy import stats

import zoo
from zoo import data
from zoo.applications import bits_per_second, log_spectral_distance, sound_vae, sound_vqvae
from zoo.export import runtimes
from zoo.likelihoods import Bernoulli, Gaussian, MelSound
from zoo.spectra import Mel

SMALL = Mel(fft=128, hop=32, mels=12)


@pytest.fixture(scope="module")
def sounds():
    return data.made_digits(20, samples=1024)


@pytest.fixture(scope="module")
def codes(sounds):
    keras.utils.set_random_seed(0)
    model = sound_vqvae(sounds, SMALL, 8, 2, 4, filters=8, downsamples=1, blocks=1, iterations=2, seed=0)
    model.compile(keras.optimizers.Adam(1e-2))
    model.fit(sounds.waveforms, epochs=2, batch_size=10, verbose=0)
    return model


def test_codes_are_a_grid_of_time_and_levels(codes, sounds):
    found = np.asarray(codes.encode(sounds.waveforms))
    assert found.shape == (20, 16, 2) and found.min() >= 0 and found.max() < 8 and len(np.unique(found)) > 2
    np.testing.assert_array_equal(codes.decode(found), codes.reconstruct(sounds.waveforms))
    # 32 codes of 3 bits for 1024 samples, at 8,000 a second.
    assert bits_per_second(codes, 8000) == 32 * 3 * 8000 / 1024
    with pytest.raises(ValueError, match="Expected `rate` to be an integer >= 1"):
        bits_per_second(codes, -8000)


@pytest.mark.slow
def test_the_tflite_file_takes_and_gives_waveforms(codes, sounds, tmp_path):
    codes.export(tmp_path / "sounds.tflite")  # checks every signature
    run = runtimes.LiteRT(tmp_path / "sounds.tflite").run
    found = run("encode", x=sounds.waveforms[:1])["codes"]
    np.testing.assert_array_equal(found, codes.encode(sounds.waveforms[:1]))
    sound = run("decode", codes=found)["x"]
    np.testing.assert_allclose(sound, codes.reconstruct(sounds.waveforms[:1]), atol=2e-3)


def test_a_vae_is_saved_with_its_spectrograms(sounds, tmp_path):
    model = sound_vae(sounds, SMALL, 3, (4,), 8, iterations=1, seed=0)
    bands = np.asarray(SMALL.log_mel(sounds.waveforms))
    np.testing.assert_allclose(model.likelihood.likelihood.means, bands.mean(axis=(0, 1)), rtol=1e-4)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(again.sample(2, seed=3), model.sample(2, seed=3))
    np.testing.assert_array_equal(again.encode(sounds.waveforms)["mean"], model.encode(sounds.waveforms)["mean"])


def test_the_likelihood_is_that_of_the_spectrogram(sounds):
    layer = MelSound(Gaussian(0.5, range=None), iterations=1, **SMALL.get_config())
    spectrogram = np.asarray(SMALL.log_mel(sounds.waveforms[:3]))
    params = spectrogram + np.random.default_rng(0).normal(size=spectrogram.shape).astype(np.float32)
    expected = stats.norm(params, 0.5).logpdf(spectrogram).sum(axis=(1, 2))
    np.testing.assert_allclose(layer.log_prob(sounds.waveforms[:3], params), expected, rtol=1e-4)
    np.testing.assert_array_equal(layer.mean(params), SMALL.griffin_lim(params, 1))
    with pytest.raises(ValueError, match="Expected the decoder to give"):
        layer.check_params((1024,), (16, 12))
    with pytest.raises(ValueError, match="Expected `likelihood` to be .* on the real line"):
        MelSound(Bernoulli())


def test_distances_are_in_decibels_of_the_frames_that_are_heard(sounds):
    x = sounds.waveforms[:4]
    np.testing.assert_array_equal(log_spectral_distance(x, x), 0.0)
    loud = np.random.default_rng(0).uniform(-0.5, 0.5, (2, 1024)).astype(np.float32)
    np.testing.assert_allclose(log_spectral_distance(loud, loud / 2), 20 * np.log10(2), rtol=1e-3)
    with pytest.raises(ValueError, match="Expected `others` to be of the shape of sounds"):
        log_spectral_distance(loud, loud[:1])


def test_sounds_of_another_rate_are_refused(sounds):
    with pytest.raises(ValueError, match=r"Expected `mel` to be one of 8000 samples a second.*Mel\(rate=16000\)"):
        sound_vae(sounds, Mel(rate=16000))
    with pytest.raises(ValueError, match="Expected `fft` to be a multiple of 120"):
        zoo.layers.LogMel(hop=60)


def test_a_sound_in_the_place_of_silence_counts():
    tone = np.sin(np.arange(2048) / 3.0)[None]
    nothing = np.zeros_like(tone)
    assert log_spectral_distance(nothing, tone)[0] == log_spectral_distance(tone, nothing)[0] > 10.0
    assert log_spectral_distance(nothing, nothing)[0] == 0.0
