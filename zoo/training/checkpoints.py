"""The state of a run on disk: enough to resume it as if it had never stopped."""

import itertools
import json
import pathlib
import shutil
import sys
from collections.abc import Mapping, Sequence

import keras
import numpy as np

from zoo.runtime import files
from zoo.runtime.types import History, PathLike

# Keras builds a `.keras` file in memory first. It would leave a file of weights to the HDF5 library, which crashes on a
# full disk.
_MODEL, _STATE, _CHECKSUMS = "model.keras", "state.json", "checksums.json"
_KEPT = 2


class OtherRun(RuntimeError):
    """The checkpoint belongs to a run with other settings."""


class OutOfDate(RuntimeError):
    """The checkpoint was trained on data made by another model, or by an earlier state of this model."""


class NotWritten(RuntimeError):
    """The checkpoint cannot be written, for example because the disk is full."""


class Checkpoints:
    """Numbered folders `step-00001234`, each with the model, the state of its optimizers and the record of the run.

    `checksums.json` in each folder holds the checksums of the other files, to detect damage.

    Args:
        folder: path.
        run: dict of the settings that must not change when a run resumes, such as the seed.
        defaults: dict of values assumed for settings that an older checkpoint does not record.
        trained_on: str that identifies the origin of the training data, or None where it never changes.
    """

    def __init__(
        self,
        folder: PathLike,
        run: Mapping[str, object],
        defaults: Mapping[str, object] | None = None,
        trained_on: str | None = None,
    ) -> None:
        self.folder = pathlib.Path(folder)
        self.run = run
        self.defaults = defaults or {}
        self.trained_on = trained_on

    def clear(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)

    def newest_first(self) -> list[pathlib.Path]:
        return sorted(self.folder.glob("step-*"), reverse=True)

    def save(self, model: keras.Model, step: int, history: History, metrics: Sequence[object] = ()) -> None:
        """Writes a checkpoint, and replaces one of the same step. Writes none if a weight is not finite.

        Args:
            model: a compiled Keras model.
            step: int, the number of steps trained.
            history: list of dicts, one per epoch.
            metrics: the values of the variables of the model's metrics, as lists.

        Raises:
            NotWritten: if writing fails; the earlier checkpoints are kept.
        """
        if not all_finite(model):
            return
        target = self.folder / f"step-{step:08d}"
        state = {"step": step, "run": self.run, "weights": _shapes(model), "metrics": metrics, "history": history}
        if self.trained_on is not None:
            state["trained_on"] = self.trained_on
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with files.replacing(target) as scratch:
                scratch.mkdir()
                model.save(scratch / _MODEL)
                files.write_json(scratch / _STATE, state)
                files.write_json(
                    scratch / _CHECKSUMS, {name: files.sha256(scratch / name) for name in (_MODEL, _STATE)}
                )
            for old in self.newest_first()[_KEPT:]:
                files.remove(old)
        except OSError as error:
            raise NotWritten(
                f"The checkpoint of step {step} cannot be written ({error.strerror or error}). {self.kept()} "
                "Make room on the disk and run the same command again to resume from there."
            ) from error

    def kept(self) -> str:
        """A sentence that names the newest checkpoint."""
        newest = next(iter(self.newest_first()), None)
        return f"The last good checkpoint is kept: {newest}." if newest else "No checkpoint was written yet."

    def restore(self, model: keras.Model) -> tuple[int, History]:
        """Loads the newest checkpoint that can be read: (step, history), or (0, []) if there is none.

        The model's metrics get their values at that step back.

        Raises:
            OutOfDate: if the checkpoint was trained on data of another origin.
            OtherRun: if the checkpoint has other settings or another architecture; the message lists the differences.
        """
        variables = [*model.variables, *_optimizer_variables(model)]
        before = [variable.numpy() for variable in variables]
        for folder in self.newest_first():
            try:
                _require_intact(folder)
                state = json.loads((folder / _STATE).read_text(encoding="utf-8"))
                if state.get("trained_on") != self.trained_on:
                    raise OutOfDate
                self._require_same_run({**self.defaults, **state["run"]})
                self._require_same_weights(state["weights"], _shapes(model))
                model.load_weights(folder / _MODEL)
                for variable, value in zip(model.metrics_variables, state["metrics"]):
                    variable.assign(value)
                return int(state["step"]), list(state["history"])
            except (OtherRun, OutOfDate):
                raise
            except Exception as error:  # a file cut short or overwritten fails in many ways
                older = folder != self.newest_first()[-1]
                next_one = "the previous one is used" if older else "there is none before it: training starts over"
                print(f"{folder} cannot be read ({error}); {next_one}.", file=sys.stderr)
                for variable, value in zip(variables, before):  # a failed load may have changed some
                    variable.assign(value)
        return 0, []

    def _require_same_run(self, run):
        differences = [
            f"{key} was {run.get(key)!r} and is {self.run.get(key)!r}"
            for key in sorted(run.keys() | self.run.keys())
            if run.get(key) != self.run.get(key)
        ]
        if differences:
            self._refuse("settings", differences)

    def _require_same_weights(self, before, now):
        pairs = itertools.zip_longest(map(tuple, before), now)
        differences = [
            f"{(old or new)[0]} {_of_shape('was', old)} and {_of_shape('is', new)}"
            for old, new in pairs
            if (old and old[1]) != (new and new[1])
        ]
        if differences:
            more = [f"and {len(differences) - 3} weights more"] if len(differences) > 3 else []
            self._refuse("architecture", [*differences[:3], *more])

    def _refuse(self, what, differences):
        ways = "pass --fresh to start over, or another --output"
        if self.trained_on is not None:  # --fresh would also train the first model anew
            ways = "or remove that folder to start it over"
        raise OtherRun(
            f"The run in {self.folder.parent} cannot resume with other {what}: {'; '.join(differences)}. "
            f"Restore them, {ways}."
        )


def _optimizer_variables(model):
    """The variables of all optimizers of a Keras model; one of the zoo may have several."""
    optimizers = model.optimizers() if hasattr(model, "optimizers") else [model.optimizer]
    return [variable for optimizer in optimizers for variable in optimizer.variables]


def _shapes(model):
    """Path and shape of each weight. Paths are for messages only: Keras numbers them within a process."""
    return [(weight.path, list(weight.shape)) for weight in model.weights]


def _of_shape(verb, weight):
    return f"{verb} {weight[1]}" if weight else f"{verb} not there"


def _require_intact(folder):
    for name, checksum in json.loads((folder / _CHECKSUMS).read_text(encoding="utf-8")).items():
        if files.sha256(folder / name) != checksum:
            raise ValueError(f"{name} does not match its checksum")


def all_finite(model: keras.Model) -> bool:
    """Whether all weights are finite numbers."""
    return all(np.isfinite(weight).all() for weight in model.get_weights())
