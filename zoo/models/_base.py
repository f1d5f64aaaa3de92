"""The methods of the contract, which all VAEs share."""

import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Self

import keras
from keras import ops

import zoo
from zoo import export, random
from zoo._compat import keras as keras_compat
from zoo.fitting.batched import batched, gives_batches, of_dataset
from zoo.models._protocol import ProtocolVAE, observed_seeds
from zoo.runtime import checks
from zoo.runtime.types import ArrayLike, Batches, Config, Labels, PathLike, Seeds, Tensor, Tensors


class BaseVAE(ProtocolVAE):
    """A variational autoencoder with the methods of the contract, which follow from those that a model defines."""

    @classmethod
    def from_preset(cls, preset: str | os.PathLike) -> Self:
        """Loads a trained model by name, as `zoo.from_preset`, and checks that it is of this class.

        Raises:
            ValueError: for a preset of another class.

        Example:
            >>> zoo.CVAE.from_preset("mnist_cvae").name
            'cvae'
        """
        model = zoo.from_preset(preset)
        if not isinstance(model, cls):
            checks.fail("preset", f"a {cls.__name__}", f"{os.fspath(preset)}, a {type(model).__name__}")
        return model

    def call(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        return self.reconstruct(*self._inputs(x, labels))

    def sample(
        self,
        num_samples: int,
        seed: Seeds = None,
        temperature: float = 1.0,
        labels: Labels = None,
        batch_size: int | None = None,
        observe: bool = False,
    ) -> Tensor:
        """Samples images from the prior: the mean of p(x|z) for z ~ p(z), or with `observe` x ~ p(x|z).

        Args:
            num_samples: int >= 1.
            seed: int: row i has the seed `zoo.random.fold_in(seed, i)`. An int32 array `[num_samples]`: the rows' own
                seeds. None: a fresh seed.
            temperature: float >= 0, multiplies the prior's standard deviation; 0 is its mean.
            labels: int32 `[num_samples]`, for a conditional model.
            batch_size: int >= 1, images at once; None for a number that suits their size.
            observe: bool, whether to sample data from p(x|z), with its noise. z is the same either way, and
                `temperature` does not change the noise.

        Returns:
            float32 `[num_samples,H,W,C]` in [0, 1]. A row depends on its own seed alone.

        Raises:
            ValueError: for an argument of another kind, shape or range.
        """
        rows = self._rows(num_samples, seed, temperature)
        return self.generate(*rows, labels, batch_size=batch_size, observe=checks.boolean("observe", observe))[0]

    @batched
    def generate(
        self,
        seeds: Tensor,
        temperature: Tensor,
        labels: Labels = None,
        batch_size: int | None = None,
        observe: bool = False,
    ) -> tuple[Tensor, Tensor | Sequence[Tensor]]:
        """Computes `sample`: seeds int32 and temperature float32 `[B]` to images `[B,H,W,C]` and their latents."""
        z = self.latents(seeds, temperature, labels)
        return self.data_of(self.decoded(z, labels), seeds, observe), z

    def data_of(self, params: Tensor, seeds: Tensor, observe: bool = False) -> Tensor:
        """The mean of p(x|z), or with `observe` a sample of it: parameters `[B,…]` and seeds int32 `[B]` to data.

        The noise has a stream of its own, independent of the latents that come from the same seeds.
        """
        if not observe:
            return self.likelihood.mean(params)
        return self.likelihood.sample(params, observed_seeds(seeds))

    @property
    def embedding_dim(self) -> int:
        """E, the length of the vector that `embed` returns for an example."""
        raise NotImplementedError

    @batched
    def embed(self, x: ArrayLike | Batches, labels: Labels = None, batch_size: int | None = None) -> Tensor:
        """One vector for each example: the posterior mean, flattened.

        Args:
            x: float `[B,H,W,C]` in [0, 1].
            labels: for a conditional model.
            batch_size: int >= 1, images at once; None for a number that suits their size.

        Returns:
            float32 `[B,E]`.

        Raises:
            ValueError: for an argument of another kind, shape or range.
        """
        return self.flatten(self.posterior_mean(*self._inputs(x, labels)))

    @batched
    def decode_embedding(self, e: ArrayLike | Batches, labels: Labels = None, batch_size: int | None = None) -> Tensor:
        """Decodes the output of `embed`: `decode_embedding(embed(x))` is `reconstruct(x)`.

        Args:
            e: float `[B,E]`.
            labels, batch_size: as in `embed`.

        Returns:
            float32 `[B,H,W,C]` in [0, 1].

        Raises:
            ValueError: for an argument of another kind, shape or range.
        """
        return self.decode(self.unflatten(ops.cast(e, "float32")), labels)

    def log_prob(
        self,
        x: ArrayLike | Batches,
        num_samples: int = 1,
        seed: Seeds = 0,
        labels: Labels = None,
        batch_size: int | None = None,
    ) -> Tensor:
        """A lower bound of log p(x): log (1/K) Σ_k p(x, z_k) / q(z_k|x), z_k ~ q(z|x).

        Burda et al. 2016, "Importance Weighted Autoencoders", eq. (8). With one sample its mean is the ELBO; it becomes
        tight as K grows.

        Args:
            x: float `[B,H,W,C]` in [0, 1]; or a dataset of batches of them, with labels for a conditional model.
            num_samples: int >= 1, K.
            seed: as in `sample`; for a dataset an int or None, and i counts all its images.
            labels: int32 `[B]`, for a conditional model.
            batch_size: int >= 1, images at once; None for a number that suits their size.

        Returns:
            float32 `[B]`, nats.

        Raises:
            ValueError: for an argument of another kind, shape or range.
        """
        num_samples = checks.positive_int("num_samples", num_samples)
        if not gives_batches(x):
            x = self._row_argument("x", x)
            seeds = random.row_seeds(seed, ops.shape(x)[0])
            return self.bound(x, seeds, labels, num_samples=num_samples, batch_size=batch_size)
        first_seed = checks.seed("seed", random.fresh_seed() if seed is None else seed)
        parts, first = [], 0
        for images, *rest in of_dataset(self, x):
            seeds = random.fold_in(first_seed, first + ops.arange(len(images), dtype="int32"))
            its_labels = rest[0] if rest else None
            parts.append(self.bound(images, seeds, its_labels, num_samples=num_samples, batch_size=batch_size))
            first += len(images)
        return ops.concatenate(parts)

    @batched
    def bound(
        self, x: Tensor, seeds: Tensor, labels: Labels = None, num_samples: int = 1, batch_size: int | None = None
    ) -> Tensor:
        """Computes `log_prob`: images `[B,H,W,C]` and a seed for each, int32 `[B]`, to nats `[B]`."""
        weights_of = self.weigher(*self._inputs(x, labels))

        def log_weights(k):
            return weights_of(random.fold_in(seeds, k))

        total = log_weights(0)
        if num_samples > 1:
            total = ops.fori_loop(1, num_samples, lambda k, total: ops.logaddexp(total, log_weights(k)), total)
        return total - ops.log(float(num_samples))

    # Export.

    def label_source(self) -> keras.Model | None:  # not a property: Keras would save the result a second time
        """The model or prior whose labels `sample` and `log_prob` take; None if they take none."""
        return self if self.conditional else None

    def flat_posterior(self, x: Tensor, labels: Tensor | None = None) -> Tensors:
        """The result of `encode` as a dict of arrays."""
        return self.encode(x, labels)

    def flatten(self, latents: Tensor | Sequence[Tensor]) -> Tensor:
        """Latents, as `generate` returns them, as one array."""
        return latents

    def unflatten(self, latents: Tensor) -> Tensor | Sequence[Tensor]:
        """The inverse of `flatten`: latents as `decode` takes them."""
        return latents

    def export(
        self, path: PathLike, format: Literal["tf_saved_model", "litert", "onnx"] | None = None, **kwargs: Any
    ) -> pathlib.Path:
        """Writes the whole model, with sampling, as a SavedModel, TFLite or ONNX file: `zoo.export.export`."""
        return export.export(self, path, format, **kwargs)

    # Saving.

    def get_config(self) -> Config:
        names = ("encoder", "decoder", "likelihood")
        networks = {name: keras.saving.serialize_keras_object(getattr(self, name)) for name in names}
        frozen = {name: places for name, part in _parts(self) if (places := _places_of_frozen(part))}
        further = {name: value for name, value in (("denoises", self.denoises), ("frozen", frozen)) if value}
        return {**super().get_config(), **further, **networks}

    @classmethod
    def from_config(cls, config: Config, custom_objects: Mapping[str, object] | None = None) -> Self:
        arguments: dict[str, Any] = {
            name: keras.saving.deserialize_keras_object(value, custom_objects) if _is_object(value) else value
            for name, value in config.items()
        }
        denoises, frozen = arguments.pop("denoises", False), arguments.pop("frozen", {})
        model = cls(**arguments)
        object.__setattr__(model, "denoises", denoises)
        # Keras makes the layers within a part of the user's own anew, and they do not know that they were frozen.
        for name, part in _parts(model):
            for place, layer in enumerate(keras_compat.layers_of(part) if name in frozen else ()):
                layer.trainable = place not in frozen[name]  # and so are those in it, until their turn
        return model


def _parts(model):
    return [(name, part) for name, part in vars(model).items() if isinstance(part, keras.layers.Layer)]


def _places_of_frozen(part):
    return [place for place, layer in enumerate(keras_compat.layers_of(part)) if not layer.trainable]


def _is_object(value):
    return isinstance(value, dict) and "class_name" in value
