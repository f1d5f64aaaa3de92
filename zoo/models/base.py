"""What all models share: one training step, one test step, and the methods of the contract."""

import keras
import tensorflow as tf
from keras import ops

from zoo import checks, random, replica


class Base(keras.Model):
    """A variational autoencoder: an encoder, a decoder, a likelihood, and terms of an objective.

    A model says in `compute_terms` what its objective is, per example and in nats; the rest is here. All terms are
    float32 under any dtype policy.

    Args:
        encoder, decoder: keras layers or models. What they take and give, the model says.
        likelihood: a `zoo.layers.Likelihood` or its name.
    """

    term_names = ()  # the entries of `compute_terms` that are reported, "loss" among them
    conditional = False
    can_sample = True

    def __init__(self, encoder, decoder, likelihood, **kwargs):
        super().__init__(**kwargs)
        for name, network in (("encoder", encoder), ("decoder", decoder)):
            if not isinstance(network, keras.layers.Layer):
                checks.fail(name, "a keras layer or model", network)
        self.encoder = encoder
        self.decoder = decoder
        self.likelihood = likelihood
        self.trackers = {name: keras.metrics.Mean(name=name) for name in self.term_names}
        # Everything else is made here, so that a model of built networks needs no first call.
        self.built = encoder.built and decoder.built

    # What a model defines.

    def compute_terms(self, x, labels=None, training=False):
        """The objective's terms, a dict of float32 `[B]`, nats per example; "loss" is minimised."""
        raise NotImplementedError

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
        num_samples = checks.positive_int("num_samples", num_samples)
        temperature = checks.number("temperature", temperature, 0.0)
        seeds = random.row_seeds(random.fresh_seed() if seed is None else seed, num_samples)
        z = self.latents(seeds, ops.full((num_samples,), temperature))
        return self.decode(z, labels)

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

    # Training.

    def compile(self, optimizer="adam", loss=None, **kwargs):
        """As `keras.Model.compile`, without a loss: the model is its own.

        Raises:
            ValueError: if `loss` is given.
        """
        if loss is not None:
            checks.fail("loss", f"None, as {type(self).__name__} minimises its own objective", loss)
        super().compile(optimizer=optimizer, **kwargs)

    def compile_from_config(self, config):
        # Keras leaves a model with a compile of its own uncompiled on loading, unless it says how.
        self.compile(**keras.saving.deserialize_keras_object(config))
        if self.built:
            self.optimizer.build(self.trainable_variables)

    @property
    def metrics(self):
        return list(self.trackers.values())

    def train_step(self, data):
        x, labels = self._unpack(data)
        with tf.GradientTape() as tape:
            terms = self.compute_terms(x, labels, training=True)
            # Keras adds up the gradients of all replicas, so that each contributes its share.
            loss = replica.share_of_mean(terms["loss"]) + sum(self.losses) / replica.num_replicas()
            loss = self.optimizer.scale_loss(loss)
        variables = self.trainable_variables
        self.optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables))
        return self._report(terms)

    def test_step(self, data):
        return self._report(self.compute_terms(*self._unpack(data), training=False))

    def predict_step(self, data):
        return self(*self._unpack(data))

    def update_trackers(self, terms):
        for name, tracker in self.trackers.items():
            if name in terms:
                tracker.update_state(terms[name])

    def _report(self, terms):
        self.update_trackers(terms)
        results = {name: tracker.result() for name, tracker in self.trackers.items()}
        strategy = tf.distribute.get_strategy()
        if isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy) and strategy.num_replicas_in_sync > 1:
            # Keras averages over the first axis there (keras issue 20585), so that there must be one.
            results = {name: ops.expand_dims(value, 0) for name, value in results.items()}
        return results

    # Inputs.

    def _unpack(self, data):
        x, labels, weights = keras.utils.unpack_x_y_sample_weight(data)
        if weights is not None:
            raise ValueError(f"{type(self).__name__} takes no sample weights. Received: sample_weight={weights}")
        if self.conditional and labels is None and isinstance(x, (list, tuple)):
            x, labels = x
        x, labels = self._inputs(x, labels)
        if not self.built:  # networks of the user's own may wait for their first call
            self(x, labels)
        return x, labels

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

    def _check_labels(self, labels, num_rows):
        if labels is not None:
            raise ValueError(f"Expected no `labels`, as {type(self).__name__} is not conditional. Received: {labels!r}")

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
