"""The likelihood of sounds, by their log-mel spectrograms."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
from keras import saving

from zoo import spectra
from zoo.likelihoods._base import Likelihood
from zoo.runtime import checks
from zoo.runtime.types import Config, Tensor


@saving.register_keras_serializable("zoo")
class MelSound(Likelihood):
    """A likelihood of the log-mel spectrogram of a sound: data are sounds `[B,N]`, the decoder gives `[B,F,·]`.

        log p(x|z) = log p̃(log_mel(x) | z)

    It is a density of the spectrogram, not of the waveform, whose phases it leaves open. The mean of the data, and
    samples, are waveforms that Griffin-Lim finds for the spectrogram: the whole model takes and gives waveforms. Its
    iterations amplify rounding: waveforms of an export may differ from the model's by 0.01, where 1e-4 is the limit of
    other outputs.

    Args:
        likelihood: a `zoo.likelihoods.Likelihood` of spectrograms `[B,F,mels]`, on the real line.
        iterations: int >= 0, of Griffin-Lim.
        kwargs: `rate`, `fft`, `hop`, `mels` and `floor`, as in `zoo.spectra.Mel`; and those of a keras layer.

    Raises:
        ValueError: for a likelihood of data in a range, or arguments out of range.

    Example:
        >>> judge = zoo.likelihoods.MelSound(zoo.likelihoods.Gaussian(1.0, range=None), iterations=8)
        >>> judge.mean(np.zeros((2, 128, 40), "float32")).shape
        TensorShape([2, 8192])
    """

    support = (-1.0, 1.0)
    couples_channels = True
    sensitivity = 100.0

    def __init__(self, likelihood: Likelihood | Mapping[str, object], iterations: int = 32, **kwargs: Any) -> None:
        names = [name for name in spectra.Mel.__dataclass_fields__ if name in kwargs]
        mel = spectra.Mel(**{name: kwargs.pop(name) for name in names})
        super().__init__(**kwargs)
        if isinstance(likelihood, dict):
            likelihood = keras.saving.deserialize_keras_object(likelihood)
        if not isinstance(likelihood, Likelihood) or likelihood.support is not None:
            checks.fail("likelihood", "a zoo.likelihoods.Likelihood on the real line, as with range=None", likelihood)
        self.likelihood, self.mel, self.unbounded = likelihood, mel, likelihood.unbounded
        self.iterations = checks.integer("iterations", iterations, 0)

    def check_params(self, data_shape: Sequence[int | None], params_shape: Sequence[int | None]) -> None:
        """Raises ValueError unless a decoder's output fits sounds of `data_shape`, (N,)."""
        if len(data_shape) != 1 or data_shape[0] is None:
            checks.fail("x", "sounds [B,N]", ("B", *data_shape))
        self.likelihood.check_params((self.mel.frames(data_shape[0]), self.mel.mels), params_shape)

    def log_prob(self, x: Tensor, params: Tensor, training: bool = False) -> Tensor:
        return self.likelihood.log_prob(self.mel.log_mel(x), params, training=training)

    def observed_log_prob(self, x: Tensor, params: Tensor, mask: Tensor, training: bool = False) -> Tensor:
        checks.fail("mask", "left out, as a spectrogram needs the whole sound", "a mask")

    def mean(self, params: Tensor) -> Tensor:
        return self.mel.griffin_lim(self.likelihood.mean(params), self.iterations)

    def sample(self, params: Tensor, seeds: Tensor) -> Tensor:
        return self.mel.griffin_lim(self.likelihood.sample(params, seeds), self.iterations)

    def get_config(self) -> Config:
        inner = keras.saving.serialize_keras_object(self.likelihood)
        return {**super().get_config(), "likelihood": inner, "iterations": self.iterations, **self.mel.get_config()}
