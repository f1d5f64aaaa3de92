"""The MODEL argument: what it takes, and what it says about what it does not."""

import argparse
import json
import zipfile

import keras
import numpy as np
import pytest

from zoo.cli import _models


def test_a_keras_file(saved, vae):
    parser = argparse.ArgumentParser()
    _models.add_argument(parser)
    model = _models.load(parser.parse_args([str(saved)]).model)
    np.testing.assert_array_equal(model.sample(2, seed=3), vae.sample(2, seed=3))
    assert _models.read_card(str(saved)) == {} and _models.preset_folder(str(saved)) is None


def test_the_card_of_a_folder(tmp_path):
    (tmp_path / "card.json").write_text(json.dumps({"name": "mine"}))
    assert _models.read_card(str(tmp_path)) == {"name": "mine"}
    assert _models.preset_folder(str(tmp_path)) is None
    (tmp_path / "preset.json").write_text("{}")
    assert _models.preset_folder(str(tmp_path)) == tmp_path


@pytest.fixture
def files(tmp_path, monkeypatch):
    """Files that are no models, in the working directory."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.keras").write_text("no archive")
    (tmp_path / "model.h5").write_bytes(b"\x89HDF")
    with zipfile.ZipFile("archive.keras", "w") as archive:
        archive.writestr("read.me", "nothing")
    keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]).save("foreign.keras")
    (tmp_path / "empty").mkdir()


@pytest.mark.parametrize(
    "address, reason",
    [
        ("text.keras", "text.keras, a file that Keras did not write, or a damaged one"),
        ("model.h5", "model.h5, a file .h5"),
        ("archive.keras", "archive.keras, "),
        ("foreign.keras", "foreign.keras, a Sequential, which is no model of the zoo"),
        ("missing.keras", "missing.keras, no such file"),
        ("empty", "a folder with nothing"),
        ("mnist_vea", "Expected the name of a preset. Received: 'mnist_vea'"),
        ("./nowhere/model", "which is no folder"),
    ],
)
def test_other_files_are_named(files, address, reason):
    with pytest.raises(ValueError) as raised:
        _models.load(address)
    assert reason in str(raised.value)
