"""A recipe run by two workers: one writes, both train, and a job whose workers are killed ends right."""

import csv
import json
import pathlib
import random
import re
import signal
import sys
import time

import keras
import numpy as np
import pytest

from zoo import data

ROOT = pathlib.Path(__file__).parents[2]


def command(output, strategy, *flags):
    recipe = ROOT / "recipes" / "mnist_vqvae.py"
    data_flags = () if "--shards" in flags else ("--sample",)
    return [sys.executable, recipe, *data_flags, "--no-export", "--strategy", strategy, "--output", output, *flags]


def printed(logs):
    return "\n".join(path.read_text() for path in logs)


def finish(processes, logs):
    assert [process.wait() for process in processes] == [0] * len(logs), printed(logs)


def results(output, prior):
    """What a run computes: weights, each epoch's figures, and those of the test split; of the first stage, or both."""
    model = keras.saving.load_model(output / "model.keras")
    metrics = json.loads((output / "metrics.json").read_text())
    test = metrics["test"]
    if not prior:
        model.prior = None
        test = {name: value for name, value in test.items() if name != "elbo" and not name.startswith("prior")}
    rows = []
    for path in ("history.csv", *(["prior_transformer/history.csv"] if prior else [])):
        with open(output / path, newline="") as file:
            rows += [
                {name: float(value) for name, value in row.items() if not name.endswith("seconds")}
                for row in csv.DictReader(file)
            ]
    return model.variables, rows, test


def assert_same(output, other, prior):
    """Within what the order of a sum over workers makes of the last digits."""
    (weights, *figures), (other_weights, *other_figures) = results(output, prior), results(other, prior)
    for one, two in zip(weights, other_weights, strict=True):
        np.testing.assert_allclose(one.numpy(), two.numpy(), rtol=0, atol=1e-5, err_msg=one.path)
    for rows, other_rows in zip(figures[0], other_figures[0], strict=True):
        assert rows == pytest.approx(other_rows, rel=1e-5)
    assert figures[1] == pytest.approx(other_figures[1], rel=1e-5)


@pytest.mark.slow
def test_two_workers_end_with_what_one_ends_with(start_workers, tmp_path):
    """But for the prior, whose dropout differs between replicas, as it should; that it goes through is seen."""
    flags = ("--epochs", "2", "--prior-epochs", "1", "--steps-per-epoch", "4")
    alone, together = tmp_path / "alone", tmp_path / "together"
    logs = [tmp_path / "chief.log", tmp_path / "worker.log"]
    finish(start_workers(command(together, "multiworker", *flags), logs), logs)
    (process,) = start_workers(command(alone, "none", *flags), [tmp_path / "alone.log"])
    finish([process], [tmp_path / "alone.log"])
    assert_same(together, alone, prior=False)
    assert {path.name for path in together.iterdir()} == {path.name for path in alone.iterdir()}
    assert "epoch   1/2" in logs[0].read_text() and "epoch" not in logs[1].read_text()


@pytest.mark.slow
def test_signal_to_one_worker_stops_all_with_a_checkpoint(start_workers, tmp_path):
    flags = ("--epochs", "3", "--prior", "none")
    whole, output = tmp_path / "whole", tmp_path / "job"
    logs = [tmp_path / "chief.log", tmp_path / "worker.log"]
    finish(start_workers(command(whole, "multiworker", *flags), logs), logs)
    processes = start_workers(command(output, "multiworker", *flags), logs)
    while printed(logs).count("epoch   1/3") < 2:
        assert processes[0].poll() is None, printed(logs)
        time.sleep(0.1)
    processes[1].send_signal(signal.SIGTERM)
    assert [process.wait() for process in processes] == [143, 143], printed(logs)
    (step,) = re.findall(r"stopped at step (\d+) of", logs[0].read_text())
    assert (output / "checkpoints" / f"step-{int(step):08d}").is_dir()
    finish(start_workers(command(output, "multiworker", *flags), logs), logs)
    assert f"resuming at step {step} of" in logs[0].read_text()
    assert_same(output, whole, prior=False)


@pytest.mark.slow
def test_workers_on_shards_resume_together(start_workers, tmp_path):
    """Each reads shards of its own; the chief counts the records for both."""
    paths = data.write_shards(data.load("mnist", sample=True).train.take(slice(930)), tmp_path / "a-{0..3}.tfrecord")
    for path in paths:
        pathlib.Path(f"{path}.index.json").unlink()
    flags = ("--shards", f"{tmp_path}/a-{{0..3}}.tfrecord", "--epochs", "4", "--prior", "none", "--batch-size", "64")
    whole, output = tmp_path / "whole", tmp_path / "job"
    logs = [tmp_path / "chief.log", tmp_path / "worker.log"]
    finish(start_workers(command(whole, "multiworker", *flags), logs), logs)
    assert printed(logs).count("counting the records") == 1
    processes = start_workers(command(output, "multiworker", *flags), logs)
    while printed(logs).count("epoch   1/4") < 2:
        assert processes[0].poll() is None, printed(logs)
        time.sleep(0.1)
    processes[1].send_signal(signal.SIGTERM)
    assert [process.wait() for process in processes] == [143, 143], printed(logs)
    finish(start_workers(command(output, "multiworker", *flags), logs), logs)
    assert_same(output, whole, prior=False)
    (process,) = start_workers(command(output, "none", *flags), logs[:1])
    assert process.wait() == 1 and "workers was '2' and is '1'" in logs[0].read_text()


@pytest.mark.slow
def test_job_whose_workers_are_killed_ends_as_if_they_had_not_been(start_workers, tmp_path):
    flags = ("--epochs", "12", "--prior-epochs", "2", "--checkpoint-seconds", "1")
    whole, output = tmp_path / "whole", tmp_path / "job"
    logs = [tmp_path / "chief.log", tmp_path / "worker.log"]
    began = time.monotonic()
    finish(start_workers(command(whole, "multiworker", *flags), logs), logs)
    seconds = time.monotonic() - began
    draw, kills = random.Random(0), 0
    while kills < 4:
        processes = start_workers(command(output, "multiworker", *flags), logs)
        end = time.monotonic() + draw.uniform(seconds / 6, seconds / 3)
        while processes[0].poll() is None and time.monotonic() < end:
            time.sleep(0.01)
        if processes[0].poll() is not None:  # done already, as the machine has become faster
            break
        victim, survivor = processes if kills % 2 else reversed(processes)
        victim.send_signal(signal.SIGKILL)
        assert victim.wait() == -signal.SIGKILL
        # It notices, and leaves with the status for which a manager starts it again.
        assert survivor.wait(timeout=120) == 138, printed(logs)
        kills += 1
    finish(start_workers(command(output, "multiworker", *flags), logs), logs)
    assert kills >= 2 and logs[0].read_text().count("resuming at step") >= 2
    assert_same(output, whole, prior=True)
