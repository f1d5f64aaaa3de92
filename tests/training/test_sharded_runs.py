"""Runs on shards: they resume to the bit, refuse other data, and stop before they train where data is missing."""

import json
import shutil

import keras
import numpy as np
import pytest

import zoo
from zoo import data, networks, training

NUMBER = 160
STEPS = 6  # of an epoch of the plan; a pass over the data has more, so that both are seen to go on


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    """A folder of 4 shards of noise with labels from 0 to 9, without indices; record 3 of the first is damaged."""
    folder = tmp_path_factory.mktemp("shards")
    pixels = np.random.default_rng(0).integers(0, 256, (NUMBER, 8, 8, 1), np.uint8)
    paths = data.write_shards(pixels, folder / "a-{0..3}.tfrecord", labels=[row % 10 for row in range(NUMBER)])
    for path in paths:
        (folder / f"{path}.index.json").unlink()
    damage(folder / "a-0.tfrecord", 3)
    return folder


def damage(path, index):
    content = bytearray(path.read_bytes())
    place = 0
    for _ in range(index):
        place += 16 + int.from_bytes(content[place : place + 8], "little")
    content[place + 40] ^= 1
    path.write_bytes(content)


def build(flags, image_shape, seed):
    encoder = networks.mlp_encoder(image_shape, latent_dim=2, hidden=(4,))
    return zoo.VAE(encoder, networks.mlp_decoder(image_shape, latent_dim=2, hidden=(4,)), "bernoulli", seed=seed)


def build_conditional(flags, image_shape, seed, num_classes=10):
    encoder = networks.mlp_encoder((*image_shape[:2], image_shape[2] + num_classes), 2, (4,))
    decoder = networks.mlp_decoder(image_shape, 2 + num_classes, (4,))
    return zoo.CVAE(encoder, decoder, num_classes=num_classes, seed=seed)


@pytest.fixture(scope="module")
def run(tiny):
    def main(folder, output, *argv, pattern="a-{0..3}.tfrecord", **changes):
        recipe = tiny(**{"build": build, "image_shape": (8, 8, 1), **changes})
        shared = ["--epochs", "2", "--steps-per-epoch", str(STEPS), "--batch-size", "16", "--no-export", "--parts", "1"]
        argv = ["--shuffle-buffer", "32", *argv, "--output", str(output)]
        return training.main(recipe, [*shared, "--shards", f"{folder}/{pattern}", *argv])

    return main


def status(run, *args, **kwargs):
    with pytest.raises(SystemExit) as caught:
        run(*args, **kwargs)
    return caught.value.code


def interrupt(model):
    raise KeyboardInterrupt


def weights(output):
    model = keras.saving.load_model(output / "model.keras")
    return [keras.ops.convert_to_numpy(value) for value in [*model.variables, *model.optimizer.variables]]


@pytest.fixture(scope="module")
def finished(run, shards, tmp_path_factory):
    output = tmp_path_factory.mktemp("finished")
    return output, run(shards, output)


@pytest.mark.long
@pytest.mark.parametrize("step", [pytest.param(4, marks=pytest.mark.slow), 8])
def test_stopped_run_ends_with_the_weights_of_an_undisturbed_one(finished, run, shards, at, tmp_path, capsys, step):
    """To the bit, also if the shards have been moved."""
    assert status(run, shards, tmp_path / "run", callbacks=at(step, interrupt)) == 130
    shutil.copytree(shards, tmp_path / "moved")
    run(tmp_path / "moved", tmp_path / "run", callbacks=at(100, interrupt))
    assert f"resuming at step {step} of {2 * STEPS}\n" in capsys.readouterr().out
    for one, two in zip(weights(tmp_path / "run"), weights(finished[0]), strict=True):
        assert np.array_equal(one, two)


@pytest.mark.long
def test_run_does_not_resume_on_other_records(finished, run, shards, tmp_path, capsys):
    shutil.copytree(finished[0], tmp_path / "run")
    assert status(run, shards, tmp_path / "run", pattern="a-{0..2}.tfrecord") == 1
    printed = capsys.readouterr()
    assert "counting" not in printed.err and "records that cannot be read and are left out: 1\n" in printed.out
    assert f"skipped {shards}/a-0.tfrecord, record 3: its checksum does not match" in printed.err
    said = printed.err.splitlines()[-1]
    assert "cannot resume with other settings: shards was '159 records in 4 shards" in said
    assert "is '119 records in 3 shards" in said
    assert status(run, shards, tmp_path / "run", "--shuffle-buffer", "33") == 1


@pytest.mark.parametrize(
    "pattern, said",
    [
        ("a-{0..4}.tfrecord", "/a-4.tfrecord' is missing."),
        ("b-*", "No shard fits the pattern"),
        ("{a-0.tfrecord,text}", "/text' to be a TFRecord or a tar shard. Received: one that begins with b'text'"),
    ],
)
def test_data_that_is_missing_stops_the_run_before_it_trains(run, shards, tmp_path, capsys, pattern, said):
    shutil.copytree(shards, tmp_path / "data")
    (tmp_path / "data" / "text").write_text("text")
    assert status(run, tmp_path / "data", tmp_path / "run", pattern=pattern) == 1
    printed = capsys.readouterr()
    assert said in printed.err.splitlines()[-1] and "tiny: " in printed.err
    assert "epoch" not in printed.out and not (tmp_path / "run" / "checkpoints").exists()


@pytest.mark.parametrize(
    "labels, said",
    [(None, "a label in each record"), (lambda row: row % 11, "labels from 0 to 9 in the shards. Received: 0 to 10")],
)
def test_conditional_model_needs_labels_of_its_classes(run, tmp_path, capsys, labels, said):
    pixels = np.random.default_rng(1).integers(0, 256, (NUMBER, 8, 8, 1), np.uint8)
    data.write_shards(pixels, tmp_path / "a-{0..3}.tfrecord", labels and map(labels, range(NUMBER)))
    assert status(run, tmp_path, tmp_path / "run", build=build_conditional) == 1
    assert said in capsys.readouterr().err


def test_shard_that_disappears_in_training_stops_the_run_with_one_line(run, shards, at, tmp_path, capsys):
    shutil.copytree(shards, tmp_path / "data")
    gone = at(2, lambda model: [path.unlink() for path in (tmp_path / "data").glob("a-[0-2]*")])
    assert status(run, tmp_path / "data", tmp_path / "run", "--epochs", "9", callbacks=gone) == 1
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith("tiny: The shard ") and said.endswith("cannot be read (No such file or directory).")


def test_metrics_and_settings_name_the_shards(finished, shards):
    output, metrics = finished
    assert sum(metrics["images"].values()) == NUMBER - 1 and metrics["skipped_records"] == 1
    assert metrics["flags"]["shards"] == f"{shards}/a-{{0..3}}.tfrecord"
    (state,) = [json.loads(path.read_text()) for path in sorted(output.glob("checkpoints/*/state.json"))[-1:]]
    assert state["run"]["shards"].startswith("159 records in 4 shards (") and state["run"]["workers"] == "1"
