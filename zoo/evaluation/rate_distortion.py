"""The choice of β and of the number of latents, from models that were trained with several of both."""

import dataclasses
import math
from collections.abc import Sequence

from zoo.runtime import checks


@dataclasses.dataclass(frozen=True, kw_only=True)
class Point:
    """A trained model as a point of a rate-distortion curve.

    Attributes:
        beta: float, the weight of the KL in training.
        latents: int, the number of latents.
        rate: float, the mean KL( q(z|x) ‖ p(z) ), nats per example.
        distortion: float, the mean of −log p(x|z), nats per example.
        active_units: int, the number of latents with Var_x(E_q[z]) > 0.01 (Burda et al. 2016, section 5.1).
    """

    beta: float
    latents: int
    rate: float
    distortion: float
    active_units: int

    def __post_init__(self) -> None:
        """Raises ValueError for entries of another kind or range; rate and distortion may be infinite or NaN."""
        checks.number("beta", self.beta, 0.0, open_low=True)
        checks.positive_int("latents", self.latents)
        if checks.integer("active_units", self.active_units, 0) > self.latents:
            checks.fail("active_units", f"at most the number of latents, {self.latents}", self.active_units)
        for name in ("rate", "distortion"):
            if not checks.is_number(getattr(self, name)):
                checks.fail(name, "a number", getattr(self, name))

    @property
    def elbo(self) -> float:
        """−(rate + distortion), nats per example."""
        return -(self.rate + self.distortion)


@dataclasses.dataclass(frozen=True)
class Recommendation:
    """The recommended point, and the reasons: a sentence each."""

    point: Point
    reasons: tuple[str, ...]


def knee(rates: Sequence[float], distortions: Sequence[float]) -> int | None:
    """The index of the knee of a rate-distortion curve, None for a curve without one.

    The knee is the point that lies furthest below the straight line from the largest distortion to the largest rate,
    with both axes scaled to [0, 1] (Satopää et al. 2011, "Finding a 'Kneedle' in a Haystack", without its smoothing).
    It depends on the ends of the curve, and so on the range of the βs.

    Raises:
        ValueError: for lists of different lengths, and values that are not finite.

    Example:
        >>> zoo.evaluation.knee([0.0, 10.0, 40.0], [100.0, 60.0, 50.0])
        1
    """
    if len(rates) != len(distortions):
        checks.fail("distortions", f"one for each of {len(rates)} rates", f"{len(distortions)} values")
    for name, values in (("rates", rates), ("distortions", distortions)):
        for value in values:
            checks.number(name, value)
    if len(rates) < 3:
        return None
    low, high = min(rates), max(rates)
    best, worst = min(distortions), max(distortions)
    if high == low or worst == best:
        return None
    below = [1 - (r - low) / (high - low) - (d - best) / (worst - best) for r, d in zip(rates, distortions)]
    index = max(range(len(below)), key=below.__getitem__)
    return index if below[index] > 1e-9 else None


def recommend(points: Sequence[Point], beta: float | None = None) -> Recommendation:
    """Recommends β and a number of latents.

    The number of latents with the best ELBO has a curve, and the curve a knee: some latents are active there. The
    smallest number of latents that was tried and holds the active ones is enough; the knee of its own curve gives the
    β. A curve without a knee gives the β of the best ELBO.

    Args:
        points: `Point`s of at least one finite model.
        beta: float, the β that is given, of which the nearest that was tried is taken; None to choose it.

    Raises:
        ValueError: without a point whose rate and distortion are finite.

    Example:
        >>> tried = [(0.5, 40.0, 50.0, 8), (2.0, 10.0, 60.0, 3), (8.0, 0.0, 100.0, 0)]
        >>> names = ("beta", "rate", "distortion", "active_units")
        >>> points = [zoo.evaluation.Point(latents=8, **dict(zip(names, row))) for row in tried]
        >>> zoo.evaluation.recommend(points).point.beta
        2.0
    """
    for point in points:
        if not isinstance(point, Point):
            checks.fail("points", "a list of zoo.evaluation.Point", point)
    points = [point for point in points if math.isfinite(point.elbo)]
    if not points:
        checks.fail("points", "at least one with a finite rate and distortion", [])
    if beta is not None:
        checks.number("beta", beta, 0.0, open_low=True)
    numbers = sorted({point.latents for point in points})
    candidates = points if beta is None else [_choose(points, number, beta)[0] for number in numbers]
    best = max(candidates, key=lambda point: point.elbo).latents
    at_best, _ = _choose(points, best, beta)
    enough = next(number for number in numbers if number >= at_best.active_units)
    chosen, why = _choose(points, enough, beta)
    active = f"at β = {at_best.beta:g}, {at_best.active_units} of {best} latents are active"
    if enough < best:
        rest = f"{active}, and {enough} is the smallest number tried that holds them"
    elif best == numbers[-1] == at_best.active_units:
        rest = f"{active}: all that were tried, and more may be of use"
    else:
        rest = f"{active}; no other number tried that holds them is smaller or has a better ELBO"
    return Recommendation(chosen, (why, rest))


def _choose(points, latents, beta):
    """The point of a curve, and why."""
    curve = [point for point in points if point.latents == latents]
    if beta is not None:
        nearest = min(curve, key=lambda point: abs(math.log(point.beta / beta)))
        return nearest, f"β = {nearest.beta:g} is the one that the model is trained with, or the nearest that was tried"
    index = knee([point.rate for point in curve], [point.distortion for point in curve])
    if index is None:
        best = max(curve, key=lambda point: point.elbo)
        return best, f"β = {best.beta:g} has the best ELBO with {latents} latents; the curve has no knee"
    return curve[index], f"β = {curve[index].beta:g} is the knee of the curve of {latents} latents"
