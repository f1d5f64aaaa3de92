"""The time of a recipe before it trains: imports, data, tracing, the first steps.

    python benchmarks/startup.py --data-dir DIR
    python benchmarks/startup.py --data-dir DIR --recipe mnist_vae --other ../older-checkout

Writes `benchmarks/startup.md`. Each repeat is a process of its own, and those of several recipes and checkouts take
turns. Figures are medians, in seconds of wall time and of CPU time.
"""

import argparse
import importlib.util
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]


class Clock:
    """Seconds of each phase, by the clock and of the CPU, from the start of the script on."""

    def __init__(self):
        self.phases = {}
        self._last = self._now()

    def _now(self):
        times = os.times()
        return time.perf_counter(), times.user + times.system

    def note(self, phase):
        now = self._now()
        self.phases[phase] = [a - b for a, b in zip(now, self._last)]
        self._last = now


def load(name, path):
    """The module in a file."""
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def start(name, root, argv):
    """Does in this process what a recipe of a checkout does until it trains; gives the phases."""
    clock = Clock()
    inside = root / "zoo" / "runtime" / "startup.py"
    settings = load("settings", inside if inside.exists() else root / "zoo" / "startup.py")
    getattr(settings, "turn_onednn_on", lambda: None)()  # as `import zoo` does first; older checkouts do not
    import keras
    import tensorflow  # noqa: F401

    clock.note("import tensorflow, keras")
    from zoo import data
    from zoo.training import stage

    assert root in pathlib.Path(data.__file__).parents
    module = load(name, root / "recipes" / f"{name}.py")
    clock.note("import zoo and the recipe")
    steps = _steps_before if hasattr(module, "RECIPE") else _steps
    recipe, flags, build, read = steps(module, argv)
    keras.utils.set_random_seed(flags.seed)
    model = build()
    clock.note("build the model")
    splits = read()
    clock.note("read the data")

    def batches(images, **kwargs):
        dynamic = flags.binarization == "dynamic"
        return data.batches(images, flags.batch_size, dynamic=dynamic, labels=model.conditional, **kwargs)

    plan = stage.Plan.of(recipe, len(splits.train), flags.batch_size)
    stage.compile_model(model, recipe, flags.learning_rate, plan)
    training = batches(splits.train, shuffle=True, epochs=None)
    validation = batches(splits.validation)
    clock.note("make batches, compile")
    # The first steps hold the tracing, the next ones do not.
    for steps in (f"first {plan.steps_per_execution} steps", f"next {plan.steps_per_execution} steps"):
        model.fit(training, steps_per_epoch=plan.steps_per_execution, verbose=0, shuffle=False)
        clock.note(steps)
    for steps in (f"first {plan.steps_per_execution} of validation", f"next {plan.steps_per_execution} of validation"):
        model.evaluate(validation, steps=plan.steps_per_execution, verbose=0)
        clock.note(steps)
    return clock.phases


def _steps(module, argv):
    """A recipe, its flags, and functions that build its model and read its data."""
    from zoo.training import flags, run

    recipe = module.main.recipe
    given = flags.parse(recipe, argv)
    shape = recipe.shape(given.own)
    return (
        recipe,
        given,
        lambda: recipe.build(given.own, shape, given.seed),
        lambda: run.load_splits(recipe, given, shape),
    )


def _steps_before(module, argv):
    """The same of a checkout in which a recipe parses its flags itself."""
    recipe = module.RECIPE
    flags = recipe.parse(argv)
    return recipe, flags, lambda: recipe.build_checked(flags), lambda: recipe.load_splits(flags)


def measure(root, recipe, argv):
    """The phases of one process."""
    command = [sys.executable, __file__, "--child", str(root), "--recipe", recipe, *argv]
    with tempfile.TemporaryDirectory() as output:
        environment = {**os.environ, "PYTHONPATH": str(root), "TF_CPP_MIN_LOG_LEVEL": "2"}
        done = subprocess.run(
            [*command, "--output", output], capture_output=True, text=True, env=environment, check=False
        )  # fmt: skip
    if done.returncode:
        raise SystemExit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def section(recipe, found):
    """One recipe's part of the page; `found` maps the checkouts to the phases of their repeats."""
    lines = [f"## {recipe}", "", "| " + "".join(f"| {name}: clock, s | CPU, s " for name in found) + "|"]
    lines.append("|---" * (1 + 2 * len(found)) + "|")
    median = {
        name: {phase: [statistics.median(run[phase][i] for run in runs) for i in (0, 1)] for phase in runs[0]}
        for name, runs in found.items()
    }
    for name, runs in found.items():
        totals = [[sum(phase[i] for phase in run.values()) for run in runs] for i in (0, 1)]
        median[name]["all"] = [statistics.median(total) for total in totals]
    for phase in next(iter(median.values())):
        cells = "".join("| {:.2f} | {:.2f} ".format(*phases[phase]) for phases in median.values())
        lines.append(f"| {phase} {cells}|")
    return "\n".join([*lines, ""])


HEAD = """# Start of a recipe

Made by `benchmarks/startup.py` on {machine}. Medians of {repeats} processes.

The first steps hold tracing and the graph's optimisation; the next ones, as many, do not.
Seconds of the CPU are steadier than those by the clock where other work goes on.
"""


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--recipe", action="append", help="by name; may be repeated (default: mnist_vae)")
    add("--data-dir", help="where TFDS finds the datasets")
    add("--sample", action="store_true", help="take the bundled samples of the datasets")
    add("--other", type=pathlib.Path, help="the root of another checkout, measured beside this one")
    add("--repeats", type=int, default=5, help="default: %(default)s")
    add("--output", type=pathlib.Path, default=pathlib.Path(__file__).with_suffix(".md"), help="default: %(default)s")
    add("--child", type=pathlib.Path, help=argparse.SUPPRESS)
    flags = parser.parse_args(argv)
    recipes = flags.recipe or ["mnist_vae"]
    given = ["--sample"] if flags.sample else []
    given += ["--data-dir", flags.data_dir] if flags.data_dir else []
    if flags.child:
        print(json.dumps(start(recipes[0], flags.child, [*given, "--output", str(flags.output)])))
        return
    roots = {"before": flags.other.resolve()} if flags.other else {}
    roots["now"] = ROOT
    found = {recipe: {name: [] for name in roots} for recipe in recipes}
    for _ in range(flags.repeats):
        for recipe, runs in found.items():
            for name, root in roots.items():
                runs[name].append(measure(root, recipe, given))
    from zoo.runtime import files

    import machine

    head = HEAD.format(machine=machine.line(), repeats=flags.repeats)
    files.write_text(flags.output, "\n".join([head, *(section(*pair) for pair in found.items())]))
    print(flags.output.read_text())


if __name__ == "__main__":
    main()
