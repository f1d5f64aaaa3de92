"""The mixture of Gaussians as a prior."""

import math

import keras
from keras import ops

from zoo import distributions, random
from zoo.priors.latents._mixture import Components, MixturePrior, choose, draw_normal
from zoo.runtime import checks

_SPREAD = 0.5  # the standard deviation of the first means


@keras.saving.register_keras_serializable("zoo")
class MixtureOfGaussians(MixturePrior):
    """A mixture of K diagonal Gaussians with learned weights, means and variances.

        p(z) = Σ_k w_k N(z; μ_k, diag σ²_k),   or   p(z|y) = Σ_k w_k(y) N(z; μ_k(y), diag σ²_k(y))

    It is the mixture that Tomczak & Welling 2018 compare the VampPrior with; deviation: the weights are learned. With
    labels, logits, means and log-variances are affine in `condition(labels)`: each class has a mixture of its own.

    The first means are normal numbers of standard deviation ½ and the first variances ¾: the components differ, and the
    whole has about the mean and variance of N(0, I). Log-variances are held within (−14, 14) by
    `zoo.distributions.bound_log_var`.

    A sample takes a component by its weight, and the temperature multiplies that component's standard deviation: at
    temperature 0 a sample is the mean of a component, not of the whole mixture. The KL of one component has a closed
    form; that of several is an estimate at one sample.

    Args:
        latent_dim: int >= 1, D.
        components: int >= 1, K.
        num_classes: int >= 1, for a prior p(z|y) whose labels are classes; or None.
        num_attributes: int >= 1, for one whose labels are that many attributes; or None.
        seed: int or None, of the first means, and of the samples of z in `fit`.

    Call arguments:
        z: float32 `[B,D]`.
        labels: int32 `[B]` or float32 `[B,num_attributes]`, for a conditional prior.

    Returns:
        log p(z), float32 `[B]`, nats.

    Raises:
        ValueError: for arguments out of range.

    Example:
        >>> prior = zoo.priors.MixtureOfGaussians(latent_dim=16, components=50)
        >>> model = zoo.VAE(encoder, decoder, prior=prior)
    """

    def __init__(self, latent_dim, components=10, num_classes=None, num_attributes=None, seed=None, **kwargs):
        super().__init__(latent_dim, num_classes, num_attributes, seed, **kwargs)
        self.components = checks.positive_int("components", components)
        key = random.fresh_seed() if self.seed is None else self.seed

        def apart(shape, dtype):
            return ops.cast(_SPREAD * random.normal(random.row_seeds(key, shape[0]), shape[1:]), dtype)

        variance = keras.initializers.Constant(math.log(1.0 - _SPREAD**2))
        shape = (self.components, self.latent_dim)
        self.logits = _Affine((self.components,), self.num_conditions, "zeros", name="logits")
        self.means = _Affine(shape, self.num_conditions, apart, name="means")
        self.log_vars = _Affine(shape, self.num_conditions, variance, name="log_vars")
        self.built = True

    def mixture(self, labels=None):
        condition = None if labels is None else self.condition(labels)
        logits, means, log_vars = (layer(condition) for layer in (self.logits, self.means, self.log_vars))
        return Components(ops.log_softmax(logits, axis=-1), means, distributions.bound_log_var(log_vars))

    def draw(self, seeds, temperature, labels=None):
        mixture = self.mixture(labels)
        chosen = ops.expand_dims(choose(mixture.log_weights, seeds), 2)
        mean, log_var = (ops.sum(chosen * values, axis=1) for values in mixture[1:])
        return draw_normal(mean, log_var, seeds, temperature)

    def get_config(self):
        return {**super().get_config(), "components": self.components}


class _Affine(keras.layers.Layer):
    """Parameters of a distribution that are affine in a condition: `[B,n]` to `[B, *shape]`; None gives `[1, *shape]`.

    The slope is zero at first, and there is none for n = 0.
    """

    def __init__(self, shape, conditions, initializer, **kwargs):
        super().__init__(dtype="float32", **kwargs)
        self.shape = shape
        self.bias = self.add_weight(shape=shape, initializer=initializer, name="bias")
        if conditions:
            self.slope = self.add_weight(shape=(conditions, math.prod(shape)), initializer="zeros", name="slope")
        self.built = True

    def call(self, condition=None):
        bias = ops.expand_dims(self.bias, 0)
        return bias if condition is None else bias + ops.reshape(ops.matmul(condition, self.slope), (-1, *self.shape))
