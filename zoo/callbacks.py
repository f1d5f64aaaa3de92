"""Keras callbacks that move a weight in the objective, and log the value in force."""

import keras

from zoo.runtime import checks


class _Schedule(keras.callbacks.Callback):
    """Sets a scalar weight of the model before each step, from the number of steps taken so far.

    It keeps no state of its own, so that a run that is resumed goes on with the right value. Under
    `steps_per_execution` the value moves once an execution.
    """

    def value(self, step: int) -> float:
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

    Example:
        >>> model.fit(images, epochs=10, callbacks=[zoo.callbacks.KLWarmup(steps=1000)])
    """

    def __init__(self, steps: int, start: float = 0.0, cycles: int = 1, ratio: float = 1.0) -> None:
        super().__init__()
        self.steps = checks.positive_int("steps", steps)
        self.start = checks.number("start", start, 0.0, 1.0)
        self.cycles = checks.positive_int("cycles", cycles)
        self.ratio = checks.number("ratio", ratio, 0.0, 1.0, open_low=True)

    def target(self) -> keras.Variable:
        if not hasattr(self.model, "kl_weight"):
            raise ValueError(f"Expected a model with a KL to weigh. Received: {self.model.name}, which has none")
        return self.model.kl_weight

    def value(self, step: int) -> float:
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

    Example:
        >>> model = zoo.BetaVAE(encoder, decoder, capacity=25.0)
        >>> model.compile("adam")
        >>> model.fit(images, epochs=10, callbacks=[zoo.callbacks.CapacityWarmup(steps=1000)])
    """

    def __init__(self, steps: int, start: float = 0.0) -> None:
        super().__init__()
        self.steps = checks.positive_int("steps", steps)
        self.start = checks.number("start", start, 0.0)

    def target(self) -> keras.Variable:
        if getattr(self.model, "capacity", None) is None:
            raise ValueError(f"Expected a zoo.BetaVAE with a capacity. Received: {self.model.name}, which has none")
        return self.model.capacity_in_force

    def value(self, step: int) -> float:
        return self.start + (self.model.capacity - self.start) * min(1.0, step / self.steps)
