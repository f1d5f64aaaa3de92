"""The record of a measured figure."""

import dataclasses
import math


@dataclasses.dataclass(frozen=True, kw_only=True)
class Figure:
    """A measured figure, with its uncertainty and its origin.

    Args:
        name: str, an identifier such as "elbo" or "frechet_distance".
        value: float.
        unit: str, such as "nats", "bits per dim", "dB"; empty for a ratio.
        error: float, the standard error over examples or the standard deviation over seeds; None if neither applies.
        error_of: "examples" or "seeds", what `error` is taken over.
        split: str, the data that it was measured on: "test", "validation", "train", or a description.
        num_examples: int, the number of examples of that split that were used.
        seed: int, of the noise; None for a figure without noise.
        seconds: float, the time it took.
        about: str, all else that a reader needs: the number of importance samples, the feature network.

    Example:
        >>> figure = zoo.evaluation.Figure(name="elbo", value=-83.1, error=0.25, split="test", num_examples=100)
        >>> print(figure)
        elbo -83.10 ± 0.25 (100 test examples)
    """

    name: str
    value: float
    unit: str = ""
    error: float | None = None
    error_of: str = "examples"
    split: str = ""
    num_examples: int = 0
    seed: int | None = None
    seconds: float = 0.0
    about: str = ""

    def __str__(self) -> str:
        where = f" ({self.num_examples} {self.split} examples)" if self.num_examples else ""
        return f"{self.name} {self.amount()}{where}"

    def amount(self) -> str:
        """The value with its error and unit, the error with two digits."""
        if self.error is None or not math.isfinite(self.error) or self.error <= 0.0:
            text = f"{self.value:.4g}"
        else:
            digits = max(0, 1 - math.floor(math.log10(self.error)))
            text = f"{self.value:.{digits}f} ± {self.error:.{digits}f}"
        return f"{text} {self.unit}".rstrip()

    def as_dict(self) -> dict[str, object]:
        """The fields, as JSON holds them."""
        return dataclasses.asdict(self)
