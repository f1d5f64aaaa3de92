"""The objective of VAEs whose loss is a negative ELBO with a weight on its KL."""

from typing import Any, Literal, NamedTuple

import keras

from zoo import callbacks, distributions, layers, likelihoods
from zoo.models._base import BaseVAE
from zoo.runtime import checks
from zoo.runtime.types import Config, Tensor, Tensors


class Latents(NamedTuple):
    """The posterior of a batch and a sample of it.

    Attributes:
        mean, log_var, z: float32 `[B,D]`.
        kl: float32 `[B,G]`, nats, from `zoo.priors.LatentPrior.kl`; the sum over G is KL( q(z|x) ‖ p(z) ).
    """

    mean: Tensor
    log_var: Tensor
    z: Tensor
    kl: Tensor


class ElboVAE(BaseVAE):
    """A VAE with a reparameterised posterior.

        loss = −log p(x|z) + w · penalty,   elbo = log p(x|z) − KL

    The penalty is the KL unless a model overrides it. `w` is `kl_weight`, 1 unless a callback such as
    `zoo.callbacks.KLWarmup` changes it. `elbo` depends on neither.

    Args:
        encoder, decoder: keras layers or models. The model's own docstring states their inputs and outputs.
        likelihood: a `zoo.likelihoods.Likelihood` or its name.
        free_bits: float >= 0, nats. The loss does not reward a KL below it.
        seed: int or None, of the noise in training.
        kl_weight: None or "auto"; see `automatic_likelihood`. The argument is kept as `kl_weight_rule`, as the
            attribute `kl_weight` is the weight in force.
    """

    term_names: tuple[str, ...] = ("loss", "reconstruction", "kl", "elbo")
    own_weights: tuple[str, ...] = ()  # arguments that weigh parts of the KL, for a model that has them

    def __init__(
        self,
        encoder: keras.layers.Layer,
        decoder: keras.layers.Layer,
        likelihood: str | likelihoods.Likelihood,
        free_bits: float,
        seed: int | None,
        kl_weight: Literal["auto"] | None = None,
        **kwargs: Any,
    ) -> None:
        if kl_weight is not None:
            self._check_automatic(kl_weight)
            likelihood = automatic_likelihood(likelihood)
        super().__init__(encoder, decoder, likelihoods.get(likelihood), **kwargs)
        self.kl_weight_rule = kl_weight
        self.free_bits = checks.number("free_bits", free_bits, 0.0)
        self.seed = checks.seed("seed", seed)
        self.sampling = layers.Sampling(seed, dtype="float32")
        self.kl_weight = self.add_weight(
            name="kl_weight", shape=(), dtype="float32", initializer="ones", trainable=False,
            aggregation="only_first_replica",
        )  # fmt: skip
        if self.likelihood.eight_bit:
            self.trackers["bits_per_dim"] = keras.metrics.Mean(name="bits_per_dim")

    def terms_of(self, x: Tensor, log_likelihood: Tensor, kl: Tensor, penalty: Tensor | float) -> Tensors:
        """Computes the terms of the objective from log p(x|z), the KL and the penalty: `[B]`, nats."""
        reconstruction = -log_likelihood
        elbo = log_likelihood - kl
        terms = {
            "loss": reconstruction + self.kl_weight * penalty,
            "reconstruction": reconstruction,
            "kl": kl,
            "elbo": elbo,
        }
        if self.likelihood.eight_bit:
            terms["bits_per_dim"] = distributions.bits_per_dim(elbo, x.shape[1:])
        return terms

    def own_callbacks(self) -> list[keras.callbacks.Callback]:
        """A warm-up of w with `kl_weight="auto"` and a Bernoulli, until w has reached 1.

        A Gaussian's scale begins wide and narrows, which is a warm-up by itself. A probability has no scale, and
        latents that are of no use yet would be given up.
        """
        if not self.kl_weight_rule or not isinstance(_judge(self.likelihood), likelihoods.Bernoulli):
            return []
        begun = self.compiled and int(self.optimizer.iterations.value.numpy()) > 0
        return [] if begun and float(self.kl_weight.value.numpy()) == 1.0 else [callbacks.KLWarmup()]

    def get_config(self) -> Config:
        settings = {"free_bits": self.free_bits, "seed": self.seed, "kl_weight": self.kl_weight_rule}
        return {**super().get_config(), **settings}

    def _check_automatic(self, kl_weight):
        if kl_weight != "auto":
            checks.fail("kl_weight", "None or 'auto'; a constant weight is the `beta` of a zoo.BetaVAE", kl_weight)
        if self.own_weights:
            names = ", ".join(self.own_weights)
            checks.fail("kl_weight", f"None in a {type(self).__name__}, which has weights of its own: {names}", "auto")


def automatic_likelihood(likelihood: str | likelihoods.Likelihood) -> likelihoods.Likelihood:
    """Returns a likelihood under which the weight 1 of the KL needs no tuning.

    A Gaussian of a fixed scale σ hides a weight: −log p(x|z) + KL is, but for a constant and the factor 2σ², the loss
    |x − mean|² + 2σ² KL. With the scale that maximises the likelihood this weight follows from the data (Rybkin et al.
    2021, "Simple and Effective VAE Training with Calibrated Decoders", section 3). A Bernoulli has no scale.

    Args:
        likelihood: a `zoo.likelihoods.Bernoulli`, or a `Gaussian` of scale "optimal" or "learned", also within a
            `Masked`; or a name. "gaussian" stands for the Gaussian of scale "optimal".

    Raises:
        ValueError: for a Gaussian of a fixed scale, and for other likelihoods.
    """
    if isinstance(likelihood, str) and likelihood == "gaussian":
        return likelihoods.Gaussian("optimal")
    likelihood = likelihoods.get(likelihood)
    judge = _judge(likelihood)
    if isinstance(judge, likelihoods.Gaussian) and not isinstance(judge.scale, str):
        expected = "a Gaussian of scale 'optimal' or 'learned' with kl_weight='auto', as a fixed scale is a weight too"
        checks.fail("likelihood", expected, f"Gaussian({judge.scale:g})")
    if not isinstance(judge, (likelihoods.Gaussian, likelihoods.Bernoulli)):
        expected = "a Gaussian or a Bernoulli with kl_weight='auto'; others learn their scales, and need kl_weight=None"
        checks.fail("likelihood", expected, type(judge).__name__)
    return likelihood


def _judge(likelihood):
    """The likelihood of the values, without their mask."""
    return likelihood.likelihood if isinstance(likelihood, likelihoods.Masked) else likelihood
