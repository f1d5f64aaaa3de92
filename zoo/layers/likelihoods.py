"""p(x|z): what a decoder's output says of an image.

A decoder gives `params_size(C)` numbers a pixel; the likelihood turns them into nats and into an image.
"""

import math

from keras import layers, ops, saving

from zoo import checks, distributions, replica


class Likelihood(layers.Layer):
    """Base of the likelihoods. They compute in float32 under any dtype policy.

    `eight_bit` says whether `log_prob` is the log of a probability over the 256 values of a pixel, which is what
    bits per dim need. `support` is the range of values that the data may have, (low, high), or None for the real line.
    `unbounded` says whether `params` may be any numbers, so that a decoder must not end in a sigmoid or the like.
    """

    eight_bit = False
    support = (0.0, 1.0)
    unbounded = True

    def __init__(self, **kwargs):
        kwargs.setdefault("dtype", "float32")
        super().__init__(**kwargs)
        self.built = True

    def params_size(self, channels):
        """Numbers a pixel that the decoder must give for `channels` channels."""
        return channels

    def log_prob(self, x, params, training=False):
        """log p(x|z), summed over the pixels: float32 `[B]`, nats per example."""
        raise NotImplementedError

    def mean(self, params):
        """The mean of the data, float32 `[B,H,W,C]` within the support."""
        raise NotImplementedError

    def check_params(self, data_shape, params_shape):
        """Raises ValueError unless a decoder's output fits the data: they could be broadcast against one another.

        Args:
            data_shape, params_shape: tuples of ints, or None where a size is not known, without the batch.
        """
        *size, channels = data_shape
        wanted = (*size, None if channels is None else self.params_size(channels))
        fits = len(wanted) == len(params_shape)
        if not fits or any(a != b for a, b in zip(wanted, params_shape) if None not in (a, b)):
            expected = ", ".join("?" if n is None else str(n) for n in wanted)
            raise ValueError(
                f"Expected the decoder to give [B, {expected}], as {type(self).__name__} asks for {wanted[-1]} numbers "
                f"for the {channels} values of a place. Received: an output of shape [B, "
                f"{', '.join(map(str, params_shape))}]"
            )


@saving.register_keras_serializable("zoo")
class Bernoulli(Likelihood):
    """Each value is 1 with probability σ(logit). See `zoo.distributions.bernoulli_log_prob`."""

    def log_prob(self, x, params, training=False):
        return distributions.bernoulli_log_prob(x, params)

    def mean(self, params):
        return ops.sigmoid(params)


@saving.register_keras_serializable("zoo")
class Gaussian(Likelihood):
    """N(x; params + m, σ²), one σ for all values, m the middle of `range`. A density: its nats can have any sign.

    Args:
        scale: how σ comes about.
            A float > 0: fixed, in units of `x`.
            "learned": one trainable weight.
            "optimal": in training, the value that maximises the likelihood of the batch (Rybkin et al. 2021,
            eq. 6). Outside training a moving average of it: a scale computed from the very
            images that it judges would give no density and no ELBO.
        momentum: float in [0, 1), of that moving average.
        range: pair of floats (low, high), between which the data lie: (0, 1) for images, (-1, 1) where they are scaled
            like that. What the model gives is clipped to it. None for the real line: m is 0, and nothing is clipped, as
            for tables, series and standardised data.

    Raises:
        ValueError: if `scale` or `range` is none of these.
    """

    def __init__(self, scale=0.1, momentum=0.99, range=(0.0, 1.0), **kwargs):
        super().__init__(**kwargs)
        self.range = None if range is None else _pair("range", range)
        if not isinstance(scale, str):
            scale = checks.number("scale", scale, 0.0, open_low=True)
        elif scale not in ("learned", "optimal"):
            checks.fail("scale", "a number > 0, 'learned' or 'optimal'", scale)
        self.scale = scale
        self.momentum = checks.number("momentum", momentum, 0.0, 1.0, open_high=True)
        if isinstance(scale, str):
            self.log_var = self.add_weight(
                shape=(), initializer="zeros", trainable=scale == "learned", name="log_var",
                aggregation="mean" if scale == "learned" else "only_first_replica",
            )  # fmt: skip
        if scale == "optimal":
            self.updates = self.add_weight(
                shape=(), initializer="zeros", trainable=False, name="updates", aggregation="only_first_replica"
            )

    @property
    def support(self):
        return self.range

    @property
    def unbounded(self):
        return self.range is not None  # on the real line a network may know better what its data are

    def log_prob(self, x, params, training=False):
        mean = self._location(params)
        return distributions.normal_log_prob(x, mean, self._log_var(x, mean, training))

    def _location(self, params):
        return params if self.range is None else params + 0.5 * (self.range[0] + self.range[1])

    def _log_var(self, x, mean, training):
        if not isinstance(self.scale, str):
            return ops.convert_to_tensor(2.0 * math.log(self.scale), "float32")
        if self.scale == "optimal" and training:
            # At the optimum the derivative by the scale is zero, so that no gradient need pass here.
            x, mean = ops.stop_gradient(x), ops.stop_gradient(mean)
            squared = ops.mean(ops.square(x - mean), axis=tuple(range(1, len(x.shape))))
            optimal = distributions.bound_log_var(ops.log(replica.mean_over_batch(squared) + 1e-12))
            # A plain mean at first, so that the zero it starts from never counts.
            rate = ops.maximum(1.0 - self.momentum, 1.0 / (self.updates + 1.0))
            self.log_var.assign(self.log_var + rate * (optimal - self.log_var))
            self.updates.assign_add(1.0)
            return optimal
        return distributions.bound_log_var(ops.convert_to_tensor(self.log_var))

    def mean(self, params):
        location = self._location(params)
        return location if self.range is None else ops.clip(location, *self.range)

    def get_config(self):
        return {**super().get_config(), "scale": self.scale, "momentum": self.momentum, "range": self.range}


def _pair(name, value):
    """`value` as a pair of floats, the first below the second."""
    try:
        low, high = (checks.number(name, each) for each in value)
    except (TypeError, ValueError):
        checks.fail(name, "a pair of finite numbers (low, high), or None for the real line", value)
    if low >= high:
        checks.fail(name, "a pair of numbers, the first below the second", value)
    return low, high


@saving.register_keras_serializable("zoo")
class DiscretizedLogistic(Likelihood):
    """A logistic over the 256 values, its location and scale for each value from the decoder."""

    eight_bit = True

    def params_size(self, channels):
        return 2 * channels

    def log_prob(self, x, params, training=False):
        mean, log_scale = ops.split(params, 2, axis=-1)
        log_scale = distributions.bound_log_scale(log_scale)
        return distributions.discretized_logistic_log_prob(x, 0.5 + 0.5 * mean, log_scale)

    def mean(self, params):
        return ops.clip(0.5 + 0.5 * ops.split(params, 2, axis=-1)[0], 0.0, 1.0)


@saving.register_keras_serializable("zoo")
class DiscretizedLogisticMixture(Likelihood):
    """A mixture of logistics over the 256 values. See `zoo.distributions.discretized_logistic_mixture_log_prob`.

    Args:
        components: int >= 1.
        channels: int >= 1, of the image: 1 for grey, 3 for colour.
    """

    eight_bit = True

    def __init__(self, components=10, channels=3, **kwargs):
        super().__init__(**kwargs)
        self.components = checks.positive_int("components", components)
        self.channels = checks.positive_int("channels", channels)

    def params_size(self, channels):
        if channels != self.channels:
            raise ValueError(f"Expected images of {self.channels} channels. Received: channels={channels}")
        return distributions.mixture_size(channels, self.components)

    def log_prob(self, x, params, training=False):
        return distributions.discretized_logistic_mixture_log_prob(x, params, self.components)

    def mean(self, params):
        return distributions.discretized_logistic_mixture_mean(params, self.channels, self.components)

    def get_config(self):
        return {**super().get_config(), "components": self.components, "channels": self.channels}


_BY_NAME = {
    "bernoulli": Bernoulli,
    "gaussian": Gaussian,
    "discretized_logistic": DiscretizedLogistic,
    "discretized_logistic_mixture": DiscretizedLogisticMixture,
}


def get(identifier):
    """A likelihood from its name, its serialised form, or itself.

    Raises:
        ValueError: if `identifier` is none of these.
    """
    if isinstance(identifier, dict):
        identifier = saving.deserialize_keras_object(identifier)
    if isinstance(identifier, Likelihood):
        return identifier
    if isinstance(identifier, str) and identifier in _BY_NAME:
        return _BY_NAME[identifier]()
    checks.fail("likelihood", f"a zoo.layers.Likelihood or one of {list(_BY_NAME)}", identifier)
