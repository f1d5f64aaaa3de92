"""The networks of a model as the codec runs them: one graph for each direction and batch size.

Writing and reading run the same graphs on the same values, which gives the same bits in one environment. The codec
takes part in a graph through a Python function, for each layer of latents, or each place of a grid of codes.
"""

import functools
import hashlib
import itertools
from collections.abc import Callable
from typing import Any, Protocol

import keras
import numpy as np
import tensorflow as tf

from zoo import distributions, models
from zoo.quantizers._base import squared_distances
from zoo.runtime.types import Tensor

# Of the number of the layer and the u of the posterior, or None, as float64 mean and scale: float32 u.
Choose = Callable[[int, tuple[np.ndarray, np.ndarray] | None], np.ndarray]


def _not_running(*values: object) -> np.ndarray:
    raise RuntimeError("A graph of the codec runs outside of it")


class Digest(Protocol):
    """A hash of hashlib."""

    def update(self, data: bytes, /) -> None: ...


class _Passes:
    """Graphs that call back. Args: `model`, a model of the zoo; `batch_size`, int."""

    def __init__(self, model: keras.Model, batch_size: int) -> None:
        self.model, self.batch_size = model, batch_size
        self._callback: Callable[..., np.ndarray] = _not_running
        self._failure: Exception | None = None

    def _ask(self, shape: Any, dtype: Any, *values: Any) -> Tensor:
        """A tensor of the callback's making, within a graph; what it is called with besides `values` comes first."""
        fixed = tuple(value for value in values if not tf.is_tensor(value))
        tensors = [value for value in values if tf.is_tensor(value)]

        def call(*arrays):
            try:
                return self._callback(*fixed, *arrays)
            except Exception as error:  # TensorFlow would turn it into one of its own
                self._failure = error
                raise

        asked = tf.numpy_function(call, tensors, dtype)
        asked.set_shape(shape)
        return asked

    def _run(self, graph: Callable[..., Tensor], callback: Callable[..., np.ndarray], *values: Any) -> np.ndarray:
        self._callback, self._failure = callback, None
        try:
            return graph(*values).numpy()
        except tf.errors.OpError:
            if self._failure is not None:
                raise self._failure from None
            raise
        finally:
            self._callback = _not_running


class LatentPasses(_Passes):
    """Inference and generation of a VAE or a hierarchical VAE, with latents that the codec chooses."""

    def __init__(self, model: keras.Model, batch_size: int) -> None:
        super().__init__(model, batch_size)
        self._inference = tf.function(functools.partial(self._follow, inference=True), autograph=False)
        self._generation = tf.function(functools.partial(self._follow, None, inference=False), autograph=False)

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        """The latents of an example, layer by layer, top first."""
        if isinstance(self.model, models.HierarchicalVAE):
            return [block.latent_shape for block in self.model.decoder.blocks]
        return [(self.model.latent_dim,)]

    def infer(self, x: np.ndarray, choose: Choose) -> None:
        """Calls `choose` with the posterior of each layer, for images float32 `[B,H,W,C]`."""

        def callback(layer, mean, log_var, posterior_mean, posterior_log_var):
            mean, log_var, other, other_log_var = (
                values.astype(np.float64) for values in (mean, log_var, posterior_mean, posterior_log_var)
            )
            # In units of the prior.
            return choose(layer, ((other - mean) * np.exp(-0.5 * log_var), np.exp(0.5 * (other_log_var - log_var))))

        self._run(self._inference, callback, tf.constant(x))

    def generate(self, choose: Choose) -> np.ndarray:
        """The parameters of p(x|z), float32 `[B,H,W,P]`."""
        return self._run(self._generation, lambda layer, *prior: choose(layer, None))

    def _follow(self, x, inference):
        layers = itertools.count()

        def choose(prior, posterior):
            mean, log_var = prior
            u = self._ask(mean.shape, tf.float32, next(layers), *prior, *(posterior if inference else ()))
            return distributions.reparameterize(mean, log_var, u)

        if isinstance(self.model, models.HierarchicalVAE):
            features = self.model.features(x) if inference else None
            params, latents = self.model.top_down(
                lambda block, prior, posterior: choose(prior, posterior), features, self.batch_size
            )
            return latents[-1] if inference else params
        zeros = tf.zeros((self.batch_size, self.model.latent_dim))
        z = choose((zeros, zeros), self.model.posterior(x) if inference else None)
        return z if inference else self.model.decoded(z)

    def digest(self, digest: Digest) -> np.ndarray:
        """Adds posteriors of fixed inputs to a hash; returns the likelihood's parameters, to derive tables from."""
        generator = np.random.RandomState(0)  # the same numbers in every version of NumPy
        x = generator.randint(0, 2, (self.batch_size, *self.model.image_shape)).astype(np.float32)
        chosen = [generator.standard_normal((self.batch_size, *shape)).astype(np.float32) for shape in self.shapes]

        def choose(layer, posterior):
            for values in posterior or ():
                digest.update(values.tobytes())
            return chosen[layer]

        self.infer(x, choose)
        return self.generate(choose)


class CodePasses(_Passes):
    """The loop over the places of a grid of codes, and the likelihood's parameters of codes."""

    def __init__(self, model: keras.Model, batch_size: int) -> None:
        super().__init__(model, batch_size)
        self._loop = tf.function(self._places, autograph=False)
        self._decoder = tf.function(model.decoded, autograph=False)
        self._features = tf.function(model.features, autograph=False)

    def follow(self, choose: Callable[[int, np.ndarray], np.ndarray]) -> np.ndarray:
        """Codes int32 `[B,h,w]`, chosen place by place: `choose` of the place t and its logits `[B,K]` gives `[B]`."""
        return self._run(self._loop, lambda place, logits: choose(int(place), logits))

    def params(self, codes: np.ndarray) -> np.ndarray:
        """The parameters of p(x|codes), float32 `[B,H,W,P]`."""
        return self._decoder(tf.constant(codes)).numpy()

    def distances(self, x: np.ndarray) -> np.ndarray:
        """‖z_e − e‖² of images float32 `[B,H,W,C]` and all codes: float32 `[B, places, K]`."""
        distances = self.model.quantizer.distances(self._features(tf.constant(x)))
        return distances.numpy().reshape(len(x), -1, self.model.num_codes)

    def distances_of_codes(self) -> np.ndarray:
        """‖e − e'‖² of all codes, float32 `[K,K]`."""
        vectors = self.model.quantizer.lookup(tf.range(self.model.num_codes))
        return squared_distances(vectors, vectors).numpy()

    def _places(self):
        prior = self.model.prior

        def body(place, codes, cache):
            logits, cache = prior.step(place, codes, None, cache)
            chosen = self._ask((self.batch_size,), tf.int32, place, logits)
            here = tf.equal(tf.range(prior.length), place)
            return place + 1, tf.where(here, chosen[:, None], codes), cache

        start = (tf.constant(0), tf.zeros((self.batch_size, prior.length), tf.int32), prior.start(self.batch_size))
        codes = tf.while_loop(lambda place, codes, cache: place < prior.length, body, start)[1]
        return tf.reshape(codes, (-1, *prior.grid_shape))

    def digest(self, digest: Digest, with_params: bool) -> list[np.ndarray]:
        """The logits of all places for fixed codes; `with_params` adds the likelihood's parameters to a hash."""
        prior, logits_of_places = self.model.prior, []
        fixed = np.random.RandomState(0).randint(0, prior.num_codes, (prior.length, self.batch_size)).astype(np.int32)

        def choose(place, logits):
            logits_of_places.append(logits)
            return fixed[place]

        codes = self.follow(choose)
        if with_params:
            digest.update(self.params(codes).tobytes())
        return logits_of_places


def weights_digest(model: keras.Model) -> str:
    """What a model is known by in files: 16 hexadecimal digits, from its class and all its weights."""
    digest = hashlib.sha256(type(model).__name__.encode())
    for weight in model.weights:
        values = np.ascontiguousarray(weight)
        digest.update(repr((values.dtype.name, values.shape)).encode())
        digest.update(values.tobytes())
    return digest.hexdigest()[:16]
