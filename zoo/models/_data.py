"""The checks of a VAE's data: shapes, types, and the ranges of values."""

import keras
import numpy as np
from keras import ops

from zoo.fitting import inputs
from zoo.likelihoods import Masked
from zoo.models._automatic import unmasked
from zoo.models._elbo import NetworksVAE
from zoo.runtime import checks
from zoo.runtime.types import Array, Tensor


def not_built(model: keras.Model) -> ValueError:
    """The error for a question that a model can answer only after its first call."""
    return ValueError(f"Expected a built model. Call {model.name} on a batch of images first.")


class DataVAE(NetworksVAE):
    """Knows the shape and the range of the data that a VAE takes, and checks the arguments of its methods."""

    data_dtype = "float32"  # of examples; "int32" for tokens

    @property
    def image_shape(self) -> tuple[int, ...]:
        """(H, W, C), the shape of the images that the model takes.

        Raises:
            ValueError: before the model is built, or if it takes images of any size.
        """
        shape = self.data_shape(self.encoder_shape)
        if shape is None:
            raise not_built(self)
        sizes = tuple(size for size in shape if size is not None)
        if len(sizes) < len(shape):
            checks.fail("encoder", "one of images of a fixed size", (None, *shape))
        return sizes

    @property
    def encoder_shape(self) -> tuple[int | None, ...] | None:
        """The shape of an example of the encoder's input, from its definition or its first batch; None before."""
        shape = getattr(self.encoder, "input_shape", None) or (self.encoder.get_build_config() or {}).get("input_shape")
        return None if shape is None else tuple(shape[1:])

    def data_shape(self, encoder_shape: tuple[int | None, ...] | None) -> tuple[int | None, ...] | None:
        """The shape of an example of the data, from that of the encoder's input; None for None."""
        return encoder_shape

    @property
    def known_shape(self) -> tuple[int | None, ...] | None:
        """The shape that an example must have; None for a size that is free, and as a whole before the first batch."""
        shape = self.data_shape(self.encoder_shape)
        if shape is None or getattr(self.encoder, "input_shape", None) is not None:
            return shape
        return (*[None] * (len(shape) - 1), shape[-1])  # from the first image: others may have another size

    @property
    def example_shape(self) -> tuple[int, ...] | None:
        try:
            return self.image_shape
        except ValueError:
            return None

    def data_values(self, name: str, x: Array, judged: bool = False) -> inputs.Values:
        """The range of the data that the likelihood judges; `judged` in training, as samples are means, no counts."""
        low, high = self.data_range or (-inputs.LARGEST, inputs.LARGEST)
        masked, judge = isinstance(self.likelihood, Masked), unmasked(self.likelihood)
        counts, grid = judged and judge.counts, None
        if judged and judge.grid is not None:
            channels = x.shape[-1] // 2 if masked else x.shape[-1]
            if np.shape(judge.grid) not in ((), (channels,)):
                checks.fail("grid", f"a number, or one for each of {channels} channels", judge.grid)
            grid = tuple(np.broadcast_to(judge.grid, channels).tolist()) + (0.0,) * (channels if masked else 0)
        if masked:
            return inputs.BesideMask(name, x, low, high, counts=counts, grid=grid, whole=judge.couples_channels)
        return inputs.Values(name, x, low, high, counts=counts, grid=grid)

    def _noisy_values(self, name, x):
        """The range of the input of a model that is trained on targets, which may be noisy, or incomplete."""
        masked = isinstance(self.likelihood, Masked)
        return self.data_values(name, x) if masked else inputs.noisy(name, x, self.likelihood.support)

    def likelihood_params(self, inputs: Tensor, training: bool = False) -> Tensor:
        params = super().likelihood_params(inputs, training=training)
        shape, given = self.known_shape, tuple(params.shape[1:])
        if shape is not None:  # in any size, as tiles of a large picture have others
            size = given[:-1] if len(given) == len(shape) else shape[:-1]
            self.likelihood.check_params((*size, shape[-1]), given)
        return params

    @property
    def data_range(self) -> tuple[float, float] | None:
        """(low, high), the range of the data: the likelihood's support; None for the real line."""
        return self.likelihood.support

    def _input_names(self):
        return (*(each.name for each in getattr(self.encoder, "inputs", None) or ()), *super()._input_names())

    def _row_argument(self, name, value, num_rows=None):
        if name != "e":
            return super()._row_argument(name, value, num_rows)
        e = inputs.array("e", value)
        inputs.require_floating("e", e)
        inputs.require_shape("e", e, (self.embedding_dim,))
        return e

    def _check_data(self, name, x):
        x = inputs.array(name, x)
        require = inputs.require_integers if name == "x" and self.data_dtype == "int32" else inputs.require_floating
        require(name, x)
        if name == "x" and self.known_shape is not None:
            inputs.require_shape(name, x, self.known_shape)
        return x

    def _values(self, batch, judged=True):
        data: list[inputs.Values | inputs.Target]
        if batch.target is None:
            data = [*self.values_of("x", batch.x)] if not judged else [self.data_values("x", batch.x, judged)]
        else:
            data = [self._noisy_values("x", batch.x), self.data_values("y", batch.target, judged)]
            if not isinstance(self.likelihood, Masked):  # which may hide no value of a batch from the encoder
                data.append(inputs.Target(type(self).__name__, batch.x, batch.target))
        return data + super()._values(batch, judged)

    def values_of(self, name: str, value: Array | None) -> list[inputs.Values]:
        if name == "x":
            return [self._noisy_values("x", value) if self.denoises else self.data_values("x", value)]
        if name in ("z", "e", "given"):
            return [inputs.Values(name, leaf) for leaf in keras.tree.flatten(value)]
        return super().values_of(name, value)

    def _inputs(self, x, labels, name="x"):
        """Checks data or latents and labels, and casts them: data to `data_dtype`, labels where there are any."""
        dtype = self.data_dtype if name == "x" else "float32"
        x = ops.cast(ops.convert_to_tensor(self._check_data(name, x)), dtype)
        return x, self._cast_labels(self._check_labels(labels, x.shape[0]))
