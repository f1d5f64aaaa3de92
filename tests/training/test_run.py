"""A run from flags to files: what it leaves behind, how it stops, how it goes on."""

import contextlib
import csv
import io
import json
import math
import os
import pathlib
import shutil
import signal
import subprocess
import sys
from unittest import mock

import keras
import numpy as np
import pytest
import tensorflow as tf
from matplotlib import pyplot as plt

from zoo import data, evaluation
from zoo.callbacks import KLWarmup
from zoo.runtime import cores, files
from zoo.training import devices, optimizer, run, stage
from zoo.training.flags import UsageError, parse

ROOT = pathlib.Path(__file__).parents[2]


@pytest.fixture(scope="module", autouse=True)
def _samples(few_samples):
    """In place of the one in conftest.py."""


@pytest.fixture(scope="module", autouse=True)
def _mode(mode_of_module):
    """Functions of so few steps take longer to trace than to run. Runs from a shell, and tests/recipes, trace them."""


@pytest.fixture(scope="module")
def finished(mode_of_module, train, tmp_path_factory):
    """A run of 2 epochs of 6 steps that nothing disturbed: its folder, what `main` gave and what it printed."""
    output = tmp_path_factory.mktemp("finished")
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        metrics = train(output)
    return output, metrics, printed.getvalue()


@pytest.fixture
def copy(finished, tmp_path):
    """A copy of the folder of `finished`."""
    return shutil.copytree(finished[0], tmp_path / "copy")


def read_json(path):
    def refuse(constant):
        raise AssertionError(f"{constant} is no JSON")

    return json.loads(path.read_text(), parse_constant=refuse)


def read_history(output):
    with open(output / "history.csv", newline="") as file:
        return list(csv.DictReader(file))


def weights(output):
    """All weights of `model.keras`, those of the optimizer too."""
    model = keras.saving.load_model(output / "model.keras")
    return [keras.ops.convert_to_numpy(value) for value in [*model.variables, *model.optimizer.variables]]


def assert_same_weights(output, other):
    first, second = weights(output), weights(other)
    assert len(first) == len(second) > 10
    for a, b in zip(first, second):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-6)


def interrupt(model):
    raise KeyboardInterrupt


def fill_with_nan(model):
    bias = model.decoder.weights[-1]
    bias.assign(np.full(bias.shape, np.nan))


def exit_code(train, *arguments, **changes):
    with pytest.raises((SystemExit, KeyboardInterrupt)) as caught:
        train(*arguments, **changes)
    return getattr(caught.value, "code", "KeyboardInterrupt")


# What a run leaves behind.


def test_run_leaves_its_files(finished):
    output, _, _ = finished
    assert {path.name for path in output.iterdir()} == {
        "model.keras", "checkpoints", "logs", "metrics.json", "history.csv",
        "reconstructions.png", "samples.png", "interpolation.png", "latents.png", "curves.png",
    }  # fmt: skip
    assert [path.name for path in sorted((output / "checkpoints").iterdir())] == ["step-00000006", "step-00000012"]


def test_saved_model_is_the_trained_one(finished):
    output, _, _ = finished
    model, again = (keras.saving.load_model(output / "model.keras") for _ in range(2))
    first = np.asarray(model.sample(4, seed=7))
    assert first.shape == (4, 28, 28, 1) and first.std() > 0.01
    assert np.array_equal(first, again.sample(4, seed=7))
    assert not np.array_equal(first, model.sample(4, seed=8))
    again.load_weights(output / "checkpoints" / "step-00000012" / "model.keras")
    assert np.array_equal(first, again.sample(4, seed=7))


@pytest.mark.parametrize("part", ["train", "validation"])
def test_logs_hold_the_loss_of_each_epoch(finished, part):
    output, _, _ = finished
    (file,) = (output / "logs" / part).glob("events.out.tfevents.*")
    events = [event for event in tf.compat.v1.train.summary_iterator(str(file)) if event.summary.value]
    losses = [
        tf.make_ndarray(event.summary.value[0].tensor) for event in events if event.summary.value[0].tag == "epoch_loss"
    ]
    column = "loss" if part == "train" else "val_loss"
    np.testing.assert_allclose(losses, [float(row[column]) for row in read_history(output)], rtol=1e-6)
    assert len(losses) == 2


def test_metrics_are_what_main_gives(finished):
    output, metrics, _ = finished
    assert read_json(output / "metrics.json") == metrics


def test_metrics_say_what_was_run(finished):
    _, metrics, _ = finished
    assert metrics["recipe"] == "tiny"
    assert (metrics["epochs"], metrics["steps"]) == (2, 12)
    assert metrics["images"] == {"train": 800, "validation": 100, "test": 100}
    # Dense layers of 784→16→4 and 2→16→784, each with a bias.
    assert metrics["parameters"] == 784 * 16 + 16 + 16 * 4 + 4 + 2 * 16 + 16 + 16 * 784 + 784
    assert metrics["flags"]["seed"] == "0" and metrics["flags"]["binarization"] == "dynamic"
    assert metrics["versions"]["keras"] == keras.__version__
    assert metrics["training_seconds"] > 0


def test_metrics_hold_the_figures_of_the_test_split(finished):
    output, metrics, _ = finished
    test = metrics["test"]
    assert set(test) == {"loss", "reconstruction", "kl", "elbo", "mse", "mse_over_variance", "psnr"}
    assert all(math.isfinite(value) for value in test.values())
    assert -test["elbo"] == pytest.approx(test["reconstruction"] + test["kl"], rel=1e-6)
    assert test["reconstruction"] < test["loss"] <= -test["elbo"]  # the KL's weight is still below 1
    assert test["psnr"] == pytest.approx(-10 * math.log10(test["mse"]))
    splits = data.load("mnist", sample=True)
    of_draws = np.mean(splits.train.images / 255.0)  # the images are binarised dynamically
    assert test["mse"] / test["mse_over_variance"] == pytest.approx(of_draws * (1 - of_draws), rel=1e-9)
    model = keras.saving.load_model(output / "model.keras")
    # Draws of 0 and 1 with the grey level as their mean: E(b − r)² = (g − r)² + g (1 − g).
    grey = splits.test.images / 255.0
    expected = np.mean(np.square(grey - model.reconstruct(grey)) + grey * (1 - grey))
    assert test["mse"] == pytest.approx(expected, rel=0.01)


def test_training_figures_are_those_of_the_last_epoch(finished):
    output, metrics, _ = finished
    last = read_history(output)[-1]
    assert {"loss", "kl", "elbo", "reconstruction", "val_loss", "val_elbo"} <= set(metrics["train"])
    assert {name: float(last[name]) for name in metrics["train"]} == metrics["train"]


def test_history_has_a_row_an_epoch(finished):
    output, _, _ = finished
    rows = read_history(output)
    assert [(row["epoch"], row["step"]) for row in rows] == [("1", "6"), ("2", "12")]
    for name in ("loss", "reconstruction", "kl", "elbo"):
        assert all(math.isfinite(float(row[name])) and math.isfinite(float(row[f"val_{name}"])) for row in rows)
    # 784 fair coins cost 543 nats: an untrained decoder starts there, and comes down.
    assert 545 > float(rows[0]["loss"]) > float(rows[1]["loss"]) > 300
    assert 0 < float(rows[0]["seconds"]) < float(rows[1]["seconds"])


@pytest.mark.parametrize(
    "name, size",
    [
        # A tile of 28 pixels and a gap of 1, each pixel three wide: 12 columns, 8 rows; 10, 10; 10, 6.
        ("reconstructions.png", (3 * (8 * 29 + 1), 3 * (12 * 29 + 1))),
        ("samples.png", (3 * (10 * 29 + 1), 3 * (10 * 29 + 1))),
        ("interpolation.png", (3 * (6 * 29 + 1), 3 * (10 * 29 + 1))),
        ("latents.png", (550, 770)),
        ("curves.png", (550, 770)),
    ],
)
def test_pictures_show_something(finished, name, size):
    output, _, _ = finished
    image = plt.imread(output / name)[..., :3]
    assert image.shape == (*size, 3)
    assert image.std() > 0.02 and len(np.unique(image)) > 10


def test_run_says_what_it_does(finished):
    output, _, printed = finished
    lines = printed.splitlines()
    assert lines[0] == "tiny: 800 training, 100 validation and 100 test images"
    assert lines[1].startswith("epoch   1/2  loss 5") and lines[2].startswith("epoch   2/2  loss 5")
    assert "(val " in lines[1] and "left" in lines[1]
    assert lines[3].startswith("test: ") and "elbo -" in lines[3]
    assert lines[4].endswith(f"everything is in {output}")
    assert len(lines) == 5


def test_run_leaves_the_dtype_policy_as_it_was(train, tmp_path):
    before = keras.config.dtype_policy()
    metrics = train(tmp_path, "--epochs", "1", "--mixed-precision")
    assert keras.config.dtype_policy() == before
    assert metrics["flags"]["mixed_precision"] == "bfloat16"
    assert keras.saving.load_model(tmp_path / "model.keras").encoder.layers[-1].compute_dtype == "bfloat16"


def test_static_binarisation_makes_all_splits_black_and_white(tiny, tmp_path, monkeypatch):
    recipe = tiny()
    flags = parse(recipe, ["--sample", "--binarization", "static", "--output", str(tmp_path)])
    splits = run.load_splits(recipe, flags, recipe.image_shape)
    grey = data.load("mnist", sample=True)
    for part in ("train", "validation", "test"):
        images = getattr(splits, part).images
        assert set(np.unique(images)) == {0, 255}
        assert images.mean() == pytest.approx(getattr(grey, part).images.mean(), rel=0.01)


# The plan.


@pytest.mark.parametrize(
    "steps, wanted, given", [(12, 10, 6), (20, 10, 10), (13, 10, 1), (7, 10, 7), (1, 10, 1), (9, 1, 1)]
)
def test_executions_fill_an_epoch_exactly(steps, wanted, given):
    assert stage.Plan(2, steps, wanted).steps_per_execution == given


@pytest.mark.parametrize(
    "argv, minimum, epochs, steps",
    [
        ([], 0, 30, 36),  # 3,600 images in batches of 100
        (["--sample"], 0, 25, 36),
        (["--batch-size", "1000"], 0, 30, 4),
        (["--epochs", "3", "--steps-per-epoch", "5"], 1000, 3, 5),
        (["--steps-per-epoch", "5"], 1001, 201, 5),
        ([], 100, 30, 36),
    ],
)
def test_plan_follows_flags_and_data(tiny, tmp_path, argv, minimum, epochs, steps):
    recipe = tiny(sample_epochs=25, minimum_steps=minimum)
    flags = parse(recipe, [*argv, "--output", str(tmp_path)])
    plan = stage.Plan.of(recipe, 3600, flags.batch_size, flags.epochs, flags.steps_per_epoch, flags.sample)
    assert (plan.epochs, plan.steps_per_epoch, plan.total_steps) == (epochs, steps, epochs * steps)


# Stopping and going on.


@pytest.mark.parametrize("steps", [pytest.param((2,), marks=pytest.mark.slow), (8, 10)])
def test_interrupted_run_goes_on_as_if_nothing_had_happened(finished, train, at, tmp_path, capsys, steps):
    for step in steps:
        assert exit_code(train, tmp_path, callbacks=at(step, interrupt)) == 130
        assert f"stopped at step {step} of 12; run the same command again to resume" in capsys.readouterr().out
        assert (tmp_path / "checkpoints" / f"step-{step:08d}").is_dir()
        assert keras.saving.load_model(tmp_path / "model.keras").sample(1, seed=0).shape == (1, 28, 28, 1)
        assert not (tmp_path / "metrics.json").exists()

    metrics = train(tmp_path)
    assert f"resuming at step {step} of 12\n" in capsys.readouterr().out
    assert_same_weights(tmp_path, finished[0])
    rows = read_history(tmp_path)
    assert [(row["epoch"], row["step"], float(row["kl_weight"])) for row in rows] == [("1", "6", 0.5), ("2", "12", 1.0)]
    for name, value in finished[1]["test"].items():
        assert metrics["test"][name] == pytest.approx(value, rel=1e-5)


@pytest.mark.parametrize(
    "first, then", [(["--no-cache"], []), pytest.param([], ["--no-cache"], marks=pytest.mark.slow)]
)
def test_run_goes_on_with_and_without_a_cache(finished, train, at, tmp_path, capsys, pictures, first, then):
    assert exit_code(train, tmp_path, *first, callbacks=at(8, interrupt)) == 130
    metrics = train(tmp_path, *then)
    assert "resuming at step 8 of 12\n" in capsys.readouterr().out
    assert_same_weights(tmp_path, finished[0])
    assert metrics["test"] == pytest.approx(finished[1]["test"], rel=1e-5)
    assert {path.name for path in tmp_path.iterdir()} == {path.name for path in finished[0].iterdir()}


def test_disk_that_is_too_small_ends_a_run_without_a_cache(train, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: mock.Mock(free=2**20))
    assert exit_code(train, tmp_path, "--no-cache") == 1
    error = capsys.readouterr().err
    assert error.startswith(
        f"tiny: There is no room for 3 MiB of data in {str(tmp_path)!r} (1 MiB are free). Remedies: "
    )
    assert error.count("\n") == 1
    train(tmp_path)


class InterruptedValidation(keras.callbacks.Callback):
    """Interrupts the validation of an epoch: before its first batch, or after it."""

    def __init__(self, epoch, batches):
        super().__init__()
        self.epoch, self.batches, self.now = epoch, batches, None

    def on_epoch_begin(self, epoch, logs=None):
        self.now = epoch

    def on_test_begin(self, logs=None):
        if self.now == self.epoch and self.batches == 0:
            raise KeyboardInterrupt

    def on_test_batch_end(self, batch, logs=None):
        if self.now == self.epoch:
            raise KeyboardInterrupt


@pytest.mark.parametrize(("epoch", "batches"), [pytest.param(0, 0, marks=pytest.mark.slow), (0, 1), (1, 1)])
def test_run_interrupted_in_validation_goes_on(train, tmp_path, finished, epoch, batches):
    """The epoch's last step is done then, its row of the history is not; validation draws noise of its own."""

    def callbacks(flags, total_steps):
        return [KLWarmup(steps=total_steps), InterruptedValidation(epoch, batches)]

    assert exit_code(train, tmp_path, callbacks=callbacks) == 130
    metrics = train(tmp_path)
    rows, expected = read_history(tmp_path), read_history(finished[0])
    assert [(row["epoch"], row["step"]) for row in rows] == [("1", "6"), ("2", "12")]
    for row, other in zip(rows, expected, strict=True):
        assert list(row) == list(other)
        figures = other.keys() - {"seconds", "cpu_seconds"}
        assert {each: float(row[each]) for each in figures} == {each: float(other[each]) for each in figures}
    assert metrics["test"] == finished[1]["test"]
    weights, others = (
        keras.saving.load_model(folder / "model.keras").get_weights() for folder in (tmp_path, finished[0])
    )
    for weight, other in zip(weights, others, strict=True):
        np.testing.assert_array_equal(weight, other)


@pytest.fixture(scope="module")
def train_average(train):
    """As `train`, with a moving average of the weights that looks back over half of these few steps."""

    def run(*arguments, **changes):
        with mock.patch.object(optimizer, "_SHARE", 2):
            return train(*arguments, ema=0.999, **changes)

    return run


@pytest.fixture(scope="module")
def averaged(mode_of_module, train_average, tmp_path_factory):
    """An undisturbed run with an average: its folder, and what `main` gave."""
    output = tmp_path_factory.mktemp("averaged")
    return output, train_average(output)


def weights_of_checkpoint(output):
    model = keras.saving.load_model(output / "model.keras")
    model.load_weights(max((output / "checkpoints").iterdir()) / "model.keras")
    return model.get_weights()


def largest_difference(first, second):
    return max(np.abs(a - b).max() for a, b in zip(first, second, strict=True))


@pytest.mark.slow
def test_average_does_not_change_how_a_run_is_trained(averaged, finished):
    own = {name: value for name, value in finished[1]["train"].items() if not name.startswith("val_")}
    assert {name: averaged[1]["train"][name] for name in own} == pytest.approx(own, rel=1e-6)
    assert largest_difference(weights_of_checkpoint(averaged[0]), weights_of_checkpoint(finished[0])) < 1e-6


def test_average_is_what_is_saved_validated_and_measured(averaged):
    output, metrics = averaged
    model = keras.saving.load_model(output / "model.keras")
    own = weights_of_checkpoint(output)
    assert largest_difference(model.get_weights(), own) > 1e-4
    splits = data.load("mnist", sample=True)
    parts = (
        (splits.validation, metrics["train"]["val_reconstruction"]),
        (splits.test, metrics["test"]["reconstruction"]),
    )

    def distances():
        for images, kept in parts:
            batches = data.batches(images, 100, seed=0, dynamic=True)
            yield abs(model.evaluate(batches, verbose=0, return_dict=True)["reconstruction"] - kept)

    near = list(distances())  # the noise of the posterior differs
    model.set_weights(own)
    assert all(5 * a < b for a, b in zip(near, distances()))


@pytest.mark.parametrize("steps", [(2,), pytest.param((6, 10), marks=pytest.mark.slow)])
def test_interrupted_run_goes_on_with_its_average(averaged, train_average, at, tmp_path, steps):
    for step in steps:
        assert exit_code(train_average, tmp_path, callbacks=at(step, interrupt)) == 130
        saved = keras.saving.load_model(tmp_path / "model.keras").get_weights()
        assert largest_difference(saved, weights_of_checkpoint(tmp_path)) > 1e-5
    train_average(tmp_path)
    assert_same_weights(tmp_path, averaged[0])
    assert train_average(tmp_path)["test"] == pytest.approx(averaged[1]["test"], rel=1e-5)
    assert_same_weights(tmp_path, averaged[0])


@pytest.mark.slow
def test_run_interrupted_while_the_average_is_validated_goes_on(averaged, train_average, at, tmp_path):
    for epoch in range(2):

        def callbacks(flags, total_steps, epoch=epoch):
            return [*at(0, None)(flags, total_steps), InterruptedValidation(epoch, 1)]

        assert exit_code(train_average, tmp_path, callbacks=callbacks) == 130
    train_average(tmp_path)
    assert_same_weights(tmp_path, averaged[0])
    assert float(read_history(tmp_path)[-1]["val_loss"]) == pytest.approx(averaged[1]["train"]["val_loss"], rel=1e-5)


def test_run_without_an_average_does_not_go_on_with_one(copy, train, capsys):
    assert exit_code(train, copy, ema=0.999) == 1
    assert "ema was None and is '0.999'" in capsys.readouterr().err


def test_run_interrupted_in_its_evaluation_exits_130_and_goes_on(finished, copy, train, monkeypatch):
    def interrupted(model, batches, variance):  # where the user happens to press Ctrl-C
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(evaluation, "reconstruction_error", interrupted)
        assert exit_code(train, copy) == 130
    train(copy)
    assert_same_weights(copy, finished[0])


class NoStep(keras.callbacks.Callback):
    def on_train_batch_begin(self, batch, logs=None):
        pytest.fail("a step was trained")


def test_finished_run_trains_no_further_step(finished, copy, train):
    output, metrics, _ = finished
    (copy / "model.keras").unlink()
    again = train(copy, callbacks=lambda *_: [NoStep()])
    assert_same_weights(copy, output)
    assert read_history(copy) == read_history(output)
    assert again["test"] == pytest.approx(metrics["test"], rel=1e-6)


def test_fresh_starts_over(finished, copy, train, at, capsys):
    first, (own, log) = [], (copy / "checkpoints" / "best.pt", copy / "logs" / "app.log")
    for file in (own, log):
        file.parent.mkdir(exist_ok=True)
        file.write_text("mine")
    train(copy, "--fresh", callbacks=at(2, lambda model: first.append(model)))
    assert len(first) == 1 and "resuming" not in capsys.readouterr().out
    assert own.read_text() == log.read_text() == "mine"
    assert_same_weights(copy, finished[0])
    assert len(read_history(copy)) == 2


def test_two_runs_do_not_share_a_folder(copy, train, capsys):
    with files.held("--output", copy):
        assert exit_code(train, copy, "--fresh") == 2
    assert "Expected `--output` to be a folder that no other run writes to" in capsys.readouterr().err
    assert read_history(copy)


def test_more_epochs_go_on(copy, train, capsys):
    rows = read_history(copy)
    metrics = train(copy, "--epochs", "3")
    assert "resuming at step 12 of 18" in capsys.readouterr().out
    assert (metrics["epochs"], metrics["steps"]) == (3, 18)
    assert read_history(copy)[:2] == rows and len(read_history(copy)) == 3


def test_other_settings_are_refused_with_the_differences(finished, copy, train, capsys):
    assert exit_code(train, copy, "--seed", "1", "--batch-size", "50") == 1
    error = capsys.readouterr().err
    assert "batch_size was '100' and is '50'; seed was '0' and is '1'" in error
    assert "--fresh" in error and "--output" in error and str(copy) in error
    assert_same_weights(copy, finished[0])


def test_fewer_epochs_than_it_has_are_refused(copy, train, capsys):
    assert exit_code(train, copy, "--epochs", "1") == 1
    assert "has 12 steps behind it, and 6 are asked for: pass as many epochs as before" in capsys.readouterr().err


@pytest.mark.parametrize(
    "change",
    [lambda images: images.take(slice(1, None)), lambda images: data.Images(255 - images.images, images.labels)],
)
def test_other_data_in_the_same_place_are_refused(change, copy, train, capsys, monkeypatch):
    def changed(*arguments):
        splits = loaded(*arguments)
        return data.Splits(change(splits.train), splits.validation, splits.test)

    loaded = run.load_splits
    monkeypatch.setattr(run, "load_splits", changed)
    assert exit_code(train, copy) == 1
    assert "cannot resume with other settings: training data was '" in capsys.readouterr().err


def test_broken_newest_checkpoint_is_named_and_the_one_before_used(finished, copy, train, capsys):
    newest = copy / "checkpoints" / "step-00000012"
    (newest / "model.keras").write_bytes(b"half a file")
    train(copy)
    captured = capsys.readouterr()
    assert f"{newest} cannot be read" in captured.err
    assert "resuming at step 6 of 12" in captured.out
    assert_same_weights(copy, finished[0])


# A loss that is no number.


def test_nan_loss_ends_the_run_and_keeps_the_last_good_checkpoint(finished, train, at, tmp_path, capsys):
    assert exit_code(train, tmp_path, callbacks=at(8, fill_with_nan)) == 1
    error = capsys.readouterr().err
    kept = tmp_path / "checkpoints" / "step-00000006"
    assert error.startswith("tiny: The loss is nan at step 10. ")
    assert f"The last good checkpoint is kept: {kept}." in error and "--learning-rate" in error
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["step-00000006"]
    assert not (tmp_path / "model.keras").exists()
    train(tmp_path)
    assert_same_weights(tmp_path, finished[0])


def test_learning_rate_that_blows_up_ends_the_run(train, tmp_path, capsys):
    assert exit_code(train, tmp_path, "--learning-rate", "1e30") == 1
    error = capsys.readouterr().err
    assert "tiny: The loss is " in error and " at step 2. No checkpoint was written yet." in error
    assert "--learning-rate" in error
    assert not (tmp_path / "checkpoints").exists() and not (tmp_path / "metrics.json").exists()


def test_loss_that_is_nan_in_validation_only_ends_the_run_too(train, tmp_path, capsys):
    """The only step has a finite loss, and leaves weights that have none."""
    assert exit_code(train, tmp_path, "--learning-rate", "1e30", "--epochs", "1", "--steps-per-epoch", "1") == 1
    assert "--learning-rate" in capsys.readouterr().err
    assert not (tmp_path / "metrics.json").exists()


def test_weights_that_are_nan_after_the_last_step_end_the_run_too(train, at, tmp_path):
    assert exit_code(train, tmp_path, callbacks=at(12, fill_with_nan)) == 1
    assert not (tmp_path / "metrics.json").exists()


# Data that is not available.


def test_data_that_cannot_be_had_exits_1_with_the_reason(tiny, tmp_path, capsys, monkeypatch):
    import tensorflow_datasets as tfds

    def no_network(*_, **__):
        raise ConnectionError("no route to host")

    monkeypatch.setattr(tfds.core.DatasetBuilder, "download_and_prepare", no_network)
    with pytest.raises(SystemExit) as caught:
        run.main(tiny(), ["--data-dir", str(tmp_path / "data"), "--output", str(tmp_path / "out")])
    assert caught.value.code == 1
    error = capsys.readouterr().err
    assert error.startswith("tiny: The dataset 'mnist' is not available") and error.count("\n") == 1
    assert "--sample" in error and not (tmp_path / "out").exists()


def test_last_batch_that_is_too_small_for_the_replicas_is_refused():
    devices.require_whole_shares({"--batch-size": 40}, 4, (40, 44, 3604))
    expected = (
        "Expected `--batch-size` to be one whose last batch has an image for each of the 4 replicas. Received: 40"
    )
    with pytest.raises(UsageError, match=f"^{expected}, which leaves 3 of 43$"):
        devices.require_whole_shares({"--batch-size": 40}, 4, (40, 43, 3604))


def test_split_that_the_replicas_cannot_share_is_a_usage_error(tiny, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(devices, "make_strategy", lambda name: tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]))
    digits = data.load("mnist", sample=True).train
    splits = data.Splits(*(digits.take(np.arange(number)) for number in (80, 41, 40)))
    recipe = tiny(dataset=None, load=lambda flags, image_shape, disk_folder: splits)
    with pytest.raises(SystemExit) as caught:
        run.main(recipe, ["--batch-size", "40", "--output", str(tmp_path)])
    assert caught.value.code == 2
    usage, error = capsys.readouterr().err.split(": error: ")
    assert usage.startswith("usage: tiny.py ") and error.endswith("Received: 40, which leaves 1 of 41\n")


# From a shell.


def environment(**changes):
    inherited = {
        name: value for name, value in os.environ.items() if name not in ("KERAS_BACKEND", "TF_CPP_MIN_LOG_LEVEL")
    }
    return {**inherited, **changes}


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_other_backends_are_refused_at_import(backend):
    done = subprocess.run(
        [sys.executable, "-c", "import zoo"], env=environment(KERAS_BACKEND=backend), capture_output=True, text=True
    )  # fmt: skip
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert last == (
        f"ImportError: Expected the Keras backend to be 'tensorflow'. Received: KERAS_BACKEND='{backend}'. "
        "Unset KERAS_BACKEND, or set it to 'tensorflow', before keras is imported."
    )


def test_ctrl_c_keeps_what_was_trained(train, at, tmp_path, capsys):
    press = at(8, lambda model: signal.raise_signal(signal.SIGINT))
    assert exit_code(train, tmp_path, callbacks=press) == 130
    assert "stopped at step 8 of 12; run the same command again to resume" in capsys.readouterr().out
    assert (tmp_path / "checkpoints" / "step-00000008").is_dir()


@pytest.mark.slow  # the signal reaches the process of a test above, and test_kill.py stops one started from a shell
def test_ctrl_c_in_a_shell_keeps_what_was_trained(tmp_path):
    command = [
        sys.executable,
        ROOT / "recipes" / "mnist_vae.py",
        "--sample",
        "--epochs",
        "1000",
        "--steps-per-epoch",
        "5",
    ]
    command += ["--output", tmp_path / "out"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    process = subprocess.Popen(command, env=environment(), **pipes)
    try:
        for line in process.stdout:
            if line.startswith("epoch   1/"):
                break
        process.send_signal(signal.SIGINT)
        printed, error = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130, error
    assert "stopped at step " in printed and "run the same command again" in printed
    assert error == ""
    step = int(printed.split("stopped at step ")[1].split(" ")[0])
    assert step >= 5 and (tmp_path / "out" / "checkpoints" / f"step-{step:08d}").is_dir()
    model = keras.saving.load_model(tmp_path / "out" / "model.keras")
    assert np.asarray(model.sample(2, seed=0)).shape == (2, 28, 28, 1)


@pytest.mark.slow  # tests/conformance has each model
def test_parts_of_a_batch_change_nothing_but_rounding(train, tmp_path):
    one, three = (train(tmp_path / number, "--parts", number) for number in ("1", "3"))
    assert three["test"] == pytest.approx(one["test"], rel=1e-4)


class Stopped(Exception):
    pass


@pytest.mark.parametrize(
    "argv, parts",
    [
        ([], 4),
        (["--batch-size", "31"], 1),
        (["--strategy", "mirrored"], 1),
        (["--prior-batch-size", "31"], 1),
        (["--prior", "none"], 4),
        (["--prior-batch-size", "31", "--parts", "3"], 3),
    ],
)
def test_a_batch_has_a_part_for_each_core(recipe_module, monkeypatch, tmp_path, argv, parts):
    def stop(number):
        raise Stopped(number)

    monkeypatch.setattr(cores, "available", lambda: 4)
    monkeypatch.setattr(cores, "sub_batches", stop)
    with pytest.raises(Stopped) as caught:
        recipe_module("mnist_vqvae").main(["--output", str(tmp_path), *argv])
    assert caught.value.args == (parts,)


def test_a_model_that_is_too_large_is_one_line(tiny, capsys):
    message = "{{function_node __wrapped__}} OOM when allocating tensor with shape[300,200000000]\nand more"
    with pytest.raises(SystemExit) as caught, run.errors_as_statuses(tiny(), "auto"):
        raise tf.errors.ResourceExhaustedError(None, None, message)
    assert caught.value.code == 1
    expected = "OOM when allocating tensor with shape[300,200000000]. Choose a smaller model or batch"
    assert capsys.readouterr().err == f"tiny: the memory does not suffice: {expected}\n"
