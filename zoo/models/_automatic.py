"""`kl_weight="auto"`: the likelihoods under which the KL's weight needs no tuning."""

from zoo import likelihoods
from zoo.runtime import checks


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
    judge = unmasked(likelihood)
    if isinstance(judge, likelihoods.Gaussian) and not isinstance(judge.scale, str):
        expected = "a Gaussian of scale 'optimal' or 'learned' with kl_weight='auto', as a fixed scale is a weight too"
        checks.fail("likelihood", expected, f"Gaussian({judge.scale:g})")
    if not isinstance(judge, (likelihoods.Gaussian, likelihoods.Bernoulli)):
        expected = "a Gaussian or a Bernoulli with kl_weight='auto'; others learn their scales, and need kl_weight=None"
        checks.fail("likelihood", expected, type(judge).__name__)
    return likelihood


def unmasked(likelihood: likelihoods.Likelihood) -> likelihoods.Likelihood:
    """The likelihood of the values, without their mask."""
    return likelihood.likelihood if isinstance(likelihood, likelihoods.Masked) else likelihood
