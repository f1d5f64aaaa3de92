"""Likelihoods of counts: Poisson and negative binomial."""

from keras import ops, saving

from zoo import distributions, random
from zoo.likelihoods import _draws
from zoo.likelihoods._base import Likelihood
from zoo.likelihoods._terms import negative_binomial_terms, poisson_terms
from zoo.runtime.types import Tensor

_LARGEST = 3.4028234663852886e38  # of float32
_LOG_RATE_RANGE = (-14.0, 14.0)
_LOG_CONCENTRATION_RANGE = (-7.0, 12.0)


@saving.register_keras_serializable("zoo")
class Poisson(Likelihood):
    """Counts 0, 1, 2, …: each is Poisson with the rate e^params.

        log p(x|z) = Σ x log m − m − log x!,   m = e^params

    Data are the counts themselves, as float32; an encoder of counts that differ by orders of magnitude works better
    with log(1 + x) as its first layer. The log of the rate is kept within (−14, 14) by a smooth bound.
    """

    support = (0.0, _LARGEST)
    counts = True

    def log_prob(self, x: Tensor, params: Tensor, training: bool = False) -> Tensor:
        return distributions.sum_per_example(poisson_terms(x, self.mean(params)))

    def mean(self, params: Tensor) -> Tensor:
        return ops.exp(distributions.soft_bound(params, *_LOG_RATE_RANGE))

    def sample(self, params: Tensor, seeds: Tensor) -> Tensor:
        return _draws.poisson(seeds, self.mean(params))


@saving.register_keras_serializable("zoo")
class NegativeBinomial(Likelihood):
    """Counts whose variance exceeds their mean m: m + m²/r. Two parameters for each, log m and then log r.

        log p(x|z) = Σ log Γ(x + r) − log Γ(r) − log x! + r log(r / (r + m)) + x log(m / (r + m))

    It is a Poisson whose rate is Gamma distributed with the concentration r. Data are as those of `Poisson`. log m is
    kept within (−14, 14), and log r within (−7, 12), by smooth bounds.
    """

    support = (0.0, _LARGEST)
    counts = True

    def params_size(self, channels: int) -> int:
        return 2 * channels

    def log_prob(self, x: Tensor, params: Tensor, training: bool = False) -> Tensor:
        mean, concentration = self._split(params)
        return distributions.sum_per_example(negative_binomial_terms(x, mean, concentration))

    def mean(self, params: Tensor) -> Tensor:
        return self._split(params)[0]

    def sample(self, params: Tensor, seeds: Tensor) -> Tensor:
        mean, concentration = self._split(params)
        rate = _draws.gamma(random.fold_in(seeds, 3), concentration) * mean / concentration
        return _draws.poisson(seeds, ops.clip(rate, 1e-7, 1e7))

    def _split(self, params):
        log_mean, log_concentration = ops.split(params, 2, axis=-1)
        mean = ops.exp(distributions.soft_bound(log_mean, *_LOG_RATE_RANGE))
        return mean, ops.exp(distributions.soft_bound(log_concentration, *_LOG_CONCENTRATION_RANGE))
