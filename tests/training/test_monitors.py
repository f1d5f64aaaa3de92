"""The callbacks that watch a run."""

import io
import math
import re
import sys
import types

import keras
import numpy as np
import pytest
import tensorflow as tf

import zoo
from zoo import networks
from zoo.training import monitors
from zoo.training.checkpoints import Checkpoints


@pytest.fixture
def model():
    model = zoo.VAE(networks.mlp_encoder((4, 4, 1), 2, (8,)), networks.mlp_decoder((4, 4, 1), 2, (8,)), seed=0)
    model.compile("adam", steps_per_execution=2, run_eagerly=True)
    return model


@pytest.fixture
def images():
    return np.random.default_rng(0).random((12, 4, 4, 1), np.float32)


def fit(model, images, callbacks, epochs=2, **kwargs):
    model.fit(images, batch_size=2, epochs=epochs, callbacks=callbacks, verbose=0, shuffle=False, **kwargs)


ALONE = monitors.Agreement(tf.distribute.get_strategy())


class Record(keras.callbacks.Callback):
    def __init__(self, position):
        super().__init__()
        self.position, self.steps = position, []

    def on_train_batch_end(self, batch, logs=None):
        self.steps.append(self.position.step)


def test_position_counts_on_over_epochs_and_fits(model, images):
    position = monitors.Position(4)
    record = Record(position)
    fit(model, images, [position, record])  # 6 steps an epoch, 2 in each call of the graph
    assert record.steps == [6, 8, 10, 12, 14, 16]
    fit(model, images, [position, record], epochs=1)
    assert record.steps[6:] == [18, 20, 22]


def test_interrupted_epoch_counts_on(model, images):
    """Only the first: 0.25 a step of four that were, and 1 in each of two that follow."""
    loss = model.trackers["loss"]
    for _ in range(4):
        loss.update_state(0.25)
    history = []
    record = keras.callbacks.LambdaCallback(on_epoch_begin=lambda epoch, logs: history.append(float(loss.count)))
    fit(model, images, [monitors.GoOnWithMetrics(model), record])
    assert history == [4.0, 0.0]


@pytest.mark.parametrize("loss, shown", [(math.nan, "nan"), (math.inf, "inf"), (-math.inf, "-inf")])
def test_loss_that_is_no_number_stops_the_run(tmp_path, loss, shown):
    watch = monitors.StopOnNonFinite(monitors.Position(7), Checkpoints(tmp_path, {}))
    watch.on_train_batch_end(0, {"loss": 1e30})
    expected = f"The loss is {shown} at step 7. No checkpoint was written yet. A lower --learning-rate"
    with pytest.raises(monitors.NonFiniteLoss, match=re.escape(expected)):
        watch.on_train_batch_end(0, {"loss": loss})


def test_a_weight_that_the_last_step_of_an_epoch_has_spoilt_stops_the_run(model, tmp_path):
    watch = monitors.StopOnNonFinite(monitors.Position(7), Checkpoints(tmp_path, {}))
    watch.set_model(model)
    watch.on_epoch_end(0, {"loss": 1.0})
    weight = model.trainable_weights[-1]
    weight.assign(tf.fill(weight.shape, math.nan))
    with pytest.raises(monitors.NonFiniteLoss, match="The largest weight is nan at step 7"):
        watch.on_epoch_end(0, {"loss": 1.0})


def test_stop_names_the_newest_checkpoint(tmp_path):
    for step in ("step-00000003", "step-00000005"):
        (tmp_path / step).mkdir()
    watch = monitors.StopOnNonFinite(monitors.Position(7), Checkpoints(tmp_path, {}))
    expected = f"The last good checkpoint is kept: {tmp_path / 'step-00000005'}. "
    with pytest.raises(monitors.NonFiniteLoss, match=re.escape(expected)):
        watch.on_train_batch_end(0, {"loss": math.nan})


def test_stop_advises_the_flag_of_the_stage(tmp_path):
    watch = monitors.StopOnNonFinite(monitors.Position(7), Checkpoints(tmp_path, {}), "--prior-learning-rate")
    with pytest.raises(monitors.NonFiniteLoss, match="A lower --prior-learning-rate is the first thing to try"):
        watch.on_train_batch_end(0, {"loss": math.nan})


@pytest.mark.parametrize(
    "seconds, kept", [(300, ["step-00000012", "step-00000006"]), (-1, ["step-00000012", "step-00000010"])]
)
def test_checkpoints_come_at_each_epochs_end_and_whenever_it_is_time(model, images, tmp_path, seconds, kept):
    position, history = monitors.Position(0), []
    checkpoints = Checkpoints(tmp_path, {})
    saver = monitors.SaveCheckpoints(position, checkpoints, history, seconds, ALONE, chief=True)
    fit(model, images, [position, saver], validation_data=(images,))
    assert [path.name for path in checkpoints.newest_first()] == kept
    assert [(row["epoch"], row["step"]) for row in history] == [(1, 6), (2, 12)]
    assert all(math.isfinite(row["val_loss"]) for row in history)
    assert checkpoints.restore(model) == (12, history)


def test_seconds_until_a_checkpoint_count_from_the_one_before(model, monkeypatch):
    position, saved = monitors.Position(0), []
    monkeypatch.setattr(
        monitors, "time", types.SimpleNamespace(monotonic=lambda: float(position.step), process_time=lambda: 0.0)
    )
    checkpoints = types.SimpleNamespace(save=lambda model, step, *_: saved.append(step))
    saver = monitors.SaveCheckpoints(position, checkpoints, [], 3, ALONE, chief=True)
    saver.set_model(model)
    for batch in range(10):
        position.on_train_batch_end(batch)
        saver.on_train_batch_end(batch)
    assert saved == [4, 8]


def test_worker_that_is_not_the_chief_keeps_the_history_and_writes_nothing(model, images, tmp_path):
    position, history = monitors.Position(0), []
    saver = monitors.SaveCheckpoints(position, Checkpoints(tmp_path, {}), history, -1, ALONE, chief=False)
    fit(model, images, [position, saver])
    assert len(history) == 2 and not list(tmp_path.iterdir())


def test_workers_do_what_one_of_them_wants_at_every_tenth_step(monkeypatch):
    monkeypatch.setattr(monitors.replicas, "has_workers", lambda strategy: True)
    monkeypatch.setattr(monitors.replicas, "gather", lambda strategy, wanted: [0, 15, wanted])
    assert [ALONE(step, 9) for step in (9, 10, 11, 20)] == [0, 15, 0, 15]


def test_seconds_of_a_run_that_goes_on_add_up(model, images, tmp_path):
    position, history = monitors.Position(6), [{"epoch": 1, "step": 6, "seconds": 1000.0, "cpu_seconds": 500.0}]
    saver = monitors.SaveCheckpoints(position, Checkpoints(tmp_path, {}), history, 300, ALONE, chief=True)
    fit(model, images, [position, saver], epochs=1)
    assert 1000.0 < history[-1]["seconds"] < 1100.0 and 500.0 < history[-1]["cpu_seconds"] < 600.0


def test_progress_prints_a_line_an_epoch(model, images, capsys):
    position = monitors.Position(0)
    fit(model, images, [position, monitors.Progress(position, total_steps=12, epochs=2)], validation_data=(images,))
    lines = capsys.readouterr().out.splitlines()
    figures = "".join(rf"  {name} -?[\d.]+ \(val -?[\d.]+\)" for name in ("loss", "reconstruction", "kl", "elbo"))
    for number, line in enumerate(lines):
        assert re.fullmatch(rf"epoch   {number + 1}/2{figures}  \d+ s, \d+ s left", line)
    assert len(lines) == 2 and lines[1].endswith(" 0 s left")


def test_the_time_left_is_by_the_steps_of_this_run(monkeypatch):
    """At two seconds a step, of which a run that resumed at 100 has taken 11, and 9 are left."""
    position = monitors.Position(100)
    monkeypatch.setattr(monitors, "time", types.SimpleNamespace(monotonic=lambda: 2.0 * position.step))
    progress = monitors.Progress(position, total_steps=120, epochs=2)
    for batch in range(11):
        position.on_train_batch_end(batch)
        progress.on_train_batch_end(batch, {"loss": 1.0})
    assert progress._left() == "18 s"


def test_progress_on_a_terminal_shows_the_step(model, images, monkeypatch):
    terminal = io.StringIO()
    terminal.isatty = lambda: True
    monkeypatch.setattr(sys, "stdout", terminal)
    position = monitors.Position(0)
    fit(model, images, [position, monitors.Progress(position, total_steps=6, epochs=1)], epochs=1)
    assert "\r\x1b[K  step 2/6  loss " in terminal.getvalue()
    # What is left on the screen is the epoch's line alone.
    assert terminal.getvalue().split("\r\x1b[K")[-1].startswith("epoch   1/1  loss ")


@pytest.mark.parametrize(
    "seconds, text",
    [
        (0, "0 s"),
        (7.4, "7 s"),
        (59.6, "1 min 00 s"),
        (200, "3 min 20 s"),
        (3599.6, "1 h 00 min"),
        (7500, "2 h 05 min"),
        (360_000, "100 h 00 min"),
    ],
)
def test_duration(seconds, text):
    assert monitors.duration(seconds) == text
