"""Keras callbacks that move a weight in the objective, and log the value in force."""

import math
import warnings

import keras

from zoo.runtime import checks


class _Schedule(keras.callbacks.Callback):
    """Sets a scalar weight of the model before each step, from the number of steps taken so far.

    It keeps no state of its own, so that a run that is resumed goes on with the right value. Under
    `steps_per_execution` the value moves once an execution.
    """

    def value(self, step):
        raise NotImplementedError

    def target(self):
        """The weight to set, a Keras variable."""
        raise NotImplementedError

    def on_train_begin(self, logs=None):
        self._assign()

    def on_train_batch_end(self, batch, logs=None):
        self._assign()

    def on_epoch_end(self, epoch, logs=None):
        if logs is not None:
            logs[self.target().name] = self._in_force

    def _assign(self):
        target = self.target()
        # By way of the value: under a strategy the variable itself is no number.
        self._in_force = self.value(int(self.model.optimizer.iterations.value.numpy()))
        target.assign(self._in_force)


class KLWarmup(_Schedule):
    """Raises `model.kl_weight` from `start` to 1 linearly, once or again and again; logs `kl_weight`.

    Linear warm-up is Sønderby et al. 2016, "Ladder Variational Autoencoders", section 2.3; the cyclical form is Fu
    et al. 2019, "Cyclical Annealing Schedule", eqs. (6) and (7): each of `cycles` equal parts of `steps` rises for
    its share `ratio` and stays at 1 for the rest.

    Args:
        steps: int >= 1, training steps until the weight is 1 for good.
        start: float in [0, 1].
        cycles: int >= 1.
        ratio: float in (0, 1].

    Raises:
        ValueError: for arguments out of range.
    """

    def __init__(self, steps, start=0.0, cycles=1, ratio=1.0):
        super().__init__()
        self.steps = checks.positive_int("steps", steps)
        self.start = checks.number("start", start, 0.0, 1.0)
        self.cycles = checks.positive_int("cycles", cycles)
        self.ratio = checks.number("ratio", ratio, 0.0, 1.0, open_low=True)

    def target(self):
        _require_kl_weight(self.model)
        return self.model.kl_weight

    def value(self, step):
        if step >= self.steps:
            return 1.0
        period = self.steps / self.cycles
        progress = min(1.0, (step % period) / period / self.ratio)
        return self.start + (1.0 - self.start) * progress


class CapacityWarmup(_Schedule):
    """Raises the capacity C of a `zoo.BetaVAE` from `start` to its `capacity` linearly; logs `capacity`, in nats.

    Burgess et al. 2018, "Understanding disentangling in β-VAE", section 5.

    Args:
        steps: int >= 1, training steps until the capacity is reached.
        start: float >= 0, nats.

    Raises:
        ValueError: for arguments out of range, and at the start of training for a model without a capacity.
    """

    def __init__(self, steps, start=0.0):
        super().__init__()
        self.steps = checks.positive_int("steps", steps)
        self.start = checks.number("start", start, 0.0)

    def target(self):
        if getattr(self.model, "capacity", None) is None:
            raise ValueError(f"Expected a zoo.BetaVAE with a capacity. Received: {self.model.name}, which has none")
        return self.model.capacity_in_force

    def value(self, step):
        return self.start + (self.model.capacity - self.start) * min(1.0, step / self.steps)


class GECO(keras.callbacks.Callback):
    """Moves `model.kl_weight` until a term of the objective meets a target; logs `kl_weight`.

        reconstruction:  log w ← log w − step · (reconstruction − target) / scale
        kl:              log w ← log w + step · (kl − target) / scale

    after each training step, w being the weight and the term the mean of the step's batch. Rezende & Viola 2018,
    "Taming VAEs", algorithm 1, minimises KL + λ (reconstruction − target): the loss of a VAE with w = 1/λ, times λ.
    Deviations: no moving average of the term, as a run that is resumed would have lost it; and the target of a rate.

    |log w| stays below `bound`. A weight that is there at the end of training could not reach the target, and is warned
    about. Under `steps_per_execution` the weight moves once an execution, by as many steps.

    Args:
        target: float, nats per example.
        term: "reconstruction" or "kl", the distortion or the rate.
        step: float > 0; one that is too large makes the weight swing.
        scale: float > 0, nats, or None for the larger of |target| and 1.
        warmup: int >= 0, training steps before the weight begins to move.
        bound: float > 0.

    Raises:
        ValueError: for arguments out of range, and at the start of training for a model without a `kl_weight`.

    Example:
        >>> history = model.fit(images, epochs=2, callbacks=[zoo.callbacks.GECO(target=20.0)], verbose=0)
        >>> len(history.history["kl_weight"])
        2
    """

    def __init__(self, target, term="reconstruction", step=0.01, scale=None, warmup=500, bound=8.0):
        super().__init__()
        self.target = checks.number("target", target)
        self.term = checks.one_of("term", term, ("reconstruction", "kl"))
        self.step = checks.number("step", step, 0.0, open_low=True)
        self.scale = max(abs(self.target), 1.0) if scale is None else checks.number("scale", scale, 0.0, open_low=True)
        self.warmup = checks.integer("warmup", warmup, 0)
        self.bound = checks.number("bound", bound, 0.0, open_low=True)

    def on_train_begin(self, logs=None):
        _require_kl_weight(self.model)

    def on_train_batch_begin(self, batch, logs=None):
        self._before = (self._taken(), *self._sums())

    def on_train_batch_end(self, batch, logs=None):
        taken, total, count = (now - before for now, before in zip((self._taken(), *self._sums()), self._before))
        if self._taken() <= self.warmup or not count:
            return
        excess = (total / count - self.target) / self.scale
        if not math.isfinite(excess):  # the weight would stay NaN for good
            return
        change = taken * self.step * (excess if self.term == "kl" else -excess)
        self.model.kl_weight.assign(math.exp(min(max(self._log_weight() + change, -self.bound), self.bound)))

    def on_epoch_end(self, epoch, logs=None):
        if logs is not None:
            logs["kl_weight"] = math.exp(self._log_weight())

    def on_train_end(self, logs=None):
        if abs(self._log_weight()) > self.bound - 1e-3:
            warnings.warn(
                f"GECO's target of {self.target:g} nats for {self.term} was not reached: kl_weight is at its bound, "
                f"{math.exp(self._log_weight()):.3g}. Choose another target, or a larger network",
                stacklevel=2,
            )

    def _taken(self):
        return int(self.model.optimizer.iterations.value.numpy())

    def _sums(self):
        """The sum of the term and the number of examples that it was taken of, since the epoch began."""
        tracker = self.model.trackers[self.term]
        return float(tracker.total.value.numpy()), float(tracker.count.value.numpy())

    def _log_weight(self):
        return math.log(max(float(self.model.kl_weight.value.numpy()), 1e-30))


def _require_kl_weight(model):
    if not hasattr(model, "kl_weight"):
        raise ValueError(f"Expected a model with a KL to weigh. Received: {model.name}, which has none")
