"""The faults of a model, and the rules that conclude them from its measurements."""

from collections.abc import Callable, Iterable

import numpy as np

from zoo.evaluation.diagnosis.data_range import is_out_of_range, is_scaled_twice
from zoo.evaluation.diagnosis.findings import Finding
from zoo.evaluation.diagnosis.symptoms import Symptoms

_HIGH_WEIGHT = 2.5  # nats of distortion paid for a nat of KL
_LOW_WEIGHT = 0.3
_EXCESS = 0.3  # of E z² over the prior's 1
_MISMATCH = 0.3  # nats per latent
_POOR = 0.5  # of the variance that a linear model with as many numbers explains
_COLLAPSED_KL = 0.01  # nats a latent
_INACTIVE = 0.4  # share of the latents
_INACTIVE_CHANNELS = 0.7  # of a hierarchical model, whose layers share the work in many ways
_OVERFITTED = 0.4  # gap of the bounds, in standard deviations over the examples
_UNUSED = 0.6  # of the usage that uniform codes would have


def judge(symptoms: Symptoms) -> list[Finding]:
    """The faults that measurements show, the most fundamental first. Data out of range hide all others."""
    if is_out_of_range(symptoms.data):
        return [_data_range(symptoms)]
    found = [rule(symptoms) for rule in _RULES]
    return [finding for finding in found if finding is not None]


def _data_range(symptoms: Symptoms) -> Finding:
    data = symptoms.data
    if data.invalid:
        evidence = f"{data.invalid:.2%} of the values are NaN or infinite."
        return Finding("data_range", "high", evidence, "Remove or impute them before training.")
    assert data.support is not None
    support = f"[{data.support[0]:g}, {data.support[1]:g}]"
    span = f"The values go from {data.low:.4g} to {data.high:.4g}"
    if data.outside:
        evidence = f"{span}, and {data.outside:.1%} of them lie outside of the likelihood's range {support}."
        advice = "Scale the data to this range, or give the model a likelihood with theirs, such as "
        advice += "zoo.likelihoods.Gaussian(range=None); then train again."
        if data.support == (0.0, 1.0) and 2.0 < data.high <= 255.0 and data.low >= 0.0:
            advice = "Divide them by 255, and train again."
        return Finding("data_range", "high", f"{evidence} Nothing else was measured.", advice)
    if is_scaled_twice(data):
        evidence = f"{span} only, where the likelihood expects {support}: they were probably divided by 255 twice."
        return Finding("data_range", "high", evidence, "Divide them once, and train again.")
    evidence = f"{data.off_grid:.1%} of the values are no multiple of 1/255, as a likelihood of 8-bit values requires."
    advice = "Round the data to 8 bits after resizing and augmentation, np.round(x * 255) / 255, or use a Gaussian."
    return Finding("data_range", "medium", evidence, advice)


def _decoder_variance(symptoms: Symptoms) -> Finding | None:
    factor, gain = symptoms.scale_factor, symptoms.scale_gain
    if not _variance_is_stuck(symptoms):
        return None
    assert factor is not None
    size = "small" if factor > 1.0 else "large"
    present = f"σ = {symptoms.scale:.3g}" if symptoms.scale is not None else "the decoder's scale"
    evidence = (
        f"{present} is too {size} for the errors of the decoder: {factor:.2g} times as much fits best, and gains "
        f"{gain:.2g} nats per value. "
    )
    if size == "large":
        evidence += "The likelihood hardly rewards a better reconstruction, so that the KL keeps information out of z."
    else:
        evidence += "The likelihood outweighs the KL, and log-likelihoods are far too low."
    advice = 'Use zoo.likelihoods.Gaussian("optimal"), which follows the errors.'
    if symptoms.scale_kind in ("learned", "optimal"):
        advice = "Check that the weight of the scale is trained, and for how long; " + advice[0].lower() + advice[1:]
    elif symptoms.scale_kind == "by value":
        advice = "Check that the decoder's output for the scale is trained (no frozen layer, no clipping), or train on."
    return Finding("decoder_variance", "high", evidence, advice)


def _variance_is_stuck(symptoms):
    factor = symptoms.scale_factor
    if factor is None or (symptoms.codes is not None and symptoms.scale_kind == "fixed"):
        return False  # the scale of a VQ-VAE weighs the terms of its loss
    if factor > 1.0 and (symptoms.kl_weight or 1.0) > _HIGH_WEIGHT and _reconstructs_poorly(symptoms):
        return False  # the KL weight causes the large errors
    most = 2.0 if symptoms.scale_kind == "fixed" else 1.5
    return not 1.0 / most < factor < most and symptoms.scale_gain > 0.05


def _explained(symptoms):
    """The share of the variance that the model explains, in units of what a linear model would; None for codes."""
    if symptoms.terms is None or symptoms.fit is None or symptoms.linear <= 0.0:
        return None
    return (1.0 - symptoms.fit.error) / symptoms.linear


def _reconstructs_poorly(symptoms):
    explained = _explained(symptoms)
    return explained is not None and explained < _POOR


def _quality(symptoms):
    return (
        f"the reconstructions explain {max(0.0, 1.0 - symptoms.fit.error):.0%} of the variance, where as many "
        f"principal components (at most 16) explain {symptoms.linear:.0%}"
    )


def _settings(symptoms):
    names = [f"{name}={value:g}" for name, value in symptoms.settings.items() if (name, value) != ("free_bits", 0)]
    return f" Settings: {', '.join(names)}." if names else ""


def _weight_in_settings(symptoms):
    """The weight of the KL in the loss, as the settings say; None where they do not."""
    settings = symptoms.settings
    if "capacity" in settings:
        return None
    weight = settings.get("kl_weight", 1.0) * settings.get("beta", 1.0)
    return weight * (1.0 - settings["alpha"]) if "lambda_" in settings else weight


def _kl_weight_high(symptoms: Symptoms) -> Finding | None:
    if not _reconstructs_poorly(symptoms) or _variance_is_stuck(symptoms):
        return None
    weight = symptoms.kl_weight
    if weight is not None and weight > _HIGH_WEIGHT:
        measured = (
            f"The posterior is as wide as a KL weight of {weight:.3g} ± {symptoms.kl_weight_error:.1g} makes it (1 is "
            "that of the ELBO)"
        )
    elif weight is None and (_weight_in_settings(symptoms) or 1.0) > _HIGH_WEIGHT:
        measured = "No latent carries information"
    else:
        return None
    rate = symptoms.terms.rate.mean() if symptoms.terms is not None else 0.0
    evidence = f"{measured}; the rate is {rate:.3g} nats, and {_quality(symptoms)}.{_settings(symptoms)}"
    advice = (
        "Lower β (or γ and the capacity's pull, or `kl_weight`) towards 1, or raise it slowly from 0 with "
        "zoo.callbacks.KLWarmup. If σ is fixed, a smaller σ does the same."
    )
    return Finding("kl_weight_high", "high", evidence, advice)


def _kl_weight_low(symptoms: Symptoms) -> Finding | None:
    weight, terms = symptoms.kl_weight, symptoms.terms
    if weight is None or terms is None or weight >= _LOW_WEIGHT:
        return None
    if terms.excess < _EXCESS and not terms.mismatch > _MISMATCH:  # NaN where it is not measured
        return None
    apart = "" if np.isnan(terms.mismatch) else f", and they are {terms.mismatch:.2g} nats per latent away from it"
    evidence = (
        f"The posterior is as narrow as a KL weight of {weight:.3g} ± {symptoms.kl_weight_error:.1g} makes it (1 is "
        f"that of the ELBO), and the latents of the data do not follow the prior: E z² is {1 + terms.excess:.2g} "
        f"instead of 1{apart}. The rate is {terms.rate.mean():.3g} nats. Samples are then much worse than "
        f"reconstructions.{_settings(symptoms)}"
    )
    advice = (
        "Raise β or `kl_weight` to 1 (a warm-up must reach 1 before training ends), or fit a prior to the latents, "
        "zoo.priors.Flow or MixtureOfGaussians, and set `model.prior`."
    )
    return Finding("kl_weight_low", "high", evidence, advice)


def _posterior_collapse(symptoms: Symptoms) -> Finding | None:
    terms = symptoms.terms
    if terms is None:
        return None
    if len(terms.layers) > 1:
        dead = [layer for layer in terms.layers if layer.kl / layer.size < _COLLAPSED_KL]
        if not dead:
            return None
        names = ", ".join(f"{layer.name} ({layer.kl / layer.size:.2g} nats a latent)" for layer in dead)
        evidence = f"{len(dead)} of {len(terms.layers)} layers carry almost no information: {names}."
        severity = "high" if len(dead) == len(terms.layers) else "medium"
    else:
        (layer,) = terms.layers
        inactive = np.flatnonzero(~layer.active)
        nothing = terms.rate.mean() < 0.1 or len(inactive) == layer.size
        if not nothing and (2 * len(inactive) <= layer.size or not _reconstructs_poorly(symptoms)):
            return None
        evidence = (
            f"{len(inactive)} of {layer.size} latents are inactive ({_listed(inactive)}): the variance of their "
            f"posterior means is below 0.01 of the prior's. The rate is {terms.rate.mean():.2g} nats, and "
            f"{_quality(symptoms)}."
        )
        severity = "high"
    advice = (
        "Raise the KL weight slowly with zoo.callbacks.KLWarmup, set `free_bits` (0.1 to 0.5 nats), or make the "
        "decoder weaker."
    )
    if len(terms.layers) > 1:
        advice += " `kl_balancing=True` keeps layers alive during the warm-up; layers that stay empty can be left out."
    elif _variance_is_stuck(symptoms) and (symptoms.scale_factor or 1.0) < 1.0:
        advice = "Mend the decoder's variance first, as it causes this."
    return Finding("posterior_collapse", severity, evidence + _settings(symptoms), advice)


def _unused_codes(symptoms: Symptoms) -> Finding | None:
    codes = symptoms.codes
    if codes is None or codes.usage >= _UNUSED * codes.expected_usage:
        return None
    used = int((codes.counts > 0).sum())
    evidence = (
        f"{used} of {codes.num_codes} codes occur in {len(codes.surprise)} examples ({codes.usage:.0%}; uniform codes "
        f"would reach {codes.expected_usage:.0%}); the perplexity is {codes.perplexity:.3g}."
    )
    advice = (
        'Use codebook="ema" with `revival`, which replaces dead codes by outputs of the encoder, and a data-dependent '
        "initialisation; use shorter code vectors (4 to 8 numbers); or use fewer codes."
    )
    return Finding("unused_codes", "medium" if codes.usage > 0.1 else "high", evidence, advice)


def _overfitting(symptoms: Symptoms) -> Finding | None:
    gap, fit, validation = symptoms.gap, symptoms.fit, symptoms.validation
    if gap is None or fit is None or validation is None:
        return None
    if gap.value < 5.0 * gap.error or gap.value < _OVERFITTED * gap.spread:
        return None
    evidence = (
        f"The bound of log p(x) is {fit.bound.mean():.4g} nats on the training data and {validation.bound.mean():.4g} "
        f"on the validation data; for equal examples the gap is {gap.value:.3g} ± {gap.error:.1g} nats, "
        f"{gap.value / gap.spread:.2g} standard deviations. The reconstruction error is {fit.error:.3g} and "
        f"{validation.error:.3g} of the variance."
    )
    advice = (
        "Stop where the validation loss is lowest (keras.callbacks.EarlyStopping), use more data or augmentation, or a "
        "smaller network, dropout or weight decay."
    )
    return Finding("overfitting", "high" if gap.value > gap.spread else "medium", evidence, advice)


def _too_many_latents(symptoms: Symptoms) -> Finding | None:
    terms = symptoms.terms
    if terms is None or _reconstructs_poorly(symptoms) or (symptoms.kl_weight or 1.0) > _HIGH_WEIGHT:
        return None
    if terms.rate.mean() < 0.1:
        return None
    active = [layer.active.reshape(-1, layer.active.shape[-1]).any(axis=0) for layer in terms.layers]
    total, used = sum(each.size for each in active), sum(int(each.sum()) for each in active)
    most = _INACTIVE if len(active) == 1 else _INACTIVE_CHANNELS
    if total - used < max(2, most * total) or not used:
        return None
    if len(active) > 1:
        parts = ", ".join(f"{layer.name} {int(each.sum())} of {each.size}" for layer, each in zip(terms.layers, active))
        evidence = f"{total - used} of {total} channels of latents are inactive at every place ({parts} active), while "
    else:
        evidence = f"{total - used} of {total} latents are inactive ({_listed(np.flatnonzero(~active[0]))}), while "
    evidence += f"the others carry {terms.rate.mean():.3g} nats and {_quality(symptoms)}."
    advice = f"About {used + max(1, used // 4)} latents would do as well, at less cost. The rest does no harm."
    return Finding("too_many_latents", "low", evidence, advice)


_RULES: tuple[Callable[[Symptoms], Finding | None], ...] = (
    _decoder_variance,
    _kl_weight_high,
    _kl_weight_low,
    _posterior_collapse,
    _unused_codes,
    _overfitting,
    _too_many_latents,
)


def _listed(numbers: Iterable[int]) -> str:
    """Up to twelve numbers, as text."""
    values = [str(number) for number in numbers]
    return ", ".join(values[:12]) + (f" and {len(values) - 12} more" if len(values) > 12 else "")
