"""A run's state on disk: enough to go on as if it had never stopped."""

import json
import pathlib
import shutil
import sys

import numpy as np

from zoo import files

_KEPT = 2


class OtherRun(RuntimeError):
    """A checkpoint belongs to a run with other settings."""


class OutOfDate(RuntimeError):
    """A checkpoint was trained on what another model made, or on what this one made before."""


class Checkpoints:
    """Numbered folders `step-00001234`, each with all weights, the optimizer's among them, and the run's record.

    Args:
        folder: path.
        run: dict of what must be the same for a run to go on, such as the seed.
        defaults: dict of what an entry of `run` stands for in a checkpoint that was written before there was one.
        trained_on: str that stands for the origin of the training data, or None where it is always the same.
    """

    def __init__(self, folder, run, defaults=None, trained_on=None):
        self.folder = pathlib.Path(folder)
        self.run = run
        self.defaults = defaults or {}
        self.trained_on = trained_on

    def clear(self):
        shutil.rmtree(self.folder, ignore_errors=True)

    def newest_first(self):
        return sorted(self.folder.glob("step-*"), reverse=True)

    def save(self, model, step, history):
        """Writes a checkpoint, in the place of one of the same step; none where a weight is not finite."""
        if not all_finite(model):
            return
        target = self.folder / f"step-{step:08d}"
        self.folder.mkdir(parents=True, exist_ok=True)
        with files.replacing(target) as scratch:
            scratch.mkdir()
            model.save_weights(scratch / "model.weights.h5")
            origin = {} if self.trained_on is None else {"trained_on": self.trained_on}
            files.write_json(scratch / "state.json", {"step": step, "run": self.run, **origin, "history": history})
        for old in self.newest_first()[_KEPT:]:
            shutil.rmtree(old)

    def restore(self, model):
        """Loads the newest checkpoint that can be read: (step, history), or (0, []) where there is none.

        Raises:
            OutOfDate: if the checkpoint was trained on data of another origin.
            OtherRun: if the checkpoint is of another run, with the differences.
        """
        variables = [*model.variables, *model.optimizer.variables]
        before = [variable.numpy() for variable in variables]
        for folder in self.newest_first():
            try:
                state = json.loads((folder / "state.json").read_text())
                if state.get("trained_on") != self.trained_on:
                    raise OutOfDate
                self._require_same_run({**self.defaults, **state["run"]})
                model.load_weights(folder / "model.weights.h5")
                return int(state["step"]), list(state["history"])
            except (OtherRun, OutOfDate):
                raise
            except Exception as error:  # a file cut short or overwritten fails in many ways
                print(f"{folder} cannot be read ({error}); the one before is used.", file=sys.stderr)
                for variable, value in zip(variables, before):  # some may have been loaded already
                    variable.assign(value)
        return 0, []

    def _require_same_run(self, run):
        differences = [
            f"{key} was {run.get(key)!r} and is {self.run.get(key)!r}"
            for key in sorted(run.keys() | self.run.keys())
            if run.get(key) != self.run.get(key)
        ]
        if differences:
            ways = "pass --fresh to start over, or another --output"
            if self.trained_on is not None:  # for --fresh would start over what it was trained on, too
                ways = "or remove that folder to start it over"
            raise OtherRun(
                f"The run in {self.folder.parent} cannot go on with other settings: {'; '.join(differences)}. "
                f"Restore them, {ways}."
            )


def all_finite(model):
    """Whether all weights are finite numbers."""
    return all(np.isfinite(weight).all() for weight in model.get_weights())
