"""`python -m zoo diagnose`."""

import json

import numpy as np
import pytest
from PIL import Image

import zoo
from zoo import cli

X = np.random.default_rng(0).uniform(size=(40, 4, 4, 1)).astype("float32")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with an untrained model and data."""
    encoder = zoo.networks.mlp_encoder((4, 4, 1), 2, hidden=())
    zoo.VAE(encoder, zoo.networks.mlp_decoder((4, 4, 1), 2, hidden=())).save(tmp_path / "model.keras")
    np.save(tmp_path / "x.npy", X)
    np.save(tmp_path / "wrong.npy", 255 * X)
    np.savez(tmp_path / "labelled.npz", x=X, labels=np.zeros(40, "int32"))
    np.savez(tmp_path / "other.npz", y=X, z=X)
    (tmp_path / "pictures").mkdir()
    for number, image in enumerate(X[:30]):
        Image.fromarray((255 * image[..., 0]).astype(np.uint8)).save(tmp_path / "pictures" / f"{number}.png")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_findings_are_printed_and_written(folder, capsys):
    assert cli.main(["diagnose", "model.keras", "--data", "wrong.npy", "--json", "found.json"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("data outside the likelihood's range (high)\n  The values go from")
    content = json.loads((folder / "found.json").read_text())
    assert (content["model"], content["data"]) == ("model.keras", "wrong.npy")
    assert [finding["fault"] for finding in content["findings"]] == ["data_range"]
    assert content["findings"][0]["advice"] in printed


def test_it_measures_as_many_examples_as_asked_for(folder, capsys, monkeypatch):
    seen = {}

    def diagnose(model, x, validation, labels, validation_labels, seed):
        seen.update(x=x, validation=validation, labels=labels, seed=seed)
        return []

    monkeypatch.setattr(zoo.evaluation, "diagnose", diagnose)
    arguments = ["--data", "labelled.npz", "--validation", "x.npy", "--examples", "3", "--seed", "5"]
    assert cli.main(["diagnose", "model.keras", *arguments]) == 0
    np.testing.assert_array_equal(seen["x"], X[[0, 19, 39]])
    np.testing.assert_array_equal(seen["validation"], X[[0, 19, 39]])
    assert seen["labels"] is None and seen["seed"] == 5  # the model takes no labels
    assert capsys.readouterr().out == "Nothing found in 3 examples.\n"
    assert cli.main(["diagnose", "model.keras", "--data", "x.npy"]) == 0
    assert capsys.readouterr().out == "Nothing found in 40 examples. Over-fitting needs --validation.\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["nowhere.keras", "--data", "x.npy"],
            "Expected a .keras file of a model of the zoo.",
        ),
        (
            ["model.keras", "--data", "nowhere.npy"],
            "Expected --data to be a .npy or .npz file. Received: nowhere.npy",
        ),
        (["model.keras", "--data", "other.npz"], "Expected an array named images in other.npz. Received: y, z"),
        (["model.keras", "--data", "x.npy", "--examples", "0"], "Expected `--examples` to be an integer >= 1"),
        (
            ["model.keras", "--data", "x.npy", "--binarize"],
            "Expected `--data` to be a dataset or a folder, as --bin",
        ),
        (
            ["model.keras", "--data", "x.npy", "--json", "no/a.json"],
            "Expected `--json` to be a file in a folder that",
        ),
        (["model.keras", "--data", "no/"], "Expected `--data` to be a dataset, a folder of pictures, or a .npy"),
        (
            ["model.keras", "--data", "pictures", "--sample"],
            "Expected --data to be a dataset, as --sample is given. Received: pictures",
        ),
        (
            ["model.keras", "--data", "mnist", "--sample", "--data-dir", "x"],
            "Expected no --data-dir, as --sample takes the bundled images. Received: x",
        ),
        (["model.keras", "--data", "cats", "--sample"], "There is no bundled sample of 'cats'"),
        (["no_such_preset", "--data", "x.npy"], "Expected the name of a preset. Received: 'no_such_preset'"),
    ],
)
def test_wrong_input_is_one_line_and_status_2(folder, capsys, arguments, message):
    assert cli.main(["diagnose", *arguments]) == 2
    printed = capsys.readouterr()
    assert printed.out == "" and printed.err.count("\n") == 1
    assert printed.err.startswith(f"vae-zoo diagnose: {message}")


def test_pictures_are_converted_to_the_channels_of_the_model(folder, capsys):
    assert cli.main(["diagnose", "model.keras", "--data", "pictures"]) == 0
    assert "shape" not in capsys.readouterr().err


def test_a_small_validation_part_leaves_over_fitting_out(folder, capsys, monkeypatch):
    monkeypatch.setattr("zoo.evaluation.diagnose", lambda model, x, validation, *others: [])
    assert cli.main(["diagnose", "model.keras", "--data", "pictures"]) == 0
    out = capsys.readouterr().out
    assert "Over-fitting needs 20 validation examples, of which there are" in out
