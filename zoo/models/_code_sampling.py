"""Samples and log-probabilities of a model of codes, by the prior over them."""

from zoo.fitting import inputs
from zoo.fitting.batched import batched
from zoo.models._any_size import AnySizeVAE
from zoo.models._code_prior import HasCodePrior
from zoo.priors import CodePrior
from zoo.runtime import checks
from zoo.runtime.types import Array, ArrayLike, Batches, Labels, Seeds, Tensor


class CodeSamplingVAE(HasCodePrior, AnySizeVAE):
    """A VAE of codes that samples, and bounds log p(x), by its `prior`. The prior may be conditional, the model not.

    A model defines `features`, the encoder's output before quantisation.
    """

    num_codes: int

    def features(self, x: Tensor, training: bool = False) -> Tensor:
        """The encoder's output before quantisation, float32 `[B,h,w,code_dim]`."""
        raise NotImplementedError

    def sample(  # type: ignore[override]  # `top_k` comes before `batch_size`
        self,
        num_samples: int,
        seed: Seeds = None,
        temperature: float = 1.0,
        labels: Labels = None,
        top_k: int | None = None,
        batch_size: int | None = None,
        observe: bool = False,
    ) -> Tensor:
        """Samples images by codes from the prior: the mean of p(x|codes) for codes ~ p(codes).

        Args:
            num_samples, seed: as in `zoo.VAE.sample`.
            temperature: float >= 0, divides the prior's logits; 0 takes the likeliest code at each place.
            labels: int32 `[num_samples]`, if the prior is conditional.
            top_k: int from 1 to K: the prior samples only the k likeliest codes of a place; or None.
            batch_size, observe: as in `zoo.VAE.sample`.

        Returns:
            float32 `[num_samples,H,W,C]` in [0, 1]. A row depends on its own seed, and label, alone.

        Raises:
            ValueError: for an argument of another kind, shape or range.
            NotImplementedError: without a prior.
        """
        rows = self._rows(num_samples, seed, temperature)
        self._require_prior().check_top_k(top_k)
        observe = checks.boolean("observe", observe)
        return self.generate(*rows, labels, top_k=top_k, batch_size=batch_size, observe=observe)[0]

    @batched
    def generate(  # type: ignore[override]  # the labels are the prior's
        self,
        seeds: Tensor,
        temperature: Tensor,
        prior_labels: Labels = None,
        top_k: int | None = None,
        batch_size: int | None = None,
        observe: bool = False,
    ) -> tuple[Tensor, Tensor]:
        codes = self._require_prior().draw(seeds, temperature, prior_labels, top_k=top_k)
        return self.data_of(self.decoded(codes), seeds, observe), codes

    def log_prob(
        self,
        x: ArrayLike | Batches,
        num_samples: int = 1,
        seed: Seeds = 0,
        labels: Labels = None,
        batch_size: int | None = None,
    ) -> Tensor:
        """A lower bound of log p(x): log p(codes) + log p(x|codes), at the codes of the images.

        p(x) = Σ_codes p(codes) p(x|codes), over all grids of codes; the bound is the log of one term of this sum. It is
        the ELBO of a posterior that is certain of these codes, with entropy 0: nothing is sampled, and a larger number
        of samples does not tighten it. With a conditional prior it is a bound of log p(x|labels).

        Args:
            x: float `[B,H,W,C]` in [0, 1].
            num_samples, seed, batch_size: as in `zoo.VAE.log_prob`; the first two have no effect.
            labels: int32 `[B]`, if the prior is conditional.

        Returns:
            float32 `[B]`, nats; a log-density if the likelihood is a density.

        Raises:
            ValueError: for an argument of another kind, shape or range.
            NotImplementedError: without a prior.
        """
        self._require_prior()
        return super().log_prob(x, num_samples, seed, labels, batch_size)

    @batched
    def bound(
        self,
        x: Tensor,
        seeds: Tensor,
        prior_labels: Labels = None,
        num_samples: int = 1,
        batch_size: int | None = None,
    ) -> Tensor:
        x, _ = self._inputs(x, None)
        quantized = self.quantizer(self.features(x))
        log_prior = self._require_prior().log_prob(quantized["codes"], prior_labels)
        return log_prior + self.log_likelihood(x, quantized["z_q"])

    def label_source(self) -> CodePrior | None:
        return self.prior if self.prior is not None and self.prior.conditional else None

    def _row_argument(self, name, value, num_rows=None):
        if name == "prior_labels":
            return self._require_prior()._check_labels(value, num_rows)
        return super()._row_argument(name, value, num_rows)

    def values_of(self, name: str, value: Array | None) -> list[inputs.Values]:
        if value is not None and name == "prior_labels":
            return [self._require_prior().label_values(value)]
        return super().values_of(name, value)
