"""Keras callbacks: schedules of a weight of the objective, and a guard against training that ruins a decoder."""

import math
import warnings
from typing import Literal

import keras
import numpy as np
import tensorflow as tf

from zoo.runtime import checks, optimizers
from zoo.runtime.types import ArrayLike


class _Schedule(keras.callbacks.Callback):
    """Sets a scalar weight of the model before each step, from the number of steps taken so far.

    It keeps no state of its own: a resumed run continues with the right value. With `steps_per_execution` the value
    changes once per execution.
    """

    moves: str  # the weight, which only one callback of a training may set

    def value(self, step: int) -> float:
        """The weight after `step` steps."""
        raise NotImplementedError

    def target(self) -> keras.Variable:
        """The weight to set, a Keras variable."""
        raise NotImplementedError

    def on_train_begin(self, logs: dict[str, float] | None = None) -> None:
        self._assign()

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        self._assign()

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        if logs is not None:
            logs[self.target().name] = self._in_force

    def _assign(self):
        target = self.target()
        self._in_force = self.value(optimizers.steps_taken(self.model.optimizer))
        target.assign(self._in_force)


class KLWarmup(_Schedule):
    """Raises `model.kl_weight` linearly from `start` to 1, once or in cycles; logs `kl_weight`.

    Linear warm-up is Sønderby et al. 2016, "Ladder Variational Autoencoders", section 2.3; the cyclical form is Fu
    et al. 2019, "Cyclical Annealing Schedule", eqs. (6) and (7): `steps` has `cycles` equal cycles, and the weight
    rises in the first `ratio` of each and stays at 1 for the rest. It suits `kl_weight="auto"` too, as it ends at 1:
    with that and a Bernoulli likelihood, `fit` adds a `KLWarmup()` itself. A training that ends before `steps` leaves
    `model.kl_weight` below 1; `val_loss` rises with the weight, so let early stopping monitor `val_elbo` (mode "max").

    Args:
        steps: int >= 1, training steps until the weight stays at 1; None for a third of those that `fit` is asked for,
            at most 500. A later `fit` with None and one cycle does not lower a weight that has reached 1.
        start: float in [0, 1].
        cycles: int >= 1, number of cycles.
        ratio: float in (0, 1], the rising share of a cycle.

    Raises:
        ValueError: for arguments out of range.

    Example:
        >>> model.fit(images, epochs=10, callbacks=[zoo.callbacks.KLWarmup(steps=1000)])
    """

    moves = "kl_weight"

    def __init__(self, steps: int | None = None, start: float = 0.0, cycles: int = 1, ratio: float = 1.0) -> None:
        super().__init__()
        self.steps = None if steps is None else checks.positive_int("steps", steps)
        self.start = checks.number("start", start, 0.0, 1.0)
        self.cycles = checks.positive_int("cycles", cycles)
        self.ratio = checks.number("ratio", ratio, 0.0, 1.0, open_low=True)
        self._risen = False
        self._first_epoch: int | None = None
        self._begun, self._batches_of_update = 0, 1

    def target(self) -> keras.Variable:
        return _kl_weight(self.model)

    def on_train_begin(self, logs: dict[str, float] | None = None) -> None:
        self._first_epoch, self._begun = None, optimizers.steps_taken(self.model.optimizer)
        self._batches_of_update = optimizers.batches_of_update(self.model.optimizer)
        self._risen = (
            self._begun > 0 and self.steps is None and self.cycles == 1 and float(self.target().value.numpy()) == 1.0
        )
        super().on_train_begin(logs)

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        if self._first_epoch is None:
            self._first_epoch = epoch

    def value(self, step: int) -> float:
        steps = self._planned() if self.steps is None else self.steps
        if step >= steps or self._risen:
            return 1.0
        period = steps / self.cycles
        progress = min(1.0, (step % period) / period / self.ratio)
        return self.start + (1.0 - self.start) * progress

    def _planned(self):
        # None if the data have no known end.
        epochs, steps = ((self.params or {}).get(name) for name in ("epochs", "steps"))
        if not epochs or not steps:
            return 500
        # A run that resumes has the steps of its earlier epochs behind it; one that begins at a later epoch has not.
        planned = epochs * steps // self._batches_of_update  # updates are counted, not batches
        rest = (epochs - (self._first_epoch or 0)) * steps // self._batches_of_update
        asked_for = min(planned, self._begun + rest)
        return min(500, max(1, asked_for // 3))


class CapacityWarmup(_Schedule):
    """Raises the capacity C of a `zoo.BetaVAE` linearly from `start` to its `capacity`; logs `capacity`, in nats.

    Burgess et al. 2018, "Understanding disentangling in β-VAE", section 5.

    Args:
        steps: int >= 1, training steps until the capacity is reached.
        start: float >= 0, nats.

    Raises:
        ValueError: for arguments out of range, and at the start of training for a model without a capacity.

    Example:
        >>> model = zoo.BetaVAE(encoder, decoder, capacity=25.0)
        >>> model.compile("adam")
        >>> model.fit(images, epochs=10, callbacks=[zoo.callbacks.CapacityWarmup(steps=1000)])
    """

    moves = "capacity"

    def __init__(self, steps: int, start: float = 0.0) -> None:
        super().__init__()
        self.steps = checks.positive_int("steps", steps)
        self.start = checks.number("start", start, 0.0)

    def target(self) -> keras.Variable:
        if getattr(self.model, "capacity", None) is None:
            raise ValueError(f"Expected a zoo.BetaVAE with a capacity. Received: {self.model.name}, which has none")
        if self.start > self.model.capacity:
            checks.fail("start", f"at most the capacity of the model, {self.model.capacity:g}", self.start)
        return self.model.capacity_in_force

    def value(self, step: int) -> float:
        return self.start + (self.model.capacity - self.start) * min(1.0, step / self.steps)


class GECO(keras.callbacks.Callback):
    """Adjusts `model.kl_weight` until a term of the objective meets a target; logs `kl_weight`.

        reconstruction:  log w ← log w − step · (reconstruction − target) / scale
        kl:              log w ← log w + step · (kl − target) / scale

    after each training step, where w is the weight and the term is the mean over the step's batch. Rezende & Viola
    2018, "Taming VAEs", algorithm 1, minimises KL + λ (reconstruction − target): the loss of a VAE with w = 1/λ, times
    λ. Deviations: the KL may have a target too; and there is no moving average of the term, as log w already sums
    over the steps. w is therefore the only state: a run that was stopped and resumed has the same weights.

    |log w| stays below `bound`. If the weight is at the bound when training ends, the target was out of reach, and a
    warning names the target and the value that was reached; another warns of a training that ends within `warmup`. With
    `steps_per_execution` the weight changes once per execution, by as many steps. A model with `kl_weight="auto"` is
    refused, as its weight ends at 1.

    Args:
        target: float, nats per example.
        term: "reconstruction" (the distortion) or "kl" (the rate).
        step: float > 0, the step size in log w; a step that is too large makes the weight oscillate.
        scale: float > 0, nats, or None for the larger of |target| and 1.
        warmup: int >= 0, training steps before the weight begins to change.
        bound: float > 0, the bound of |log w|.

    Raises:
        ValueError: for arguments out of range, and at the start of training for a model without a `kl_weight`, or with
            `kl_weight="auto"`.

    Example:
        >>> geco = zoo.callbacks.GECO(target=90.0)
        >>> history = model.fit(images, epochs=10, callbacks=[geco], verbose=0)
        >>> history.history["kl_weight"][0]
        1.0
    """

    moves = "kl_weight"

    def __init__(
        self,
        target: float,
        term: Literal["reconstruction", "kl"] = "reconstruction",
        step: float = 0.01,
        scale: float | None = None,
        warmup: int = 500,
        bound: float = 8.0,
    ) -> None:
        super().__init__()
        self.target = checks.number("target", target)
        self.term = checks.one_of("term", term, ("reconstruction", "kl"))
        self.step = checks.number("step", step, 0.0, open_low=True)
        self.scale = max(abs(self.target), 1.0) if scale is None else checks.number("scale", scale, 0.0, open_low=True)
        self.warmup = checks.integer("warmup", warmup, 0)
        self.bound = checks.number("bound", bound, 0.0, open_low=True)
        self._reached = math.nan

    def on_train_begin(self, logs: dict[str, float] | None = None) -> None:
        _require_free_kl_weight(self.model)

    def on_train_batch_begin(self, batch: int, logs: dict[str, float] | None = None) -> None:
        self._before = (self._taken(), *self._sums())

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        taken, total, count = (now - before for now, before in zip((self._taken(), *self._sums()), self._before))
        if self._taken() <= self.warmup or not count:
            return
        excess = (total / count - self.target) / self.scale
        if not math.isfinite(excess):  # the weight would stay NaN for good
            return
        change = taken * self.step * (excess if self.term == "kl" else -excess)
        self.model.kl_weight.assign(math.exp(min(max(self._log_weight() + change, -self.bound), self.bound)))

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        if logs is not None:
            self._reached = float(logs.get(self.term, math.nan))
            logs["kl_weight"] = math.exp(self._log_weight())

    def on_train_end(self, logs: dict[str, float] | None = None) -> None:
        if self._taken() <= self.warmup:
            warnings.warn(
                f"GECO has not moved kl_weight yet: {self._taken()} steps are taken, and warmup={self.warmup}. Train "
                "longer, or choose a smaller warmup",
                stacklevel=2,
            )
        if abs(self._log_weight()) > self.bound - 1e-3:
            warnings.warn(
                f"GECO's target of {self.target:g} nats for {self.term} was not reached: it is {self._reached:.4g} "
                f"nats in the last epoch, and kl_weight is at its bound, {math.exp(self._log_weight()):.3g}. Choose "
                "another target, or a larger network",
                stacklevel=2,
            )

    def _taken(self):
        return optimizers.steps_taken(self.model.optimizer)

    def _sums(self):
        """The sum of the term over the examples of this epoch, and the number of these examples."""
        tracker = self.model.trackers[self.term]
        return float(tracker.total.value.numpy()), float(tracker.count.value.numpy())

    def _log_weight(self):
        return math.log(max(float(self.model.kl_weight.value.numpy()), 1e-30))


class Diverged(RuntimeError):
    """The squared error rose above its bound; the model has its last good weights again."""


class GoBack(keras.callbacks.Callback):
    """Ends the training of a `zoo.Sharpening` when the squared error of its reconstructions rises too far.

    An adversarial loss can ruin a decoder within a few hundred steps. The callback measures the squared error of a few
    images before the first step and then every `every` steps. Above `bound` times the first one, or if it is no finite
    number, the model gets the weights of the last good measurement back, and `Diverged` is raised.

    Args:
        images: float `[N,H,W,C]` in [0, 1], held out from training; some hundreds are enough.
        labels: for a conditional model.
        bound: float > 1.
        every: int >= 1, steps. With `steps_per_execution` the measurement follows the execution.

    Raises:
        ValueError: for arguments out of range; at the start of training for a model of another kind, and for images or
            labels that it does not take.
        Diverged: in training.

    Example:
        >>> stage = zoo.Sharpening(model, critic_steps=0)
        >>> stage.compile(keras.optimizers.Adam(3e-4))
        >>> stage.fit(images[8:], epochs=2, callbacks=[zoo.callbacks.GoBack(images[:8])])
    """

    def __init__(
        self, images: ArrayLike, labels: ArrayLike | None = None, bound: float = 1.25, every: int = 100
    ) -> None:
        super().__init__()
        self.bound = checks.number("bound", bound, 1.0, open_low=True)
        self.every = checks.positive_int("every", every)
        self.last_good: tuple[int, list[np.ndarray]] = (0, [])
        self._given = (images, labels)

    def on_train_begin(self, logs: dict[str, float] | None = None) -> None:
        if not hasattr(self.model, "start_error"):
            checks.fail("model", "a zoo.Sharpening", self.model)
        self._data = self.model.checked(*self._given)
        self._measure = tf.function(self._squared_error, autograph=False)
        self._keep()
        if self._steps() == 0:  # a run that resumes has the first error in its weights
            self.model.start_error.assign(self._measure())

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        if self._steps() // self.every == self.last_good[0] // self.every:
            return
        error, first = float(self._measure()), float(self.model.start_error.value)
        if error <= self.bound * first:  # False for NaN
            self._keep()
            return
        step = self._steps()
        self.restore()
        raise Diverged(
            f"The squared error was {error:.4g} at step {step}, more than {self.bound:g} times the {first:.4g} before "
            f"the first step. Training has stopped, and the weights of step {self.last_good[0]} are back. Try a "
            "lower learning rate, first for the critic, or a smaller adversarial weight."
        )

    def restore(self) -> None:
        """Puts the weights of the last good measurement back."""
        for weight, value in zip(self.model.trainable_weights, self.last_good[1]):
            weight.assign(value)

    def _keep(self):
        self.last_good = (self._steps(), [weight.numpy() for weight in self.model.trainable_weights])

    def _steps(self):
        return int(self.model.steps.value.numpy())

    def _squared_error(self):
        return tf.reduce_mean(self.model.compute_terms(*self._data, training=False)["squared_error"])


def _kl_weight(model):
    if not hasattr(model, "kl_weight"):
        raise ValueError(f"Expected a model with a `kl_weight`. Received: {model.name}, which has none")
    return model.kl_weight


def _require_free_kl_weight(model):
    _kl_weight(model)
    if model.kl_weight_rule is not None:
        checks.fail("kl_weight", "None in a model whose weight a callback changes", model.kl_weight_rule)
