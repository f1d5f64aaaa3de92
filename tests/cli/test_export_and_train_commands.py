"""export and train."""

import json
import os

import keras
import numpy as np
import pytest
import tensorflow as tf

import zoo
from zoo import cli
from zoo.cli import _recipes

RECIPE = """
import json, pathlib, sys


def main(argv=None):
    print("training")
    pathlib.Path("seen.json").write_text(json.dumps({"argv": argv, "program": sys.argv}))
    return {"flags": {"output": "runs/here"}}
"""


@pytest.fixture(scope="module")
def model_file(tmp_path_factory):
    keras.utils.set_random_seed(0)
    encoder = zoo.networks.mlp_encoder((8, 8, 1), 2, hidden=(8,))
    model = zoo.VAE(encoder, zoo.networks.mlp_decoder((8, 8, 1), 2, hidden=(8,)))
    path = tmp_path_factory.mktemp("model") / "vae.keras"
    model.save(path)
    return path, model


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Function of a command line that runs it in an empty folder; gives the status, stdout and stderr."""
    monkeypatch.chdir(tmp_path)

    def call(*words):
        capsys.readouterr()
        return cli.main(list(map(str, words))), *capsys.readouterr()

    return call


def test_export_writes_a_saved_model_and_says_where(run, model_file, tmp_path):
    path, model = model_file
    status, out, err = run("export", path, "--output", "digits")
    assert status == 0 and json.loads(out) == {"command": "export", "output": ["digits/1"]}
    assert "reconstruct" in err  # the table of the comparison
    loaded = tf.saved_model.load(str(tmp_path / "digits" / "1"))
    image = loaded.signatures["sample"](seed=tf.constant([5]), temperature=tf.constant([1.0]))["image"]
    np.testing.assert_allclose(image, model.sample(1, seed=np.array([5], np.int32)), atol=1e-5)


def test_export_writes_a_tflite_file_by_its_ending(run, model_file, tmp_path):
    status, out, _ = run("export", model_file[0], "--output", "m.tflite", "--quantization", "float16")
    assert status == 0 and json.loads(out)["output"] == ["m.tflite"]
    assert (tmp_path / "m.tflite").read_bytes()[4:8] == b"TFL3"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--output", "m.tflite", "--format", "onnx"), "Expected `path`"),
        (("--output", "digits", "--quantization", "int8"), "Expected `--quantization` to be left out unless"),
        (("--output", "digits", "--batch-size", "4"), "Expected `--batch-size` to be left out unless"),
        (("--output", "m.tflite", "--batch-size", "0"), "Expected `--batch-size` to be an integer >= 1"),
        (("--output", "m.h5"), "Expected `path`"),
        (("--output", "digits", "--sample"), "Expected `--sample` to be left out without --data"),
        (("--output", "digits", "--limit", "3"), "Expected `--limit` to be left out without --data"),
        (("--output", "gs://bucket/digits"), "without ~"),
        (("--output", "m.tflite", "--data", "missing.npy"), "no such file"),
    ],
)
def test_export_refuses_with_one_line_and_leaves_nothing(run, model_file, tmp_path, words, message):
    status, out, err = run("export", model_file[0], *words)
    assert (status, out, os.listdir(tmp_path)) == (2, "", [])
    assert err.startswith("vae-zoo export: ") and message in err and err.count("\n") == 1


@pytest.fixture
def recipes(tmp_path, monkeypatch):
    """A folder recipes/ with one recipe, which is the only one that is found."""
    (tmp_path / "recipes").mkdir()
    (tmp_path / "recipes" / "small_vae.py").write_text(RECIPE)
    monkeypatch.setattr(_recipes, "__file__", str(tmp_path / "zoo" / "cli" / "_recipes.py"))
    return tmp_path


def test_train_gives_its_flags_to_the_recipe(run, recipes):
    status, out, err = run("train", "small_vae", "--epochs", "2", "--output", "runs/here")
    assert (status, err) == (0, "training\n")
    assert json.loads(out) == {"command": "train", "output": ["runs/here"], "recipe": "small_vae"}
    seen = json.loads((recipes / "seen.json").read_text())
    flags = ["--epochs", "2", "--output", "runs/here"]
    assert seen == {"argv": flags, "program": ["recipes/small_vae.py", *flags]}


def test_train_offers_the_nearest_recipe(run, recipes):
    status, out, err = run("train", "smal_vae")
    assert (status, out) == (2, "")
    assert "Received: 'smal_vae'. Did you mean 'small_vae'? There are small_vae." in err


def test_train_says_where_recipes_come_from(run, tmp_path, monkeypatch):
    monkeypatch.setattr(_recipes, "__file__", str(tmp_path / "zoo" / "cli" / "_recipes.py"))
    status, _, err = run("train", "mnist_vae")
    assert status == 2 and "Recipes come with the source: git clone" in err


@pytest.mark.parametrize("command", ["export", "train"])
def test_help_has_an_example(command, capsys):
    with pytest.raises(SystemExit) as stopped:
        cli.main([command, "--help"])
    assert stopped.value.code == 0 and f"python -m zoo {command} mnist_cvae" in capsys.readouterr().out
