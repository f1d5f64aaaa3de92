"""Real processes killed at whatever moment: what they end with in the end is what an undisturbed one ends with."""

import csv
import json
import os
import pathlib
import random
import resource
import shutil
import signal
import subprocess
import sys
import textwrap
import time

import keras
import numpy as np
import pytest

from zoo import data

RECIPES = pathlib.Path(__file__).parents[2] / "recipes"
# Dense layers, so that little of a run is anything but its start and its checkpoints.
SMALL = """
    '''A small recipe.'''

    from unittest import mock

    import zoo
    from zoo import networks, training
    from zoo.training import report

    report.pictures = mock.Mock()  # to draw them takes a quarter of a run


    def build(flags, image_shape, seed):
        encoder = networks.mlp_encoder(image_shape, 4, (32,), activation="gated")
        decoder = networks.mlp_decoder(image_shape, 4, (32,), activation="gated")
        return zoo.VAE(encoder, decoder, likelihood="bernoulli", seed=seed)


    main = training.script(
        __name__, __file__, __doc__, image_shape=(28, 28, 1), build=build, dataset="mnist", binarization="dynamic",
        batch_size=100, warmup_steps=300, ema=0.999, steps_per_execution=50,
    )
"""
# Bitwise equality is promised where operators are deterministic.
ENVIRONMENT = {**os.environ, "TF_DETERMINISTIC_OPS": "1", "TF_CPP_MIN_LOG_LEVEL": "2"}


def start(output, recipe, *flags):
    data_flags = () if "--shards" in flags else ("--sample",)
    command = [sys.executable, recipe, *data_flags, "--no-export", "--output", output, *flags]
    with open(f"{output}.log", "a") as log:
        return subprocess.Popen(command, env=ENVIRONMENT, stdout=log, stderr=log)


def run(output, recipe, *flags):
    process = start(output, recipe, *flags)
    assert process.wait() == 0, pathlib.Path(f"{output}.log").read_text()


def stop(process, number):
    process.send_signal(number)
    return process.wait()


def results(output):
    """All that a run computes: its weights, its history without the seconds, and its figures of the test split."""
    model = keras.saving.load_model(output / "model.keras")
    weights = [np.asarray(value) for value in [*model.variables, *model.optimizer.variables]]
    history = []
    for path in sorted(output.rglob("history.csv")):
        with open(path, newline="") as file:
            history += [
                {name: value for name, value in row.items() if not name.endswith("seconds")}
                for row in csv.DictReader(file)
            ]
    return weights, history, json.loads((output / "metrics.json").read_text())["test"]


def assert_same(output, other):
    (weights, *rest), (others, *other_rest) = results(output), results(other)
    assert len(weights) == len(others) > 10
    for one, two in zip(weights, others):
        np.testing.assert_array_equal(one, two)
    assert rest == other_rest


def leftovers(output):
    return [path for path in output.rglob(".*") if path.name[1].isdigit()]


def wait_for(condition, process, seconds=120):
    end = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None and time.monotonic() < end
        time.sleep(0.01)


SHORT = ("--epochs", "2", "--steps-per-epoch", "300", "--checkpoint-seconds", "0.1")


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    path = tmp_path_factory.mktemp("recipe") / "small.py"
    path.write_text(textwrap.dedent(SMALL))
    return path


@pytest.fixture(scope="module")
def undisturbed(small, tmp_path_factory):
    """It has no checkpoints within its epochs either."""
    output = tmp_path_factory.mktemp("undisturbed") / "run"
    run(output, small, *SHORT[:-2])
    return output


@pytest.mark.long
@pytest.mark.parametrize(
    "number, status", [(signal.SIGKILL, -signal.SIGKILL), pytest.param(signal.SIGTERM, 143, marks=pytest.mark.slow)]
)
def test_run_stopped_within_an_epoch_ends_as_if_it_had_not_been(small, undisturbed, tmp_path, number, status):
    output = tmp_path / "run"
    process = start(output, small, *SHORT)
    wait_for(lambda: any((output / "checkpoints").glob("step-*")), process)
    assert stop(process, number) == status, pathlib.Path(f"{output}.log").read_text()
    step = max(int(path.name.removeprefix("step-")) for path in (output / "checkpoints").glob("step-*"))
    assert 0 < step < 600 and step != 300
    run(output, small, *SHORT)
    assert f"resuming at step {step} of 600" in pathlib.Path(f"{output}.log").read_text()
    assert_same(output, undisturbed)
    assert not leftovers(output)


@pytest.mark.slow
def test_run_on_shards_killed_within_an_epoch_ends_as_if_it_had_not_been(small, tmp_path):
    data.write_shards(data.load("mnist", sample=True).train, tmp_path / "a-{0..3}.tar")
    flags = (*SHORT, "--shards", f"{tmp_path}/a-{{0..3}}.tar", "--shuffle-buffer", "500")
    whole, output = tmp_path / "whole", tmp_path / "run"
    run(whole, small, *flags)
    process = start(output, small, *flags)
    wait_for(lambda: any((output / "checkpoints").glob("step-*")), process)
    assert stop(process, signal.SIGKILL) == -signal.SIGKILL
    step = max(int(path.name.removeprefix("step-")) for path in (output / "checkpoints").glob("step-*"))
    assert 0 < step < 600 and step != 300
    run(output, small, *flags)
    assert f"resuming at step {step} of 600" in pathlib.Path(f"{output}.log").read_text()
    assert_same(output, whole)


@pytest.mark.slow
def test_full_disk_stops_a_run_with_the_last_checkpoint_kept(small, undisturbed, tmp_path):
    output = tmp_path / "run"
    process = start(output, small, *SHORT)
    wait_for(lambda: any((output / "checkpoints").glob("step-*")), process)
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (100_000, 100_000))  # no file of more bytes from now on
    assert process.wait() == 1
    printed = pathlib.Path(f"{output}.log").read_text()
    assert "cannot be written (File too large). The last good checkpoint is kept: " in printed
    assert "Traceback" not in printed and not leftovers(output)
    kept = max((output / "checkpoints").iterdir())
    assert f"kept: {kept}. Make room on the disk and run the same command again" in printed
    run(output, small, *SHORT)
    assert (
        f"resuming at step {int(kept.name.removeprefix('step-'))} of 600" in pathlib.Path(f"{output}.log").read_text()
    )
    assert_same(output, undisturbed)


LONG = ("--epochs", "30", "--prior-epochs", "4", "--checkpoint-seconds", "0.3")


@pytest.mark.slow
def test_run_killed_at_twenty_random_moments_ends_as_if_it_had_not_been(tmp_path):
    whole, output = tmp_path / "whole", tmp_path / "run"
    began = time.monotonic()
    run(whole, RECIPES / "mnist_vqvae.py", *LONG)
    seconds = time.monotonic() - began
    draw, kills, ends = random.Random(0), 0, 0
    while kills < 20 or not ends:
        process = start(output, RECIPES / "mnist_vqvae.py", *LONG)
        # Up to a third of a run: somewhere in its start, its steps, its checkpoints or what comes after them.
        process_ends_at = time.monotonic() + draw.uniform(0.0, seconds / 3)
        while process.poll() is None and (kills >= 20 or time.monotonic() < process_ends_at):
            time.sleep(0.005)
        if process.poll() is None:
            stop(process, signal.SIGKILL)
            kills += 1
            continue
        assert process.returncode == 0, pathlib.Path(f"{output}.log").read_text()
        assert_same(output, whole)
        assert not leftovers(output)
        ends += 1
        shutil.rmtree(output)
