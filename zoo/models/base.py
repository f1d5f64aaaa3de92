"""What all VAEs share: the methods of the contract."""

import functools

import keras
import tensorflow as tf
from keras import ops

from zoo import checks, cores, export, random
from zoo.generative import GenerativeModel


class Base(GenerativeModel):
    """A variational autoencoder: an encoder, a decoder, a likelihood, and terms of an objective.

    A model says in `compute_terms` what its objective is, per example and in nats; the rest is here. All terms are
    float32 under any dtype policy.

    Args:
        encoder, decoder: keras layers or models. What they take and give, the model says.
        likelihood: a `zoo.layers.Likelihood` or its name.
    """

    can_sample = True

    def __init__(self, encoder, decoder, likelihood, **kwargs):
        super().__init__(**kwargs)
        for name, network in (("encoder", encoder), ("decoder", decoder)):
            if not isinstance(network, keras.layers.Layer):
                checks.fail(name, "a keras layer or model", network)
        self.encoder = encoder
        self.decoder = decoder
        self.likelihood = likelihood
        # Everything else is made here, so that a model of built networks needs no first call.
        self.built = encoder.built and decoder.built

    # What a model defines.

    def encode(self, x, labels=None):
        """The posterior of images."""
        raise NotImplementedError

    def decode(self, z, labels=None):
        """The mean images of latents: float32 `[B,H,W,C]` in [0, 1]."""
        raise NotImplementedError

    def reconstruct(self, x, labels=None):
        """Images from the posterior mean of images, `[B,H,W,C]` in [0, 1]; deterministic."""
        raise NotImplementedError

    def latents(self, seeds, temperature):
        """Draws from the prior, a row for each of `seeds` `[B]`, its scale times `temperature` `[B]`."""
        raise NotImplementedError

    def posterior(self, x, labels=None, training=False):
        """What `log_weights` draws from, computed once for all draws."""
        raise NotImplementedError

    def log_weights(self, x, posterior, seeds, labels=None):
        """One importance weight an image, log p(x, z) − log q(z|x) with z drawn by `seeds`: `[B]`."""
        raise NotImplementedError

    def spread(self, function, *values, training=False):
        """`function(*values, training)` by `zoo.cores.spread`, but in training of what notes a whole batch.

        Batch normalisation does, and a likelihood whose scale follows the batch.
        """
        function = functools.partial(function, training=training)
        if training and any(part.non_trainable_weights for part in (self.encoder, self.decoder, self.likelihood)):
            return function(*values)
        return cores.spread(function, *values)

    # What follows from it.

    def call(self, x, labels=None):
        return self.reconstruct(*self._inputs(x, labels))

    def sample(self, num_samples, seed=None, temperature=1.0, labels=None):
        """Images from the prior: the mean of p(x|z) for z ~ p(z).

        Args:
            num_samples: int >= 1.
            seed: int: row i has the seed `zoo.random.fold_in(seed, i)`. An int32 array `[num_samples]`: the rows' own
                seeds. None: drawn afresh.
            temperature: float >= 0, times the prior's standard deviation; 0 is its mean.
            labels: int32 `[num_samples]`, for a conditional model.

        Returns:
            float32 `[num_samples,H,W,C]` in [0, 1]. A row depends on its own seed alone.

        Raises:
            ValueError: for an argument of another kind, shape or range.
        """
        return self.generate(*self._rows(num_samples, seed, temperature), labels)[0]

    def generate(self, seeds, temperature, labels=None):
        """What `sample` computes: seeds int32 and temperature float32 `[B]` to images `[B,H,W,C]` and their latents."""
        z = self.latents(seeds, temperature)
        return self.decode(z, labels), z

    def log_prob(self, x, num_samples=1, seed=0, labels=None):
        """A lower bound of log p(x): log (1/K) Σ_k p(x, z_k) / q(z_k|x), z_k ~ q(z|x).

        Burda et al. 2016, "Importance Weighted Autoencoders", eq. (8). With one sample its mean is the ELBO; it is
        tight as K grows.

        Args:
            x: float `[B,H,W,C]` in [0, 1].
            num_samples: int >= 1, K.
            seed: as in `sample`.
            labels: int32 `[B]`, for a conditional model.

        Returns:
            float32 `[B]`, nats.

        Raises:
            ValueError: for an argument of another kind, shape or range.
        """
        num_samples = checks.positive_int("num_samples", num_samples)
        x, labels = self._inputs(x, labels)
        seeds = random.row_seeds(random.fresh_seed() if seed is None else seed, ops.shape(x)[0])

        posterior = self.posterior(x, labels)

        def log_weights(k):
            return self.log_weights(x, posterior, random.fold_in(seeds, k), labels)

        total = log_weights(0)
        if num_samples > 1:
            total = ops.fori_loop(1, num_samples, lambda k, total: ops.logaddexp(total, log_weights(k)), total)
        return total - ops.log(float(num_samples))

    # Export.

    @property
    def image_shape(self):
        """(H, W, C), of the images that the model takes.

        Raises:
            ValueError: before the model is built, or if it takes images of any size.
        """
        shape = getattr(self.encoder, "input_shape", None) or (self.encoder.get_build_config() or {}).get("input_shape")
        if shape is None:
            raise ValueError(f"Expected a built model. Call {self.name} on a batch of images first.")
        if None in shape[1:]:
            checks.fail("encoder", "one of images of a fixed size", tuple(shape))
        return tuple(shape[1:])

    @property
    def sampling_classes(self):
        """How many labels `sample` and `log_prob` take, or None where they take none."""
        return self.num_classes

    def flat_posterior(self, x, labels=None):
        """What `encode` gives as a dict of arrays, one of each name."""
        return self.encode(x, labels)

    def flatten(self, latents):
        """Latents as `generate` gives them, as one array."""
        return latents

    def unflatten(self, latents):
        """The inverse of `flatten`: what `decode` takes."""
        return latents

    def export(self, path, format=None, **kwargs):
        """Writes the model whole, sampling included, as a SavedModel, TFLite or ONNX: `zoo.export.export`."""
        return export.export(self, path, format, **kwargs)

    # Inputs.

    def _inputs(self, x, labels, name="x"):
        """Checked and cast: float32 images or latents, and int32 labels where the model takes any."""
        x = ops.convert_to_tensor(x)
        dtype = keras.backend.standardize_dtype(x.dtype)
        if "float" not in dtype:
            raise ValueError(f"Expected `{name}` to be floating-point. Received: dtype={dtype}")
        if name == "x" and self.likelihood.bounded and tf.executing_eagerly() and x.shape[0]:
            low, high = float(ops.min(x)), float(ops.max(x))
            if low < -1e-3 or high > 1.0 + 1e-3:
                raise ValueError(f"Expected `x` to lie in [0, 1]. Received: values from {low:g} to {high:g}")
        return ops.cast(x, "float32"), self._check_labels(labels, x.shape[0])

    # Saving.

    def get_config(self):
        objects = {"dtype": self.dtype_policy}
        objects |= {name: getattr(self, name) for name in ("encoder", "decoder", "likelihood")}
        serialized = {name: keras.saving.serialize_keras_object(value) for name, value in objects.items()}
        return {"name": self.name, "trainable": self.trainable, **serialized}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        config = {
            name: keras.saving.deserialize_keras_object(value, custom_objects) if _is_object(value) else value
            for name, value in config.items()
        }
        return cls(**config)


def _is_object(value):
    return isinstance(value, dict) and "class_name" in value
