"""A distance of images in the features of a network."""

from typing import Any

import keras
from keras import layers, ops, saving

from zoo.runtime import checks
from zoo.runtime.types import Config, Tensor


@saving.register_keras_serializable("zoo")
class PerceptualDistance(layers.Layer):
    """The distance of two images in the features of a network that was trained for another task.

        d(x, y) = Σ_l mean_places ‖ f_l(x)/‖f_l(x)‖ − f_l(y)/‖f_l(y)‖ ‖²

    f_l are the features of layer l, and the norms are over its channels. Zhang et al. 2018, "The Unreasonable
    Effectiveness of Deep Features as a Perceptual Metric" (LPIPS), eq. (1), with all channel weights w_l = 1.

    Args:
        network: keras.Model from images `[B,H,W,C]` to a list of features `[B,h,w,F]`; it is not trained.

    Call arguments:
        x, y: float32 `[B,H,W,C]` in the range that the network takes.

    Returns:
        float32 `[B]`, from 0 to 4 for each layer of features; without a unit.

    Raises:
        ValueError: for a network that does not return features `[B,h,w,F]`.

    Example:
        >>> distance = zoo.training.perceptual.load("cifar10_vgg", channels=1)
        >>> distance(images, model.reconstruct(images)).shape
        TensorShape([32])
    """

    def __init__(self, network: keras.Model, **kwargs: Any) -> None:
        kwargs.setdefault("dtype", "float32")
        super().__init__(trainable=False, **kwargs)
        if not isinstance(network, keras.Model):
            checks.fail("network", "a keras model", network)
        shapes = [tuple(output.shape) for output in network.outputs]
        if any(len(shape) != 4 for shape in shapes):
            checks.fail("network", "a model with outputs [B,h,w,F]", f"outputs of shapes {shapes}")
        self.network = network
        self.network.trainable = False
        self.built = True

    def call(self, x: Tensor, y: Tensor) -> Tensor:
        pairs = zip(self.features(x), self.features(y))
        return sum(ops.mean(ops.sum(ops.square(a - b), axis=-1), axis=(1, 2)) for a, b in pairs)

    def features(self, x: Tensor) -> list[Tensor]:
        """The features of each layer, scaled to length 1 at each place: float32 `[B,h,w,F]` each."""
        outputs = self.network(x)
        outputs = outputs if isinstance(outputs, (list, tuple)) else [outputs]
        return [_unit(ops.cast(output, "float32")) for output in outputs]

    def get_config(self) -> Config:
        config = {name: value for name, value in super().get_config().items() if name != "trainable"}
        return {**config, "network": keras.saving.serialize_keras_object(self.network)}

    @classmethod
    def from_config(cls, config: Config) -> "PerceptualDistance":
        return cls(**{**config, "network": keras.saving.deserialize_keras_object(config["network"])})


def _unit(features):
    # Inside of the root, as its gradient at 0 is infinite, and all features of a place may be 0 after a ReLU.
    return features * ops.rsqrt(ops.sum(ops.square(features), axis=-1, keepdims=True) + 1e-8)
