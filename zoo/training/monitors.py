"""Callbacks that watch a run: progress, checkpoints, and a loss that is not finite."""

import math
import signal
import sys
import threading
import time

import keras
import numpy as np
import tensorflow as tf

from zoo.runtime import replicas
from zoo.runtime.types import History
from zoo.training.checkpoints import Checkpoints, all_finite


class NonFiniteLoss(RuntimeError):
    """The loss became NaN or infinite."""


class Position(keras.callbacks.Callback):
    """Counts training steps over all calls of `fit`: `step` is the number of the next one.

    The optimizer's own count does not serve: under loss scaling it leaves out the steps that overflowed.
    """

    def __init__(self, step: int) -> None:
        super().__init__()
        self.step = self._first = step

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        self._first = self.step

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        self.step = self._first + batch + 1


class GoOnWithMetrics(keras.callbacks.Callback):
    """Keeps the present values of the model's metrics in the first epoch, where `fit` would reset them.

    The figures of an interrupted epoch then cover all its steps.
    """

    def __init__(self, model: keras.Model) -> None:
        super().__init__()
        self._values = [variable.numpy() for variable in model.metrics_variables]

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        for variable, value in zip(self.model.metrics_variables, self._values):
            variable.assign(value)
        self._values = []


class BeforeValidation(keras.callbacks.Callback):
    """Keeps what validation changes, for a run that stops within it: it resumes from before.

    These are the layers' counts of random draws, and the metrics, which still hold the figures of the epoch's training.
    """

    def __init__(self, model: keras.Model) -> None:
        super().__init__()
        self.set_model(model)
        self._values: list[np.ndarray] | None = None

    def undo(self) -> None:
        """Puts the values back if validation is under way."""
        if self._values is not None:
            for variable, value in zip(self._counted(), self._values):
                variable.assign(value)
            self._values = None

    def on_test_begin(self, logs: dict[str, float] | None = None) -> None:
        self._values = [variable.numpy() for variable in self._counted()]

    def on_test_end(self, logs: dict[str, float] | None = None) -> None:
        self._values = None

    def _counted(self):
        return [*self.model.non_trainable_variables, *self.model.metrics_variables]


class StopOnNonFinite(keras.callbacks.Callback):
    """Raises `NonFiniteLoss` as soon as the loss is NaN or infinite, before anything more is saved.

    At the end of an epoch it checks all figures, and the weights, which the last step may have spoilt.
    """

    def __init__(self, position: Position, checkpoints: Checkpoints, flag: str = "--learning-rate") -> None:
        super().__init__()
        self._position, self._checkpoints, self._flag = position, checkpoints, flag

    def on_train_batch_end(self, batch: int, logs: dict[str, float]) -> None:
        self._require_finite("loss", logs["loss"])

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        for name, value in logs.items():
            self._require_finite(name, value)
        if not all_finite(self.model):
            self._require_finite("largest weight", math.nan)

    def _require_finite(self, name, value):
        if math.isfinite(value):
            return
        raise NonFiniteLoss(
            f"The {name} is {value} at step {self._position.step}. {self._checkpoints.kept()} "
            f"A lower {self._flag} is the first thing to try; then look for NaN in the data, and with "
            "--mixed-precision float16 try bfloat16."
        )


class Agreement:
    """Agrees among workers on an action that all must take at the same step, or each would wait for the others.

    Called with the number of a step and this worker's request, an int, it returns the largest request of all workers.
    The workers ask one another at every tenth step; at the others it returns 0. With a single worker it returns the
    request.
    """

    def __init__(self, strategy: tf.distribute.Strategy) -> None:
        self._strategy = strategy

    def __call__(self, step: int, wanted: int) -> int:
        if not replicas.has_workers(self._strategy):
            return wanted
        return max(replicas.gather(self._strategy, wanted)) if step % 10 == 0 else 0


class StopOnSignal(keras.callbacks.Callback):
    """Raises KeyboardInterrupt between two steps after this process or another worker received SIGINT or SIGTERM.

    In the middle of a step the weights could be one step ahead of the count. A second signal interrupts at once.
    """

    def __init__(self, position: Position, agree: Agreement) -> None:
        super().__init__()
        self.received = 0
        self._position, self._agree = position, agree

    def __enter__(self) -> "StopOnSignal":
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._note) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in getattr(self, "_before", {}).items():
            signal.signal(number, handler)

    def _note(self, number, frame):
        if self.received:
            raise KeyboardInterrupt
        self.received = number

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        self._stop_if_agreed(self._position.step)

    def on_test_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        self._stop_if_agreed(batch + 1)

    def _stop_if_agreed(self, step):
        number = self._agree(step, self.received)
        if number:
            self.received = number
            raise KeyboardInterrupt


class SaveCheckpoints(keras.callbacks.Callback):
    """Keeps the history, and saves a checkpoint at the end of each epoch and whenever `seconds` have passed.

    Of several workers only the chief writes. All run this callback, as each holds a part of the epoch's figures.
    """

    def __init__(
        self,
        position: Position,
        checkpoints: Checkpoints,
        history: History,
        seconds: float,
        agree: Agreement,
        chief: bool,
    ) -> None:
        super().__init__()
        self.history = history
        self._position, self._checkpoints = position, checkpoints
        self._seconds, self._agree, self._chief = seconds, agree, chief
        self._last = time.monotonic()
        before = history[-1] if history else {}
        self._began = self._last - before.get("seconds", 0.0)
        self._cpu_began = time.process_time() - before.get("cpu_seconds", 0.0)

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        if self._agree(self._position.step, int(time.monotonic() - self._last > self._seconds)):
            self.save()

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        self.add(epoch + 1, logs)
        self.save()

    def add(self, epoch: int, figures: dict[str, float]) -> None:
        """Adds a row to the history. Its seconds count from the first start of the run, without the pauses.

        `cpu_seconds` are those of all cores together, in this process.
        """
        times = {"seconds": time.monotonic() - self._began, "cpu_seconds": time.process_time() - self._cpu_began}
        self.history.append({"epoch": epoch, "step": self._position.step, **figures, **times})

    def save(self) -> None:
        metrics = [variable.numpy().tolist() for variable in self.model.metrics_variables]
        if self._chief:
            self._checkpoints.save(self.model, self._position.step, self.history, metrics)
        self._last = time.monotonic()


class Progress(keras.callbacks.Callback):
    """Prints a line per epoch: the figures, those of validation beside them, and the time left."""

    def __init__(self, position: Position, total_steps: int, epochs: int) -> None:
        super().__init__()
        self._position, self._total, self._epochs = position, total_steps, epochs
        self._clock: float | None = None
        self._shown = 0.0

    def on_train_batch_end(self, batch: int, logs: dict[str, float]) -> None:
        if self._clock is None:  # after the first step, as that includes tracing
            self._clock, self._from = time.monotonic(), self._position.step
        if sys.stdout.isatty() and time.monotonic() - self._shown > 0.5:
            self._shown = time.monotonic()
            print(f"\r\x1b[K  step {self._position.step}/{self._total}  loss {logs['loss']:.4g}", end="", flush=True)

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        self._began = time.monotonic()

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        if sys.stdout.isatty():
            print("\r\x1b[K", end="")
        taken = time.monotonic() - self._began
        parts = [f"epoch {epoch + 1:3d}/{self._epochs}"]
        names = [*self.model.trackers, *(name for name in logs if name not in self.model.trackers)]
        parts += [_figure(name, logs[name], logs.get(f"val_{name}")) for name in names if not name.startswith("val_")]
        print("  ".join(parts) + f"  {duration(taken)}, {self._left()} left", flush=True)

    def _left(self):
        if self._clock is None:
            return duration(0.0)
        done = self._position.step - self._from
        seconds = (time.monotonic() - self._clock) * (self._total - self._position.step) / done if done else 0.0
        return duration(seconds)


def _figure(name, value, validation):
    return f"{name} {value:.4g}" + ("" if validation is None else f" (val {validation:.4g})")


def duration(seconds: float) -> str:
    """Seconds as "2 h 05 min", "3 min 20 s" or "7 s"."""
    minutes, seconds = divmod(round(seconds), 60)
    if minutes >= 60:
        return f"{minutes // 60} h {minutes % 60:02d} min"
    return f"{minutes} min {seconds:02d} s" if minutes else f"{seconds} s"
