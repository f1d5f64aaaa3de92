"""What all VAEs share: the methods of the contract."""

import functools

import keras
import tensorflow as tf
from keras import ops

from zoo import export, random
from zoo.fitting import inputs
from zoo.fitting.batched import batched, gives_batches, of_dataset
from zoo.fitting.model import ObjectiveModel
from zoo.models._activation import warn_of_activation
from zoo.models._prior import HoldsApart
from zoo.runtime import checks, cores


def sub_batched(method):
    """A method of examples, computed in sub-batches side by side where `zoo.cores.parts` says so.

    Not in training of layers that see the whole batch: those that keep batch statistics, a likelihood whose scale
    follows the batch, and layers that add a loss, which may be a sum or a mean over their examples.
    """

    @functools.wraps(method)
    def call(self, *values, training=False):
        number = len(self.added or ())

        def whole():
            added = len(self.added or ()) > number
            if added:
                del self.added[number:]
            return added

        function = functools.partial(method, self, training=training)
        networks = (self.encoder, self.decoder, self.likelihood)
        if training and any(network.non_trainable_weights for network in networks):
            return function(*values)
        return cores.spread(function, *values, whole=whole)

    return call


class BaseVAE(HoldsApart, ObjectiveModel):
    """A variational autoencoder: an encoder, a decoder, a likelihood, and terms of an objective.

    A model says in `compute_terms` what its objective is, per example and in nats; the rest is here. All terms are
    float32 under any dtype policy.

    Args:
        encoder, decoder: keras layers or models. What they take and give, the model says.
        likelihood: a `zoo.likelihoods.Likelihood` or its name.
    """

    can_sample = True
    num_codes = None  # K, of a model whose latents are codes
    num_layers = 1  # of latents, of which a hierarchical model has more

    def __init__(self, encoder, decoder, likelihood, **kwargs):
        super().__init__(**kwargs)
        for name, network in (("encoder", encoder), ("decoder", decoder)):
            if not isinstance(network, keras.layers.Layer):
                checks.fail(name, "a keras layer or model", network)
            shape = getattr(network, "input_shape", None)
            if isinstance(shape, (list, dict)):
                checks.fail(name, "a network of one input", f"one of {len(shape)} inputs")
        self.encoder = encoder
        self.decoder = decoder
        self.likelihood = likelihood
        if likelihood.unbounded:
            warn_of_activation(decoder, likelihood)
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

    def posterior_mean(self, x, labels=None):
        """The latents that `reconstruct` decodes."""
        raise NotImplementedError

    def latents(self, seeds, temperature, labels=None):
        """Samples of the prior, a row for each of `seeds` `[B]`, its scale times `temperature` `[B]`."""
        raise NotImplementedError

    def posterior(self, x, labels=None, training=False):
        """What `log_weights` draws from, computed once for all draws."""
        raise NotImplementedError

    def log_weights(self, x, posterior, seeds, labels=None):
        """One importance weight an image, log p(x, z) − log q(z|x) with z drawn by `seeds`: `[B]`."""
        raise NotImplementedError

    def run_network(self, name, x, training=False):
        """The encoder's or the decoder's output; what it can't take is said in words of the model."""
        network = getattr(self, name)
        try:
            output = network(x, training=training)
        except (ValueError, TypeError, tf.errors.InvalidArgumentError) as error:
            shape = tuple(getattr(x, "shape", ()))
            reason = " ".join(str(error).split())[:300]
            raise ValueError(
                f"Expected the {name} to take an input of shape {shape}. Received from it: {type(error).__name__}: "
                f"{reason}"
            ) from error
        self.note_added(network)
        return output

    @sub_batched
    def run_encoder(self, x, training=False):
        """The encoder's output."""
        return self.run_network("encoder", x, training)

    @sub_batched
    def likelihood_params(self, inputs, training=False):
        """The decoder's output for its inputs, float32 `[B,H,W,params_size]`."""
        return ops.cast(self.run_network("decoder", inputs, training), "float32")

    @sub_batched
    def log_likelihood(self, x, inputs, training=False):
        """log p(x|z) with the decoder's inputs for z: float32 `[B]`, nats."""
        return self.judge(x, self.likelihood_params(inputs, training=training), training)

    # What follows from it.

    def call(self, x, labels=None):
        return self.reconstruct(*self._inputs(x, labels))

    def sample(self, num_samples, seed=None, temperature=1.0, labels=None, batch_size=None):
        """Images from the prior: the mean of p(x|z) for z ~ p(z).

        Args:
            num_samples: int >= 1.
            seed: int: row i has the seed `zoo.random.fold_in(seed, i)`. An int32 array `[num_samples]`: the rows' own
                seeds. None: drawn afresh.
            temperature: float >= 0, times the prior's standard deviation; 0 is its mean.
            labels: int32 `[num_samples]`, for a conditional model.
            batch_size: int >= 1, images at once; None for a number that suits their size.

        Returns:
            float32 `[num_samples,H,W,C]` in [0, 1]. A row depends on its own seed alone.

        Raises:
            ValueError: for an argument of another kind, shape or range.
        """
        return self.generate(*self._rows(num_samples, seed, temperature), labels, batch_size=batch_size)[0]

    @batched
    def generate(self, seeds, temperature, labels=None, batch_size=None):
        """What `sample` computes: seeds int32 and temperature float32 `[B]` to images `[B,H,W,C]` and their latents."""
        z = self.latents(seeds, temperature, labels)
        return self.decode(z, labels), z

    @property
    def embedding_dim(self):
        """E, the length of the vector that `embed` gives for an example."""
        raise NotImplementedError

    @batched
    def embed(self, x, labels=None, batch_size=None):
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
    def decode_embedding(self, e, labels=None, batch_size=None):
        """Images of what `embed` gives: `decode_embedding(embed(x))` is `reconstruct(x)`.

        Args:
            e: float `[B,E]`.
            labels, batch_size: as in `embed`.

        Returns:
            float32 `[B,H,W,C]` in [0, 1].

        Raises:
            ValueError: for an argument of another kind, shape or range.
        """
        return self.decode(self.unflatten(ops.cast(e, "float32")), labels)

    def log_prob(self, x, num_samples=1, seed=0, labels=None, batch_size=None):
        """A lower bound of log p(x): log (1/K) Σ_k p(x, z_k) / q(z_k|x), z_k ~ q(z|x).

        Burda et al. 2016, "Importance Weighted Autoencoders", eq. (8). With one sample its mean is the ELBO; it is
        tight as K grows.

        Args:
            x: float `[B,H,W,C]` in [0, 1]; or a dataset of batches of them, with labels for a conditional model.
            num_samples: int >= 1, K.
            seed: as in `sample`; of a dataset an int or None, and row i is the i-th of all its images.
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
        seed = checks.seed("seed", random.fresh_seed() if seed is None else seed)
        parts, first = [], 0
        for images, *labels in of_dataset(self, x):
            seeds = random.fold_in(seed, first + ops.arange(len(images), dtype="int32"))
            parts.append(self.bound(images, seeds, *labels, num_samples=num_samples, batch_size=batch_size))
            first += len(images)
        return ops.concatenate(parts)

    @batched
    def bound(self, x, seeds, labels=None, num_samples=1, batch_size=None):
        """What `log_prob` computes, of images `[B,H,W,C]` with their own seeds int32 `[B]`: nats `[B]`."""
        x, labels = self._inputs(x, labels)
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
        shape = self.data_shape(self.encoder_shape)
        if shape is None:
            raise ValueError(f"Expected a built model. Call {self.name} on a batch of images first.")
        if None in shape:
            checks.fail("encoder", "one of images of a fixed size", (None, *shape))
        return shape

    @property
    def encoder_shape(self):
        """The shape of an example as the encoder takes it, or took the first; None before."""
        shape = getattr(self.encoder, "input_shape", None) or (self.encoder.get_build_config() or {}).get("input_shape")
        return None if shape is None else tuple(shape[1:])

    def data_shape(self, encoder_shape):
        """The shape of an example of the data, from that of the encoder's input; None for None."""
        return encoder_shape

    def label_source(self):  # no property: Keras would save what it gives a second time
        """Whose labels `sample` and `log_prob` take, the model's or its prior's; None where they take none."""
        return self if self.conditional else None

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

    @property
    def example_shape(self):
        try:
            return self.image_shape
        except ValueError:
            return None

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
        inputs.require_floating(name, x)
        if name == "x" and self.known_shape is not None:
            inputs.require_shape(name, x, self.known_shape)
        return x

    @property
    def known_shape(self):
        """The shape that an example must have, None for sizes of any kind; None as a whole before the first one."""
        shape = self.data_shape(self.encoder_shape)
        if shape is None or getattr(self.encoder, "input_shape", None) is not None:
            return shape
        return (*[None] * (len(shape) - 1), shape[-1])  # that of the first image, and others may be larger

    def data_values(self, name, x):
        """The range of data that the likelihood is to judge."""
        support = self.likelihood.support
        return inputs.Values(name, x) if support is None else inputs.Values(name, x, *support)

    def _values(self, batch, judged=True):
        if batch.target is None:
            data = self._values_of("x", batch.x) if not judged else [self.data_values("x", batch.x)]
        else:
            other = inputs.Target(type(self).__name__, batch.x, batch.target)
            data = [inputs.Values("x", batch.x), self.data_values("y", batch.target), other]
        return data + super()._values(batch, judged)

    def _values_of(self, name, value):
        if name == "x":
            return [inputs.Values("x", value) if self.denoises else self.data_values("x", value)]
        if name in ("z", "e", "given"):
            return [inputs.Values(name, leaf) for leaf in keras.tree.flatten(value)]
        return super()._values_of(name, value)

    def _inputs(self, x, labels, name="x"):
        """Checked and cast: float32 images or latents, and labels where the model takes any."""
        x = ops.cast(ops.convert_to_tensor(self._check_data(name, x)), "float32")
        return x, self._cast_labels(self._check_labels(labels, x.shape[0]))

    def judge(self, x, params, training=False):
        """log p(x|z) of the decoder's output: float32 `[B]`, nats.

        Raises:
            ValueError: where the output does not fit the likelihood and the data, against which it could be broadcast.
        """
        self.likelihood.check_params(tuple(x.shape[1:]), tuple(params.shape[1:]))
        return self.likelihood.log_prob(x, params, training=training)

    # Saving.

    def get_config(self):
        objects = {"dtype": self.dtype_policy}
        objects |= {name: getattr(self, name) for name in ("encoder", "decoder", "likelihood")}
        serialized = {name: keras.saving.serialize_keras_object(value) for name, value in objects.items()}
        denoises = {"denoises": True} if self.denoises else {}
        return {"name": self.name, "trainable": self.trainable, **denoises, **serialized}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        config = dict(config)
        denoises = config.pop("denoises", False)
        config = {
            name: keras.saving.deserialize_keras_object(value, custom_objects) if _is_object(value) else value
            for name, value in config.items()
        }
        model = cls(**config)
        object.__setattr__(model, "denoises", denoises)
        return model


def _is_object(value):
    return isinstance(value, dict) and "class_name" in value
