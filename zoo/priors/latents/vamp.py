"""The variational mixture of posteriors as a prior."""

import keras
import numpy as np
from keras import ops

from zoo import random
from zoo.fitting import inputs
from zoo.priors.latents._mixture import Components, MixturePrior, choose, draw_normal
from zoo.runtime import checks


@keras.saving.register_keras_serializable("zoo")
class VampPrior(MixturePrior):
    """The mixture of the model's own posteriors of K learned pseudo-inputs.

        p(z) = 1/K Σ_k q(z|u_k)

    (Tomczak & Welling 2018, eq. (9): eq. (8), the best prior for given posteriors, with K pseudo-inputs in the place of
    all examples.) It needs the encoder of the model that it is the prior of: `zoo.VAE(…, prior=prior)` and
    `model.prior = prior` attach it, and `prior.attach(model)` does so before it is fitted to the latents of a trained
    model. Its own weights are the pseudo-inputs alone. They are clipped to the likelihood's support, after each step
    too.

    Deviation: pseudo-inputs are encoded as outside of training, without dropout and with the moving averages of batch
    normalisation. A density then does not depend on noise.

    A training step runs the encoder on the K pseudo-inputs as well as on its batch; so does each batch of `log_prob`,
    once for all its samples. `sample` encodes only the pseudo-inputs that it chose, one for each row. In a SavedModel
    the signature `log_prob` encodes all of them at each call: 7 ms in the place of 1 for an image of 28×28, an encoder
    of 2 × 300 units and K = 500, on one core. A `.tflite` holds their encodings as constants: 0.09 ms in the place of
    0.06, and 1.8 MB more.

    The temperature multiplies the standard deviation of the chosen posterior: at temperature 0 a sample is the mean of
    one of them, not of the whole mixture. The KL of one component has a closed form; that of several is an estimate at
    one sample.

    Args:
        latent_dim: int >= 1, D.
        data_shape: tuple of ints, the shape of an example, such as (28, 28, 1).
        components: int >= 1, K.
        seed: int or None, of the first pseudo-inputs, uniform noise in [0, 1]; of what `initialize` chooses; and of the
            samples of z in `fit`.

    Call arguments:
        z: float32 `[B,D]`.

    Returns:
        log p(z), float32 `[B]`, nats.

    Raises:
        ValueError: for arguments out of range; for a model that takes labels, or other data; and if it is used before
            it is attached.

    Example:
        >>> prior = zoo.priors.VampPrior(latent_dim=16, data_shape=(28, 28, 1), components=20)
        >>> prior.initialize(images)
        >>> model = zoo.VAE(encoder, decoder, prior=prior)
    """

    def __init__(self, latent_dim, data_shape, components=500, seed=None, **kwargs):
        super().__init__(latent_dim, seed=seed, **kwargs)
        if not isinstance(data_shape, (tuple, list)) or not data_shape:
            checks.fail("data_shape", "a tuple of integers >= 1, the shape of an example", data_shape)
        self.data_shape = tuple(checks.positive_int("data_shape", size) for size in data_shape)
        self.components = checks.positive_int("components", components)
        self._key = random.fresh_seed() if self.seed is None else self.seed
        # A function that gives the model: Keras would save the model itself a second time, as a part of the prior.
        object.__setattr__(self, "_attached", lambda: None)

        def uniform(shape, dtype):
            return ops.cast(random.uniform(random.row_seeds(self._key, shape[0]), shape[1:]), dtype)

        self.pseudo_inputs = self.add_weight(
            name="pseudo_inputs", shape=(self.components, *self.data_shape), dtype="float32", initializer=uniform,
            constraint=self._clip,
        )  # fmt: skip
        self.built = True

    def attach(self, model):
        """Makes the posterior of `model` that of the mixture.

        Raises:
            ValueError: for a model that takes labels, other data or other latents.
        """
        kind = type(model).__name__
        if model.conditional:
            checks.fail("prior", f"another than a VampPrior, as {kind} encodes its data with labels", "VampPrior")
        shape = model.known_shape
        fits = shape is None or len(shape) == len(self.data_shape)
        if not fits or any(a != b for a, b in zip(shape or (), self.data_shape) if a is not None):
            checks.fail("prior", f"a VampPrior with data_shape={shape}", f"one with data_shape={self.data_shape}")
        object.__setattr__(self, "_attached", lambda: model)
        self.functions.clear()  # they hold the model before
        self.pseudo_inputs.assign(self._clip(self.pseudo_inputs))

    def initialize(self, images):
        """Starts the pseudo-inputs from K of the training images, chosen by the seed.

        Args:
            images: float `[N, *data_shape]`, N >= K.

        Raises:
            ValueError: for images of another type or shape, or too few of them.
        """
        images = np.asarray(inputs.array("images", images))
        inputs.require_floating("images", images)
        inputs.require_shape("images", images, self.data_shape)
        if len(images) < self.components:
            checks.fail("images", f"at least {self.components}, one for each component", f"{len(images)} images")
        inputs.look([inputs.Values("images", images)])
        chosen = np.random.default_rng(self._key % 2**32).choice(len(images), self.components, replace=False)
        self.pseudo_inputs.assign(self._clip(ops.convert_to_tensor(images[np.sort(chosen)], "float32")))

    def mixture(self, labels=None):
        means, log_vars = self._encode(self._clip(ops.convert_to_tensor(self.pseudo_inputs)))
        log_weights = ops.full((1, self.components), -np.log(self.components), "float32")
        return Components(log_weights, ops.expand_dims(means, 0), ops.expand_dims(log_vars, 0))

    def draw(self, seeds, temperature, labels=None):
        # The weights are even: a component is known before any is encoded.
        chosen = choose(ops.zeros((1, self.components)), seeds)
        pseudo_inputs = ops.reshape(self._clip(ops.convert_to_tensor(self.pseudo_inputs)), (self.components, -1))
        mean, log_var = self._encode(ops.reshape(ops.matmul(chosen, pseudo_inputs), (-1, *self.data_shape)))
        return draw_normal(mean, log_var, seeds, temperature)

    def _encode(self, x):
        """Means and log-variances of q(z|x), `[K,D]` each."""
        model = self._attached()
        if model is None:
            raise ValueError(
                "Expected a VampPrior that is the prior of a model, whose encoder it uses: zoo.VAE(…, prior=prior), "
                "model.prior = prior or prior.attach(model). Received: one without a model"
            )
        with model.nothing_added():
            return model.posterior(x)

    def _clip(self, x):
        model = self._attached()
        support = None if model is None else model.likelihood.support
        return x if support is None else ops.clip(x, *support)

    def get_config(self):
        config = super().get_config()
        for name in ("num_classes", "num_attributes"):
            del config[name]
        return {**config, "data_shape": self.data_shape, "components": self.components}
