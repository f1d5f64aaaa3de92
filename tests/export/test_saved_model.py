"""SavedModels: loaded by TensorFlow alone, versioned, whole or not there."""

import json
import os
import signal
import subprocess
import sys
import textwrap

import exports
import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from zoo.export import parity, saved_model

SAMPLERS = ["vae", "cvae", "hierarchical_vae", "vq_vae_prior"]
WITHOUT_KERAS = """
    import json, sys
    sys.modules["keras"] = sys.modules["zoo"] = None  # importing either fails
    import numpy as np
    import tensorflow as tf

    for folder, inputs, outputs in json.loads(sys.argv[1]):
        given = {name: tf.constant(value) for name, value in np.load(inputs).items()}
        given = tf.saved_model.load(folder).signatures["sample"](**given)
        np.savez(outputs, **{name: value.numpy() for name, value in given.items()})
"""
# Says where it is, in the middle of an export, and waits to be killed.
KILLED = """
    import sys, time
    sys.path.insert(0, sys.argv[1])
    import exports
    from zoo.export import saved_model

    def wait(*_):
        print("here", flush=True)
        time.sleep(600)

    saved_model.write_warmup = wait
    exports.make("vae").export(sys.argv[2])
"""


def start(script, *argv, **kwargs):
    argv = [sys.executable, "-c", textwrap.dedent(script), *map(str, argv)]
    return subprocess.Popen(argv, env={**os.environ, "CUDA_VISIBLE_DEVICES": ""}, text=True, **kwargs)


@pytest.mark.long
def test_samples_where_neither_keras_nor_zoo_can_be_imported(exported, tmp_path):
    jobs = []
    for name in SAMPLERS:
        np.savez(tmp_path / f"{name}_in.npz", **exports.expected(name)["sample"][0])
        jobs.append([str(exported(name)), f"{tmp_path}/{name}_in.npz", f"{tmp_path}/{name}_out.npz"])
    with start(WITHOUT_KERAS, json.dumps(jobs), stderr=subprocess.PIPE) as process:
        assert process.wait(300) == 0, process.stderr.read()
    for name in SAMPLERS:
        wanted = exports.expected(name)["sample"][1]
        received = np.load(tmp_path / f"{name}_out.npz")
        assert set(received) == set(wanted)
        exports.assert_agree(received["image"], wanted["image"], name)


# Versions


def finished(folder):
    scratch = folder / ".scratch"
    scratch.mkdir()
    (scratch / "saved_model.pb").write_text("new")
    return scratch


@pytest.mark.parametrize(
    "before, number",
    [([], "1"), (["1"], "2"), (["1", "7"], "8"), (["9", "10"], "11"), (["latest", "1a", ".5", "-3"], "1")],
)
def test_next_free_version(before, number, tmp_path):
    for name in before:
        (tmp_path / name).mkdir()
        (tmp_path / name / "saved_model.pb").write_text("old")
    placed = saved_model.place(finished(tmp_path), tmp_path)
    assert placed == tmp_path / number and (placed / "saved_model.pb").read_text() == "new"
    assert {path.name for path in tmp_path.iterdir()} == {*before, number}
    assert all((tmp_path / name / "saved_model.pb").read_text() == "old" for name in before)


def test_version_that_another_export_took_meanwhile_is_left_to_it(tmp_path, monkeypatch):
    seen = iter([[], [tmp_path / "1"]])
    monkeypatch.setattr(saved_model, "versions", lambda folder: next(seen))
    (tmp_path / "1").mkdir()
    (tmp_path / "1" / "saved_model.pb").write_text("theirs")
    assert saved_model.place(finished(tmp_path), tmp_path) == tmp_path / "2"
    assert (tmp_path / "1" / "saved_model.pb").read_text() == "theirs"


def test_exports_into_one_folder_are_its_versions(tmp_path):
    model = exports.trained("vae")
    assert model.export(str(tmp_path / "new" / "digits")) == tmp_path / "new" / "digits" / "1"
    # By its own number, and no other: what a server reads is never changed.
    assert model.export(tmp_path / "new" / "digits" / "5") == tmp_path / "new" / "digits" / "5"
    assert sorted(path.name for path in (tmp_path / "new" / "digits").iterdir()) == ["1", "5"]
    assert sorted(path.name for path in (tmp_path / "new" / "digits" / "5").iterdir()) == [
        "assets",
        "assets.extra",
        "fingerprint.pb",
        "saved_model.pb",
        "variables",
    ]
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    with pytest.raises(ValueError, match=r"Expected `path` to be .*version that does not exist.* Received: .*digits/5"):
        model.export(tmp_path / "new" / "digits" / "5")
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


# What goes wrong in the middle


@pytest.mark.long
def test_killed_in_the_middle_no_version_is_there(tmp_path):
    folder = os.path.dirname(exports.__file__)
    with start(KILLED, folder, tmp_path / "digits", stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        try:
            assert process.stdout.readline() == "here\n"
            written = list((tmp_path / "digits").rglob("saved_model.pb"))
        finally:
            process.send_signal(signal.SIGKILL)
    assert len(written) == 1  # it was in the middle of it
    assert saved_model.versions(tmp_path / "digits") == []
    # Hidden, as a server reads numbers alone.
    assert all(path.name.startswith(".") for path in (tmp_path / "digits").iterdir())


def test_an_error_in_the_middle_leaves_nothing(tmp_path, monkeypatch):
    def fail(folder, *_):
        assert (folder / "saved_model.pb").exists()
        raise KeyboardInterrupt("in the middle")

    monkeypatch.setattr(saved_model, "write_warmup", fail)
    with pytest.raises(KeyboardInterrupt, match="in the middle"):
        exports.trained("vae").export(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_what_disagrees_with_the_model_is_not_put_in_place(tmp_path, monkeypatch):
    write = saved_model.write

    def write_another(model, folder, *args, **kwargs):
        other = exports.make("vae")
        write(other, folder, *args, **kwargs)

    monkeypatch.setattr(saved_model, "write", write_another)
    with pytest.raises(parity.ParityError, match=r"Expected the SavedModel to agree .* Received: .* in image of recon"):
        exports.trained("vae").export(tmp_path)
    assert list(tmp_path.iterdir()) == []


# What it holds


def sizes(weights):
    return sorted(tuple(weight.shape) for weight in weights)


def variables(path):
    listed = tf.train.list_variables(str(path / "variables" / "variables"))
    return sorted(tuple(shape) for name, shape in listed if name.endswith("/.ATTRIBUTES/VARIABLE_VALUE"))


def test_weights_of_the_networks_and_nothing_of_training(exported):
    model = exports.trained("vae")
    assert len(model.optimizer.variables) > len(model.trainable_weights)  # there is something to leave out
    assert variables(exported("vae")) == sizes(model.encoder.weights + model.decoder.weights)


def test_codebook_and_none_of_its_averages(exported):
    model = exports.trained("vq_vae")
    networks = model.encoder.weights + model.decoder.weights
    assert len(model.quantizer.weights) > 1
    assert variables(exported("vq_vae")) == sorted([*sizes(networks), (12, 6)])


def test_weights_of_the_prior_and_nothing_of_its_dropout(exported):
    model = exports.trained("vq_vae_prior")
    networks = model.encoder.weights + model.decoder.weights
    assert variables(exported("vq_vae_prior")) == sorted([*sizes(networks + model.prior.trainable_weights), (12, 6)])


@pytest.mark.parametrize("name", ("cvae", "vq_vae", "vq_vae_labels"))
def test_warmup_asks_every_signature_for_one_row(name, exported):
    path = exported(name)
    records = tf.data.TFRecordDataset(str(path / "assets.extra" / "tf_serving_warmup_requests"))
    logs = [prediction_log_pb2.PredictionLog.FromString(record.numpy()) for record in records]
    requests = [log.predict_log.request for log in logs]
    asked = [request.model_spec.signature_name for request in requests]
    assert sorted(asked) == sorted(exports.expected(name))
    for request in requests:
        assert request.model_spec.name == exports.trained(name).name
        inputs = {key: tf.make_ndarray(value) for key, value in request.inputs.items()}
        assert all(len(value) == 1 for value in inputs.values())
        outputs = exports.run(path, request.model_spec.signature_name, inputs)
        assert all(len(value) == 1 and np.isfinite(value).all() for value in outputs.values())


def test_report_beside_it(exported):
    report = json.loads((exported("vae") / "assets.extra" / "export.json").read_text())
    assert report["metadata"]["name"] == "other" and report["metadata"]["model"] == "VAE"
    assert len(report["parity"]) == 7 and all(row["passed"] for row in report["parity"])


def test_training_goes_on_after_an_export(tmp_path):
    model = exports.make("vae")
    model.compile(keras.optimizers.Adam(1e-2), run_eagerly=True)
    x, _ = exports.images("vae")
    before = model.get_weights()
    model.export(tmp_path)
    for one, two in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)
    model.fit(x, verbose=0)
    assert any(np.abs(one - two).max() > 0 for one, two in zip(before, model.get_weights(), strict=True))
