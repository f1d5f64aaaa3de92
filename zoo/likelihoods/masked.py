"""The likelihood of incomplete data: a mask beside the values."""

from collections.abc import Mapping
from typing import Any

import keras
from keras import ops, saving

from zoo.likelihoods._base import Likelihood
from zoo.runtime import checks
from zoo.runtime.types import Array, Config, Tensor


@saving.register_keras_serializable("zoo")
class Masked(Likelihood):
    """A likelihood of the observed values alone: log p(x_obs|z) = Σ_i m_i log p(x_i|z).

    An example has twice the channels of its values: the values times the mask, then the mask, 1 where a value is
    observed and 0 where it is missing; `beside` joins the two. A `zoo.IWAE` with this likelihood is the MIWAE (Mattei &
    Frellsen 2019, "MIWAE: Deep Generative Modelling and Imputation of Incomplete Data Sets", eq. (4)). The mean of the
    data has a mask of ones: a decoded example is complete.

    Trained by `fit(masked)`, a model sees incomplete data only. Trained by `fit(masked, complete)`, where the mask of
    `complete` is 1 everywhere, it learns to fill in what was hidden.

    Args:
        likelihood: a `zoo.likelihoods.Likelihood` whose scale does not follow the batch, of the values. Channels of one
            place must all be observed or all be missing if the likelihood couples them.

    Raises:
        ValueError: for what is no likelihood, for another `Masked`, and for a likelihood whose `scale` is "optimal",
            which would be computed from missing values too.

    Example:
        >>> encoder = zoo.networks.mlp_encoder((28, 28, 2), latent_dim=16)
        >>> decoder = zoo.networks.mlp_decoder((28, 28, 1), latent_dim=16)
        >>> miwae = zoo.IWAE(encoder, decoder, zoo.likelihoods.Masked(zoo.likelihoods.Bernoulli()), num_samples=5)
        >>> mask = np.random.default_rng(0).uniform(size=images.shape) < 0.5
        >>> miwae.log_prob(zoo.likelihoods.Masked.beside(images, mask)).shape
        TensorShape([32])
    """

    def __init__(self, likelihood: Likelihood | Mapping[str, object], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if isinstance(likelihood, dict):
            likelihood = keras.saving.deserialize_keras_object(likelihood)
        if not isinstance(likelihood, Likelihood) or isinstance(likelihood, Masked):
            checks.fail("likelihood", "a zoo.likelihoods.Likelihood of the values", likelihood)
        if getattr(likelihood, "scale", None) == "optimal":
            checks.fail("likelihood", "one whose scale does not follow the batch", "scale='optimal'")
        self.likelihood = likelihood
        self.support, self.unbounded = likelihood.support, likelihood.unbounded
        if self.support is not None and not self.support[0] <= 0.0 < 1.0 <= self.support[1]:
            self.support = (min(self.support[0], 0.0), max(self.support[1], 1.0))

    @staticmethod
    def beside(x: Array, mask: Array) -> Tensor:
        """`[x · mask, mask]` on the last axis.

        Args:
            x: float `[B,…,C]`; missing values may be anything, NaN included.
            mask: bool, or 0 and 1, of a shape that broadcasts to x's: 1 is observed.

        Returns:
            float32 `[B,…,2C]`.

        Raises:
            ValueError: for a mask of another shape.
        """
        x, mask = ops.cast(x, "float32"), ops.cast(mask, "float32")
        if not _broadcasts(tuple(mask.shape), tuple(x.shape)):
            checks.fail("mask", f"of a shape that broadcasts to {tuple(x.shape)}", tuple(mask.shape))
        mask = mask * ops.ones_like(x)
        return ops.concatenate([ops.where(mask > 0.0, x, 0.0), mask], axis=-1)

    def known(self, x: Tensor) -> Tensor:
        mask = ops.split(x, 2, axis=-1)[1]
        return ops.concatenate([mask, ops.zeros_like(mask)], axis=-1)  # the reconstruction's mask is 1 everywhere

    def params_size(self, channels: int) -> int:
        if channels % 2:
            checks.fail("x", "values beside their mask, an even number of channels", f"{channels} channels")
        return self.likelihood.params_size(channels // 2)

    def log_prob(self, x: Tensor, params: Tensor, training: bool = False) -> Tensor:
        values, mask = ops.split(x, 2, axis=-1)
        return self.likelihood.observed_log_prob(values, params, mask, training)

    def mean(self, params: Tensor) -> Tensor:
        mean = self.likelihood.mean(params)
        return ops.concatenate([mean, ops.ones_like(mean)], axis=-1)

    def sample(self, params: Tensor, seeds: Tensor) -> Tensor:
        values = self.likelihood.sample(params, seeds)
        return ops.concatenate([values, ops.ones_like(values)], axis=-1)

    def get_config(self) -> Config:
        return {**super().get_config(), "likelihood": keras.saving.serialize_keras_object(self.likelihood)}


def _broadcasts(shape, target):
    """Whether an array of `shape` broadcasts to `target`; None, an unknown size, agrees with any."""
    sizes = zip(shape[::-1], target[::-1])
    return len(shape) <= len(target) and all(own in (1, None, size) or size is None for own, size in sizes)
