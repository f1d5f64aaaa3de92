"""Likelihoods p(x|z): the distribution of the data, given the decoder's output."""

from collections.abc import Mapping

from keras import saving

from zoo.likelihoods._base import Likelihood, require
from zoo.likelihoods.bernoulli import Bernoulli
from zoo.likelihoods.categorical import Categorical
from zoo.likelihoods.columns import GaussianColumns, Ordinal
from zoo.likelihoods.counts import NegativeBinomial, Poisson
from zoo.likelihoods.discretized_logistic import DiscretizedLogistic, DiscretizedLogisticMixture
from zoo.likelihoods.gaussian import Gaussian
from zoo.likelihoods.masked import Masked
from zoo.likelihoods.mixed import Mixed
from zoo.likelihoods.sound import MelSound
from zoo.likelihoods.standardized import Standardized
from zoo.runtime import checks

__all__ = [
    "Bernoulli",
    "Categorical",
    "DiscretizedLogistic",
    "DiscretizedLogisticMixture",
    "Gaussian",
    "GaussianColumns",
    "Likelihood",
    "Masked",
    "MelSound",
    "Mixed",
    "NegativeBinomial",
    "Ordinal",
    "Poisson",
    "Standardized",
    "get",
]

_BY_NAME = {
    "bernoulli": Bernoulli,
    "gaussian": Gaussian,
    "discretized_logistic": DiscretizedLogistic,
    "discretized_logistic_mixture": DiscretizedLogisticMixture,
    "categorical": Categorical,
    "poisson": Poisson,
    "negative_binomial": NegativeBinomial,
}


def get(identifier: str | Mapping[str, object] | Likelihood) -> Likelihood:
    """A likelihood from its name or its serialised form; a likelihood is returned as it is.

    Raises:
        ValueError: if `identifier` is none of these.
    """
    if isinstance(identifier, dict):
        identifier = saving.deserialize_keras_object(identifier)
    if isinstance(identifier, Likelihood):
        return require(identifier)
    if isinstance(identifier, str) and identifier in _BY_NAME:
        return _BY_NAME[identifier]()
    checks.fail("likelihood", f"a zoo.likelihoods.Likelihood or one of {list(_BY_NAME)}", identifier)
