"""Sounds: a VAE and a residual VQ-VAE of log-mel spectrograms, which take and give waveforms."""

import math
from collections.abc import Sequence

import keras
import numpy as np
from keras import layers

from zoo import data, networks
from zoo.layers import LogMel
from zoo.likelihoods import Gaussian, Likelihood, MelSound, Standardized
from zoo.models import VAE, VQVAE
from zoo.quantizers import ResidualQuantizer
from zoo.runtime import checks
from zoo.spectra import Mel

_AT_ONCE = 256


def sound_vae(
    sounds: data.Sounds,
    mel: Mel | None = None,
    latent_dim: int = 32,
    filters: Sequence[int] = (64, 128, 128),
    dense: int = 256,
    likelihood: Likelihood | None = None,
    iterations: int = 32,
    seed: int | None = None,
) -> VAE:
    """An untrained VAE of sounds `[B,S]`, by convolutions along time over their log-mel spectrograms.

    Spectrograms are standardised by the mean and the deviation of each band of `sounds`; both are a part of the model.

    Args:
        sounds: training sounds; S / hop frames must be divisible by 2 ** len(filters).
        mel: `zoo.spectra.Mel`; None for 40 bands of frames of 32 ms, 8 ms apart.
        latent_dim, filters, dense: as in `zoo.networks.conv1d_encoder`; the decoder is its mirror image.
        likelihood: of standardised spectrograms; None for `zoo.likelihoods.Gaussian("optimal", range=None)`.
        iterations: int >= 0, of Griffin-Lim.
        seed: as in `zoo.VAE`; `keras.utils.set_random_seed` before this call fixes the initial weights too.

    Example:
        >>> sounds = zoo.data.made_digits(20, samples=2048)
        >>> vae = zoo.applications.sound_vae(sounds, latent_dim=4, filters=(8, 8), dense=16, iterations=2, seed=0)
        >>> vae.sample(3, seed=7).shape
        TensorShape([3, 2048])
    """
    judge, scaled, inputs, shape = _ends(sounds, mel, likelihood, iterations)
    inner = networks.conv1d_encoder(shape, latent_dim, filters, dense=dense)
    decoder = networks.conv1d_decoder(
        (shape[0], judge.likelihood.params_size(shape[1])), latent_dim, tuple(filters)[::-1], dense=dense
    )
    return VAE(keras.Model(inputs, inner(scaled), name="encoder"), decoder, judge, seed=seed)


def sound_vqvae(
    sounds: data.Sounds,
    mel: Mel | None = None,
    num_codes: int = 256,
    depth: int = 4,
    code_dim: int = 64,
    filters: int = 128,
    downsamples: int = 3,
    blocks: int = 2,
    likelihood: Likelihood | None = None,
    iterations: int = 32,
    seed: int | None = None,
) -> VQVAE:
    """An untrained VQ-VAE of sounds `[B,S]` with residual quantisation of their log-mel spectrograms.

    Codes are `[B, h, depth]`: the places along time, and the levels of a place. `bits_per_second` counts them.

    Args:
        sounds, mel, likelihood, iterations: as in `sound_vae`; S / hop frames must be divisible by 2 ** downsamples.
        num_codes, depth, code_dim: as in `zoo.quantizers.ResidualQuantizer`.
        filters, downsamples, blocks: as in `zoo.networks.conv1d_grid_encoder`; the decoder is its mirror image.
        seed: int or None, of the quantizer; `keras.utils.set_random_seed` before this call fixes the networks' weights.

    Example:
        >>> sounds = zoo.data.made_digits(20, samples=2048)
        >>> model = zoo.applications.sound_vqvae(sounds, num_codes=16, code_dim=4, filters=8, blocks=1, seed=0)
        >>> model.encode(sounds.waveforms[:3]).shape, zoo.applications.bits_per_second(model, sounds.rate)
        (TensorShape([3, 4, 4]), 250.0)
    """
    judge, scaled, inputs, shape = _ends(sounds, mel, likelihood, iterations)
    inner = networks.conv1d_grid_encoder(shape, code_dim, filters, downsamples, blocks)
    decoder = networks.conv1d_grid_decoder(
        tuple(inner.output_shape[1:]), judge.likelihood.params_size(shape[1]), filters, downsamples, blocks
    )
    quantizer = ResidualQuantizer(num_codes, code_dim, depth, seed=seed)
    return VQVAE(keras.Model(inputs, inner(scaled), name="encoder"), decoder, quantizer, judge)


def bits_per_second(model: VQVAE, rate: int) -> float:
    """The size of a model's codes, all equally long, for sounds of `rate` samples a second.

    Args:
        model: as `sound_vqvae` builds it.
        rate: int >= 1.

    Returns:
        float, bits a second.
    """
    checks.positive_int("rate", rate)
    if not isinstance(model, VQVAE) or len(model.image_shape) != 1:
        checks.fail("model", "a VQVAE of sounds, as sound_vqvae builds it", type(model).__name__)
    (samples,) = model.image_shape
    codes = model.quantizer.compute_output_spec(keras.KerasTensor((1, *model.features_shape)))["codes"].shape
    return math.prod(codes) * math.log2(model.num_codes) * rate / samples


def log_spectral_distance(sounds: np.ndarray, others: np.ndarray, mel: Mel | None = None) -> np.ndarray:
    """How far apart the spectra of two sounds are, float64 `[N]`, decibels.

    The root of the mean over bands of the squared difference of log-mel spectrograms, mean over the frames in which one
    of the two is above the floor in some band: silence in both would count as a perfect match.

    Args:
        sounds, others: float `[N,S]`.
        mel: `zoo.spectra.Mel`; None as in `sound_vae`.
    """
    sounds, others = checks.numpy_array("sounds", sounds), checks.numpy_array("others", others)
    if sounds.ndim != 2 or not len(sounds):
        checks.fail("sounds", "of shape [N,S], one at least", sounds.shape)
    if sounds.shape != others.shape:
        checks.fail("others", f"of the shape of sounds, {sounds.shape}", others.shape)
    mel, found = mel or Mel(), []
    for i in range(0, len(sounds), _AT_ONCE):
        first, second = (np.asarray(mel.log_mel(each[i : i + _AT_ONCE]), np.float64) for each in (sounds, others))
        heard = np.maximum(first, second).max(axis=2) > math.log(1.001 * mel.floor)
        by_frame = np.sqrt(np.square(first - second).mean(axis=2)) * 20 / math.log(10)
        found.append((by_frame * heard).sum(axis=1) / np.maximum(heard.sum(axis=1), 1))
    return np.concatenate(found)


def _ends(sounds, mel, likelihood, iterations):
    """The likelihood, the standardised spectrogram of an input, the input, and the spectrogram's shape."""
    if not isinstance(sounds, data.Sounds):
        checks.fail("sounds", "a zoo.data.Sounds", type(sounds).__name__)
    mel = Mel(rate=sounds.rate) if mel is None else mel
    if mel.rate != sounds.rate:
        checks.fail("mel", f"one of {sounds.rate} samples a second, as the sounds", f"Mel(rate={mel.rate})")
    samples = sounds.waveforms.shape[1]
    shape = (mel.frames(samples), mel.mels)
    sums, number = np.zeros((2, mel.mels)), len(sounds) * shape[0]
    for i in range(0, len(sounds), _AT_ONCE):
        spectrograms = np.asarray(mel.log_mel(sounds.waveforms[i : i + _AT_ONCE]), np.float64)
        sums += (spectrograms.sum(axis=(0, 1)), np.square(spectrograms).sum(axis=(0, 1)))
    means = sums[0] / number
    deviations = np.sqrt(np.maximum(sums[1] / number - means**2, 1e-6))
    inner = Standardized(likelihood or Gaussian("optimal", range=None), means.tolist(), deviations.tolist())
    inputs = keras.Input((samples,))
    scaled = layers.Normalization(axis=-1, mean=means.tolist(), variance=np.square(deviations).tolist())(
        LogMel(**mel.get_config())(inputs)
    )
    return MelSound(inner, iterations, **mel.get_config()), scaled, inputs, shape
