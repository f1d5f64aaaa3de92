"""Models that take images of other sizes than their networks were built for."""

import keras

from zoo.fitting import inputs
from zoo.models._base import BaseVAE
from zoo.networks import receptive_field
from zoo.runtime import checks
from zoo.runtime.types import Tensor


class AnySizeVAE(BaseVAE):
    """A VAE whose latents are a grid: if its networks consist of convolutions, it takes images of any size.

    Training, evaluation and embeddings keep to the size of the networks.
    """

    @property
    def takes_any_size(self) -> bool:
        """Whether `encode`, `decode` and `reconstruct` take images of all sizes that the strides divide."""
        return all(receptive_field.reason(network) is None for network in (self.encoder, self.decoder))

    @property
    def known_shape(self) -> tuple[int | None, ...] | None:
        shape = super().known_shape
        return (None, None, shape[-1]) if shape is not None and self.takes_any_size else shape

    def network_for(self, name: str, x: Tensor) -> keras.layers.Layer:
        network = getattr(self, name)
        built_for = getattr(network, "input_shape", None)
        fits = built_for is None or all(map(inputs.same_size, built_for[1:], x.shape[1:]))
        return network if fits or not self.takes_any_size else receptive_field.any_size(network).network

    def _split(self, data):
        batch = super()._split(data)
        self._require_own_size(batch.x)
        return batch

    def _require_own_size(self, x):
        """Raises ValueError for images of another size than the networks were built for."""
        shape = super().known_shape
        if shape is not None:
            inputs.require_shape("x", x, shape)

    def _check_data(self, name, x):
        x = super()._check_data(name, x)
        if name == "x" and len(x.shape) == 4 and self.takes_any_size:
            height, width = receptive_field.any_size(self.encoder).multiples
            if any(size is not None and (size < 1 or size % by) for size, by in zip(x.shape[1:3], (height, width))):
                checks.fail("x", f"of a height divisible by {height} and a width divisible by {width}", tuple(x.shape))
        return x
