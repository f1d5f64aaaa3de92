"""Checkpoints: what they keep, and what happens when one cannot be read."""

import errno
import functools
import re
import shutil

import keras
import numpy as np
import pytest

from zoo.training.checkpoints import Checkpoints, NotWritten, OtherRun, OutOfDate

RUN = {"seed": "0", "beta": None}


def model_after(steps, hidden=(16,)):
    """A model trained on a line with Adam, so that each step moves all weights and both moments."""
    keras.utils.set_random_seed(0)
    layers = [keras.layers.Dense(units, activation="tanh") for units in hidden]
    model = keras.Sequential([keras.Input((4,)), *layers, keras.layers.Dense(1)])
    model.compile("adam", "mse", run_eagerly=True)
    x = np.linspace(-1, 1, 32, dtype=np.float32).reshape(8, 4)
    for _ in range(steps):
        model.train_on_batch(x, x.sum(axis=1, keepdims=True))
    model.optimizer.build(model.trainable_variables)
    return model


def state(model):
    return [keras.ops.convert_to_numpy(value) for value in [*model.variables, *model.optimizer.variables]]


@functools.cache
def state_after(steps, hidden=(16,)):
    return state(model_after(steps, hidden))


def assert_trained(model, steps, hidden=(16,)):
    for a, b in zip(state(model), state_after(steps, hidden), strict=True):
        assert np.array_equal(a, b)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    checkpoints = Checkpoints(tmp_path_factory.mktemp("written"), RUN)
    for step in (1, 2):
        checkpoints.save(model_after(step), step, [{"epoch": epoch + 1} for epoch in range(step)])
    return checkpoints.folder


@pytest.fixture
def two(written, tmp_path):
    """Checkpoints of steps 1 and 2."""
    shutil.copytree(written, tmp_path, dirs_exist_ok=True)
    return Checkpoints(tmp_path, RUN)


def test_nothing_to_restore_is_step_0(tmp_path):
    model = model_after(1)
    assert Checkpoints(tmp_path / "none", RUN).restore(model) == (0, [])
    assert_trained(model, 1)


def test_restored_model_is_the_newest_with_its_optimizer(two):
    model = model_after(0)
    assert two.restore(model) == (2, [{"epoch": 1}, {"epoch": 2}])
    assert_trained(model, 2)
    assert int(model.optimizer.iterations) == 2


def test_two_checkpoints_are_kept(two):
    two.save(model_after(3), 3, [])
    assert names(two.folder) == ["step-00000002", "step-00000003"]
    assert names(two.folder / "step-00000003") == ["checksums.json", "model.keras", "state.json"]


def test_newest_is_the_one_of_the_highest_step(two):
    two.save(model_after(3), 100, [])
    assert [path.name for path in two.newest_first()] == ["step-00000100", "step-00000002"]


def test_checkpoint_of_weights_that_are_not_finite_is_not_written(two):
    model = model_after(3)
    model.layers[-1].bias.assign([np.nan])
    two.save(model, 3, [])
    assert names(two.folder) == ["step-00000001", "step-00000002"]


def test_error_while_writing_leaves_the_older_ones(two, monkeypatch):
    model = model_after(3)

    def disk_full(path):
        path.write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(model, "save", disk_full)
    with pytest.raises(
        NotWritten, match=rf"step 3 cannot be written \(No space left on device\).*{two.folder}/step-00000002\."
    ):
        two.save(model, 3, [])
    assert names(two.folder) == ["step-00000001", "step-00000002"]


def test_what_a_killed_run_left_half_written_is_no_checkpoint(two):
    (two.folder / ".123-step-00000009").mkdir()
    assert two.restore(model_after(0))[0] == 2


def test_clear_leaves_nothing_to_restore(two):
    two.clear()
    assert two.restore(model_after(0)) == (0, [])
    two.clear()  # nor minds that there is nothing


def garble(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 4 : 3 * len(content) // 4] = bytes(len(content) // 2)
    path.write_bytes(content)


def flip(path, place):
    """One bit."""
    content = bytearray(path.read_bytes())
    content[int(place * len(content))] ^= 1
    path.write_bytes(content)


def of_another_step(folder):
    """A record that reads well, and is not the one that was written."""
    (folder / "state.json").write_text((folder / "state.json").read_text().replace('"step": 2', '"step": 3'))


BREAKAGES = {
    "weights cut": lambda f: (f / "model.keras").write_bytes((f / "model.keras").read_bytes()[:-100]),
    "weights empty": lambda f: (f / "model.keras").write_bytes(b""),
    "weights gone": lambda f: (f / "model.keras").unlink(),
    "weights zeroed in the middle": lambda f: garble(f / "model.keras"),
    "bit flipped at the begin of the weights": lambda f: flip(f / "model.keras", 0.01),
    "bit flipped in the weights": lambda f: flip(f / "model.keras", 0.5),
    "bit flipped in the checksums": lambda f: flip(f / "checksums.json", 0.5),
    "checksums gone": lambda f: (f / "checksums.json").unlink(),
    "state of another step": of_another_step,
    "state cut": lambda f: (f / "state.json").write_text((f / "state.json").read_text()[:20]),
    "state empty": lambda f: (f / "state.json").write_bytes(b""),
    "state gone": lambda f: (f / "state.json").unlink(),
    "state no text": lambda f: (f / "state.json").write_bytes(bytes(range(128, 256))),
    "state zeroed": lambda f: (f / "state.json").write_bytes(bytes(200)),
    "state no dict": lambda f: (f / "state.json").write_text("null"),
}


@pytest.mark.parametrize("breakage", BREAKAGES)
def test_broken_newest_is_named_and_the_one_before_used(two, capsys, breakage):
    newest = two.folder / "step-00000002"
    BREAKAGES[breakage](newest)
    model = model_after(0)
    assert two.restore(model) == (1, [{"epoch": 1}])
    assert_trained(model, 1)
    assert str(newest) in capsys.readouterr().err


@pytest.mark.parametrize("breakage", ["weights cut", "weights zeroed in the middle"])
def test_all_broken_is_step_0_of_the_untouched_model(two, capsys, breakage):
    for folder in two.newest_first():
        BREAKAGES[breakage](folder)
    model = model_after(0)
    assert two.restore(model) == (0, [])
    assert_trained(model, 0)
    errors = capsys.readouterr().err
    assert errors.count("cannot be read") == 2 and errors.count("the previous one is used") == 1
    assert "there is none before it: training starts over" in errors


@pytest.mark.parametrize("failures", [1, 2])
def test_a_load_that_fails_half_way_leaves_nothing_of_itself(two, monkeypatch, capsys, failures):
    """Its file is as it was written, so that no checksum tells; the disk, or the memory, gave up."""
    model = model_after(0)
    load, loaded = model.load_weights, []

    def fail_half_way(path):
        loaded.append(path.parent.name)
        if len(loaded) > failures:
            return load(path)
        for variable in [*model.variables[::2], *model.optimizer.variables[::2]]:
            variable.assign(keras.ops.full_like(variable, 7))
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(model, "load_weights", fail_half_way)
    step, history = two.restore(model)
    assert loaded == ["step-00000002", "step-00000001"]
    assert (step, history) == ((1, [{"epoch": 1}]) if failures == 1 else (0, []))
    assert_trained(model, step)
    assert capsys.readouterr().err.count("Input/output error") == failures


@pytest.mark.parametrize(
    "run, difference",
    [
        ({"seed": "1", "beta": None}, "seed was '0' and is '1'. "),
        ({"seed": "1", "beta": "4.0"}, "beta was None and is '4.0'; seed was '0' and is '1'. "),
        ({"seed": "0", "beta": None, "gamma": "2"}, "gamma was None and is '2'. "),
    ],
)
def test_other_run_is_refused_with_the_differences(two, run, difference):
    model = model_after(0)
    with pytest.raises(OtherRun, match=re.escape(f"cannot resume with other settings: {difference}")) as caught:
        Checkpoints(two.folder, run).restore(model)
    assert str(two.folder.parent) in str(caught.value)
    assert "--fresh" in str(caught.value) and "--output" in str(caught.value)
    assert_trained(model, 0)


@pytest.mark.parametrize(
    "hidden, difference",
    [
        ((8,), r"\S*dense\S*/kernel was \[4, 16\] and is \[4, 8\]; \S*dense\S*/bias was \[16\] and is \[8\]; "
               r"\S*dense\S*/kernel was \[16, 1\] and is \[8, 1\]\. "),
        ((16, 1), r"\S*dense\S*/kernel was not there and is \[1, 1\]; \S*dense\S*/bias was not there and is \[1\]\. "),
        ((), r"\S*dense\S*/kernel was \[4, 16\] and is \[4, 1\]; \S*dense\S*/bias was \[16\] and is \[1\]; "
             r"\S*dense\S*/kernel was \[16, 1\] and is not there; and 1 weights more\. "),
    ],
)  # fmt: skip
def test_other_architecture_is_refused_with_the_differences(two, hidden, difference):
    model = model_after(0, hidden)
    with pytest.raises(OtherRun, match="cannot resume with other architecture: " + difference) as caught:
        two.restore(model)
    assert "--fresh" in str(caught.value)
    assert_trained(model, 0, hidden)


def test_metrics_stand_as_they_did(two):
    model = model_after(3)
    (loss,) = model.metrics
    assert float(loss.result()) > 0
    two.save(model, 3, [], [variable.numpy().tolist() for variable in model.metrics_variables])
    again = model_after(0)
    two.restore(again)
    assert float(again.metrics[0].result()) == float(loss.result())


@pytest.mark.parametrize("default, fits", [("relu", True), ("gelu", False)])
def test_setting_that_did_not_exist_yet_was_its_default(two, default, fits):
    later = Checkpoints(two.folder, {**RUN, "activation": "relu"}, defaults={"activation": default, "seed": "7"})
    if fits:
        assert later.restore(model_after(0))[0] == 2
    else:
        with pytest.raises(OtherRun, match="activation was 'gelu' and is 'relu'"):
            later.restore(model_after(0))


def test_what_was_trained_on_other_data_is_out_of_date(two):
    """Whatever the settings: those may change where all is trained anew."""
    for origin in ("a", None):
        Checkpoints(two.folder, RUN, trained_on=origin).save(model_after(3), 3, [])
        assert Checkpoints(two.folder, RUN, trained_on=origin).restore(model_after(0))[0] == 3
        for run in (RUN, {**RUN, "seed": "1"}):
            with pytest.raises(OutOfDate):
                Checkpoints(two.folder, run, trained_on="b").restore(model_after(0))


def test_refusal_of_what_was_trained_on_something_does_not_advise_to_start_that_over(two):
    Checkpoints(two.folder, RUN, trained_on="a").save(model_after(3), 3, [])
    with pytest.raises(OtherRun, match="Restore them, or remove that folder to start it over.$"):
        Checkpoints(two.folder, {"seed": "1"}, trained_on="a").restore(model_after(0))
