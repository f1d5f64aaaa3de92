"""The layer that turns sounds into log-mel spectrograms."""

from typing import Any

from keras import layers, saving

from zoo import spectra
from zoo.runtime.types import Config, Shape, Tensor


@saving.register_keras_serializable("zoo")
class LogMel(layers.Layer):
    """Sounds `[B,N]` to log-mel spectrograms `[B, N/hop, mels]`, in float32 under any dtype policy.

    Args:
        kwargs: `rate`, `fft`, `hop`, `mels` and `floor`, as in `zoo.spectra.Mel`, which has the formula; and those of
            a keras layer.

    Example:
        >>> zoo.layers.LogMel(rate=8000, mels=40)(np.zeros((2, 8192), "float32")).shape
        TensorShape([2, 128, 40])
    """

    def __init__(self, **kwargs: Any) -> None:
        names = [name for name in spectra.Mel.__dataclass_fields__ if name in kwargs]
        self.mel = spectra.Mel(**{name: kwargs.pop(name) for name in names})
        kwargs.setdefault("dtype", "float32")
        super().__init__(**kwargs)
        self.built = True

    def call(self, sound: Tensor) -> Tensor:
        return self.mel.log_mel(sound)

    def compute_output_shape(self, input_shape: Shape) -> tuple[int | None, ...]:
        return (input_shape[0], self.mel.frames(input_shape[1]), self.mel.mels)

    def get_config(self) -> Config:
        return {**super().get_config(), **self.mel.get_config()}
