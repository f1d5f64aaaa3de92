"""The Bernoulli likelihood, for binary data."""

from keras import ops, saving

from zoo import distributions, random
from zoo.likelihoods._base import Likelihood
from zoo.runtime.types import Tensor


@saving.register_keras_serializable("zoo")
class Bernoulli(Likelihood):
    """Each value is 1 with probability σ(logit). See `zoo.distributions.bernoulli_log_prob`."""

    def log_prob(self, x: Tensor, params: Tensor, training: bool = False) -> Tensor:
        return distributions.bernoulli_log_prob(x, params)

    def mean(self, params: Tensor) -> Tensor:
        return ops.sigmoid(params)

    def sample(self, params: Tensor, seeds: Tensor) -> Tensor:
        return ops.cast(random.uniform(seeds, params.shape[1:]) < ops.sigmoid(params), "float32")
