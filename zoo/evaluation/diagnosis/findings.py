"""The record of a fault that was found."""

import dataclasses

FAULTS = {
    "data_range": "data outside the likelihood's range",
    "decoder_variance": "decoder variance stuck",
    "kl_weight_high": "KL weight too high",
    "kl_weight_low": "KL weight too low",
    "posterior_collapse": "posterior collapse",
    "unused_codes": "codes unused",
    "overfitting": "over-fitting",
    "too_many_latents": "fewer latents would do",
}


@dataclasses.dataclass(frozen=True)
class Finding:
    """A fault of a model.

    Args:
        fault: str, its identifier, a key of `FAULTS`.
        severity: "high" for a model that does not work as it should, "medium" for one that loses by it, "low" for
            waste.
        evidence: str, the measured numbers, and what they mean.
        advice: str, what to do.
    """

    fault: str
    severity: str
    evidence: str
    advice: str

    @property
    def title(self) -> str:
        """The fault in words."""
        return FAULTS[self.fault]

    def __str__(self) -> str:
        return f"{self.title} ({self.severity}): {self.evidence} {self.advice}"

    def as_dict(self) -> dict[str, str]:
        """The fields and the title, as JSON holds them."""
        return {**dataclasses.asdict(self), "title": self.title}
