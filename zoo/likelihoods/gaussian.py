"""The Gaussian likelihood, with one scale for all values."""

import math
from typing import Any, Literal

from keras import ops, saving

from zoo import distributions, random
from zoo.likelihoods._base import Likelihood
from zoo.runtime import checks, replicas
from zoo.runtime.types import Config, Tensor


@saving.register_keras_serializable("zoo")
class Gaussian(Likelihood):
    """N(x; params + m, σ²) with one σ for all values; m is the middle of `range`. A density: its log can have any sign.

    Args:
        scale: the choice of σ.
            A float > 0: fixed, in units of `x`.
            "learned": one trainable weight.
            "optimal": in training, the value that maximises the likelihood of the batch (Rybkin et al. 2021,
            eq. 6). Outside training, a moving average of this value: with a scale computed from the images that it
            judges, `log_prob` would be neither a density nor part of an ELBO.
        momentum: float in [0, 1), the momentum of the moving average.
        range: pair of floats (low, high), the range of the data: (0, 1) for images, (-1, 1) for images scaled to it.
            The mean is clipped to it. None for the real line, as for tables, series and standardised data: m is 0, and
            nothing is clipped.

    Raises:
        ValueError: if `scale` or `range` is none of these.
    """

    def __init__(
        self,
        scale: float | Literal["learned", "optimal"] = 0.1,
        momentum: float = 0.99,
        range: tuple[float, float] | None = (0.0, 1.0),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.range = self.support = None if range is None else _pair("range", range)
        self.unbounded = range is not None  # on the real line the data may suit a bounded activation
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

    def log_prob(self, x: Tensor, params: Tensor, training: bool = False) -> Tensor:
        mean = self._location(params)
        return distributions.normal_log_prob(x, mean, self._log_var(x, mean, training))

    def _location(self, params):
        return params if self.range is None else params + 0.5 * (self.range[0] + self.range[1])

    def _log_var(self, x, mean, training):
        if not isinstance(self.scale, str):
            return ops.convert_to_tensor(2.0 * math.log(self.scale), "float32")
        if self.scale == "optimal" and training and self.trainable:
            # At the optimum the derivative by the scale is zero: no gradient needs to pass here.
            x, mean = ops.stop_gradient(x), ops.stop_gradient(mean)
            squared = ops.mean(ops.square(x - mean), axis=tuple(range(1, len(x.shape))))
            optimal = distributions.bound_log_var(ops.log(replicas.mean_over_batch(squared) + 1e-12))
            # A plain mean at first, as the initial zero must not count.
            rate = ops.maximum(1.0 - self.momentum, 1.0 / (self.updates + 1.0))
            known = ops.isfinite(optimal)  # else one batch with a NaN would stay in the scale for ever
            self.log_var.assign(self.log_var + ops.where(known, rate * (optimal - self.log_var), 0.0))
            self.updates.assign_add(ops.cast(known, "float32"))
            return optimal
        return distributions.bound_log_var(ops.convert_to_tensor(self.log_var))

    def mean(self, params: Tensor) -> Tensor:
        location = self._location(params)
        return location if self.range is None else ops.clip(location, *self.range)

    def sample(self, params: Tensor, seeds: Tensor) -> Tensor:
        """Samples x; those beyond `range` are clipped to it."""
        location, log_var = self._location(params), self._log_var(None, None, training=False)
        x = distributions.reparameterize(location, log_var, random.normal(seeds, params.shape[1:]))
        return x if self.range is None else ops.clip(x, *self.range)

    def get_config(self) -> Config:
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
