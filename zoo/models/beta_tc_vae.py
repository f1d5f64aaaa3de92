"""The β-TCVAE."""

import math
from typing import Any

import keras
from keras import ops

from zoo import distributions
from zoo.likelihoods import Likelihood
from zoo.models._elbo import Latents
from zoo.models.vae import VAE
from zoo.priors import StandardNormal
from zoo.runtime import checks, replicas
from zoo.runtime.settings import Setting
from zoo.runtime.types import Config, Tensor, Tensors


@keras.saving.register_keras_serializable("zoo")
class BetaTCVAE(VAE):
    """A VAE that multiplies only the total correlation of its latents by β; a β-VAE multiplies the whole KL.

        loss = −log p(x|z) + w · ( α I(z; x) + β TC(z) + γ Σ_j KL( q(z_j) ‖ p(z_j) ) )
        TC(z) = KL( q(z) ‖ Π_j q(z_j) )

    (Chen et al. 2018, "Isolating Sources of Disentanglement in Variational Autoencoders".) For α = β = γ = 1 the three
    terms add up to the KL, in the mean. `w` is `kl_weight`, 1 unless a callback changes it. `kl` and `elbo` are those
    of the VAE: they do not depend on w, α, β and γ.

    q(z) = (1/N) Σ_n q(z|x_n) is estimated from the batch of all replicas, M examples: the example from which z was
    sampled has the weight 1/N, and the M − 1 others share the rest equally. This is the mean of the paper's minibatch
    stratified sampling over the example that it singles out; the paper takes one of them at random. The
    estimate of q(z) is unbiased; that of log q(z) is too low, by less for a larger batch.

    Args:
        encoder, decoder, likelihood, free_bits, seed: as in `zoo.VAE`. The prior is the standard normal, whose
            dimensions are independent. `free_bits` must be 0.
        dataset_size: int >= 1, N, the number of training examples.
        beta: float >= 0.
        alpha, gamma: float >= 0.

    Reports:
        beside the terms of a VAE: `mutual_information`, `total_correlation` and `dimension_kl`, the three terms above
        without their weights, nats per example. They are estimates, and can be negative.

    Raises:
        ValueError: for arguments out of range.

    Example:
        >>> model = zoo.BetaTCVAE(encoder, decoder, dataset_size=len(images), beta=6.0)
    """

    own_weights = ("beta", "alpha", "gamma")
    term_names = (*VAE.term_names, "mutual_information", "total_correlation", "dimension_kl")
    free_bits = Setting(checks.zero, "a BetaTCVAE has no KL of single latents in its loss")
    dataset_size = Setting(checks.positive_int)
    beta = Setting(checks.number, 0.0)
    alpha = Setting(checks.number, 0.0)
    gamma = Setting(checks.number, 0.0)

    def __init__(
        self,
        encoder: keras.layers.Layer,
        decoder: keras.layers.Layer,
        likelihood: str | Likelihood = "bernoulli",
        dataset_size: int | None = None,
        beta: float = 6.0,
        alpha: float = 1.0,
        gamma: float = 1.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(encoder, decoder, likelihood, **kwargs)
        self.dataset_size = dataset_size
        self.beta = beta
        self.alpha = alpha
        self.gamma = gamma

    def check_prior(self, prior: object) -> None:
        super().check_prior(prior)
        if type(prior) is not StandardNormal:
            checks.fail("prior", "a zoo.priors.StandardNormal, as its dimensions must be independent", prior)

    def compute_terms(
        self, x: Tensor, labels: Tensor | None = None, training: bool = False, target: Tensor | None = None
    ) -> Tensors:
        if training and x.shape[0] is not None and x.shape[0] > self.dataset_size:
            checks.fail("dataset_size", f"at least {x.shape[0]}, the examples of a batch", self.dataset_size)
        return super().compute_terms(x, labels, training, target)

    def penalty_terms(self, latents: Latents) -> Tensors:
        log_q, log_q_by_dimension = aggregate_log_prob(*latents[:3], self.dataset_size)
        log_posterior = distributions.normal_log_prob(latents.z, latents.mean, latents.log_var)
        log_product = ops.sum(log_q_by_dimension, axis=1)
        terms = {
            "mutual_information": log_posterior - log_q,
            "total_correlation": log_q - log_product,
            "dimension_kl": log_product - self.prior.log_density(latents.z),
        }
        weights = (self.alpha, self.beta, self.gamma)
        return {"penalty": sum(weight * term for weight, term in zip(weights, terms.values())), **terms}

    def get_config(self) -> Config:
        names = ("dataset_size", "beta", "alpha", "gamma")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


def aggregate_log_prob(mean: Tensor, log_var: Tensor, z: Tensor, dataset_size: int) -> tuple[Tensor, Tensor]:
    """Estimates log q(z) and log q(z_j) of each dimension from a batch; q is the average posterior of all examples.

    Args:
        mean, log_var, z: float32 `[b,D]`, the posteriors of this replica's examples, and a sample of each.
        dataset_size: int, N.

    Returns:
        float32 `[b]` and `[b,D]`, nats.
    """
    sizes = replicas.concat(ops.shape(mean)[:1] + ops.zeros((1,), "int32"))
    means, log_vars = replicas.concat(mean), replicas.concat(log_var)
    number = ops.shape(means)[0]
    first = ops.sum(ops.where(ops.arange(ops.shape(sizes)[0], dtype="int32") < replicas.replica_id(), sizes, 0))
    # The place of each example in the batch of all replicas.
    own = ops.arange(ops.shape(mean)[0], dtype="int32") + first
    others = ops.cast(ops.maximum(number - 1, 1), "float32")
    log_share = math.log(max(dataset_size - 1, 1) / dataset_size) - ops.log(others)
    is_own = ops.equal(own[:, None], ops.arange(number, dtype="int32"))
    # A single example says nothing of the others: q(z) is then q(z|x), and all that is left is its KL.
    own_share = -math.log(dataset_size) * ops.cast(number > 1, "float32")
    log_weights = ops.where(is_own, own_share, log_share)  # [b,M]
    difference = z[:, None] - means  # [b,M,D]
    by_dimension = -0.5 * (math.log(2 * math.pi) + log_vars + ops.square(difference) * ops.exp(-log_vars))
    log_q = ops.logsumexp(log_weights + ops.sum(by_dimension, axis=2), axis=1)
    return log_q, ops.logsumexp(log_weights[:, :, None] + by_dimension, axis=1)
