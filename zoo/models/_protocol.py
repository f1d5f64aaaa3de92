"""The methods that a model defines; those of the contract follow from them (`zoo.models._base`)."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeAlias

from zoo import random
from zoo.models._data import DataVAE
from zoo.runtime.types import ArrayLike, Batches, Labels, Tensor

# The posterior in the model's own form, from which `weigher` samples.
Posterior: TypeAlias = Any
_OBSERVED = 0x0B5E  # the stream of the noise of p(x|z); the latents take the streams of small numbers


def observed_seeds(seeds: Tensor) -> Tensor:
    """The seeds of the noise of p(x|z), from those of samples: int32 `[B]`."""
    return random.fold_in(seeds, _OBSERVED)


class Proposal(NamedTuple):
    """A sample z ~ q(z|x) of each example of a batch, as the distributions at z.

    Attributes:
        params: float32 `[B,H,W,params_size]`, the parameters of p(x|z).
        log_ratio: float32 `[B]`, nats, log p(z) − log q(z|x).
        kl: float32 `[B]`, nats, KL( q(z|x) ‖ p(z) ), or its estimate −log_ratio where there is no closed form.
    """

    params: Tensor
    log_ratio: Tensor
    kl: Tensor


class ProtocolVAE(DataVAE):
    """A variational autoencoder: an encoder, a decoder, a likelihood, and the terms of an objective.

    A model computes its objective in `compute_terms`, per example and in nats, and defines the methods below. All terms
    are float32 under any dtype policy.

    Args:
        encoder, decoder: keras layers or models. The model's own docstring states their inputs and outputs.
        likelihood: a `zoo.likelihoods.Likelihood`.
    """

    num_codes: int | None = None  # K, for a model whose latents are codes

    @property
    def can_sample(self) -> bool:
        """Whether `sample` and `log_prob` work; those of a VQ-VAE need a prior."""
        return True

    @property
    def num_layers(self) -> int:
        """L, the number of layers of latents."""
        return 1

    def encode(self, x: ArrayLike | Batches, labels: Labels = None, batch_size: int | None = None) -> Any:
        """The posterior of images."""
        raise NotImplementedError

    def decode(self, z: ArrayLike | Batches, labels: Labels = None, batch_size: int | None = None) -> Tensor:
        """The mean images of latents: float32 `[B,H,W,C]` in [0, 1]."""
        raise NotImplementedError

    def decoded(self, z: Tensor, labels: Labels = None) -> Tensor:
        """The parameters of p(x|z): latents as `latents` samples them to float32 `[B,H,W,params_size]`."""
        raise NotImplementedError

    def reconstruct(self, x: ArrayLike | Batches, labels: Labels = None, batch_size: int | None = None) -> Tensor:
        """Reconstructs images from their posterior means: `[B,H,W,C]` in [0, 1]; deterministic."""
        raise NotImplementedError

    def posterior_mean(self, x: Tensor, labels: Tensor | None = None) -> Tensor | Sequence[Tensor]:
        """The latents that `reconstruct` decodes."""
        raise NotImplementedError

    def latents(self, seeds: Tensor, temperature: Tensor, labels: Labels = None) -> Tensor:
        """Samples the prior, one row for each of `seeds` `[B]`; `temperature` `[B]` multiplies its scale."""
        raise NotImplementedError

    def posterior(self, x: Tensor, labels: Tensor | None = None, training: bool = False) -> Posterior:
        """The posterior q(z|x), computed once for all samples of it."""
        raise NotImplementedError

    def bottleneck(self, x: Tensor, labels: Tensor | None = None, training: bool = False) -> tuple[Tensor, Tensor]:
        """Samples the decoder's inputs from the posterior, for a model whose decoder takes them whole.

        Returns:
            the inputs `[B,…]`, and the terms of the loss beside the reconstruction, `[B]`, nats.
        """
        way = "a model whose decoder takes the latents and gives the parameters of p(x|z)"
        raise NotImplementedError(f"Expected {way}. Received: a {type(self).__name__}")

    def propose(self, x: Tensor, seeds: Tensor, labels: Tensor | None = None) -> Proposal:
        """Samples z ~ q(z|x) by `seeds`, int32 `[B]`; a row depends on its own seed alone.

        `judge(x, params) + log_ratio` is what `weigher` gives; `judge(other, params)` weighs other data, such as the
        observed part of `x`.
        """
        raise NotImplementedError

    def weigher(self, x: Tensor, labels: Tensor | None = None) -> Callable[[Tensor], Tensor]:
        """A function of seeds, int32 `[B]`, which sample z ~ q(z|x): log p(x, z) − log q(z|x), float32 `[B]`, nats.

        Parts that do not depend on the seeds are computed once.
        """
        raise NotImplementedError
