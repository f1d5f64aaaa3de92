"""`python -m zoo evaluate` on a small model: the line of JSON, the files, the card, and what is refused."""

import json

import numpy as np
import pytest

from zoo import cli, presets
from zoo.cli import _models, evaluate
from zoo.evaluation import METRICS, features
from zoo.presets import manifest, results
from zoo.runtime import shipped


def pixels(number, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (number, 8, 8, 1), dtype=np.uint8)


@pytest.fixture
def data(tmp_path, monkeypatch):
    """Array files in the working directory."""
    monkeypatch.chdir(tmp_path)
    np.savez("test.npz", images=pixels(12), labels=np.arange(12) % 2)
    np.savez("train.npz", images=pixels(20, 1), labels=np.arange(20) % 2)
    np.save("floats.npy", np.float32(pixels(3) / 255.0))
    (tmp_path / "text.png").write_text("no picture")


def run(capsys, *argv):
    """The exit status, the line of JSON, and the lines of standard error."""
    status = cli.main(["evaluate", *map(str, argv)])
    said = capsys.readouterr()
    return status, [json.loads(line) for line in said.out.splitlines()], said.err.splitlines()


def test_figures_as_table_json_and_page(saved, data, capsys, tmp_path):
    arguments = ["--data", "test.npz", "--training-data", "train.npz", "--num-samples", 3, "--limit", 10]
    status, (found,), said = run(capsys, saved, *arguments, "--json", "out.json", "--html", "out.html")
    assert status == 0 and json.loads((tmp_path / "out.json").read_text()) == found
    page = (tmp_path / "out.html").read_text()
    for figure in found["figures"]:
        assert figure["num_examples"] == 10 and figure["name"] in page
        assert any(line.startswith(f"{figure['name']} ") for line in said)
    metrics = {figure["metric"] for figure in found["figures"]}
    assert metrics == {"likelihood", "reconstruction", "representation", "criticism"}
    assert "no feature network" in found["left_out"]["samples"]
    assert found["about"]["training"].startswith("20 ")  # the limit is of the data that are measured
    assert found["about"]["command"] == (
        f"python -m zoo evaluate {saved} --data test.npz --limit 10 --training-data train.npz --num-samples 3 --seed 0"
    )
    assert sum("--binarize" in line for line in said) == 1  # the pixels are grey


def test_binary_images_for_a_binary_model(saved, data, capsys):
    arguments = ["--data", "test.npz", "--metrics", "likelihood", "--num-samples", 1]
    elbos = []
    for binary in ([], ["--binarize"], ["--binarize", "--seed", 1], ["--binarize"]):
        status, (found,), said = run(capsys, saved, *arguments, *binary)
        assert status == 0 and any("--binarize" in line for line in said) == (not binary)
        assert ("binarised" in found["about"]["test"]) == bool(binary)
        elbos.append(next(figure["value"] for figure in found["figures"] if figure["name"] == "elbo"))
    assert len(set(elbos)) == 3 and elbos[1] == elbos[3]


def test_the_classifier_of_the_dataset_judges(monkeypatch, data):
    monkeypatch.setattr(features, "load", lambda name: name)
    arguments = {"model": "m", "judge": None, "data": ["fashion_mnist"]}
    parser = cli.argparse.Namespace
    assert evaluate._judge(parser(**arguments)) == "fashion_mnist_classifier"
    assert evaluate._judge(parser(**arguments | {"data": ["svhn_cropped"]})) is None
    assert evaluate._judge(parser(**arguments | {"judge": "mnist_classifier"})) == "mnist_classifier"
    assert evaluate._judge(parser(**arguments | {"data": ["test.npz"]})) is None


@pytest.mark.parametrize(
    "argv, reason",
    [
        (["--data", "text.png"], "no picture of a format that Pillow can read"),
        (["--data", "missing.npy"], "missing.npy, no such file"),
        ([], "no card that names a dataset"),
        (["--data", "floats.npy", "--binarize"], "Expected images of uint8, as they are to be binarised"),
        (["--data", "test.npz", "--num-samples", "0"], "Expected --num-samples to be an integer >= 1. Received: 0"),
        (["--data", "test.npz", "--seed", "-1"], "Expected `--seed` to be an integer >= 0"),
        (["--data", "test.npz", "--html", "nowhere/a.html"], "Received: --html='nowhere/a.html'"),
        (["--data", "test.npz", "--json", "."], "Expected `--json` to be a file in a folder that exists"),
        (["--data", "test.npz", "--update-card"], "Expected MODEL to be a preset, as --update-card is given"),
    ],
)
def test_wrong_input_is_one_line(saved, data, capsys, tmp_path, argv, reason):
    before = sorted(tmp_path.iterdir())
    options = [] if "--html" in argv or "--json" in argv else ["--json", "out.json", "--html", "out.html"]
    status, found, said = run(capsys, saved, *argv, *options)
    assert status == 2 and not found and len(said) == 1 and reason in said[0]
    assert sorted(tmp_path.iterdir()) == before


def a_preset(folder, card):
    """A folder with the card and the manifest of a preset."""
    folder.mkdir(parents=True)
    (folder / "card.json").write_text(json.dumps(card))
    about = manifest.Manifest("VAE", "config.json", "1/variables", [], "rest.npz", {}, {})
    (folder / "preset.json").write_text(json.dumps(vars(about)))


def test_update_card(saved, vae, data, capsys, monkeypatch, tmp_path):
    old = {"name": "elbo", "value": -9.0, "split": "given"}
    other = {"name": "elbo", "value": -5.0, "split": "validation"}
    card = {"name": "tiny", "description": "A VAE", "license": "MIT", "model": "VAE", "results": [old, other]}
    a_preset(tmp_path / "presets" / "tiny", {**card, "published": {"elbo": "-7 nats (Somebody 2020)"}})
    monkeypatch.setattr(_models, "load", lambda address: vae)  # the preset has no weights
    monkeypatch.setattr(shipped, "FOLDER", tmp_path / "presets")
    folder = tmp_path / "presets" / "tiny"
    arguments = ["--data", "test.npz", "--metrics", "likelihood", "--num-samples", 1, "--update-card"]
    status, (found,), _ = run(capsys, folder, *arguments)
    written = manifest.read_card(folder)
    assert status == 0 and written["evaluation"]["command"] == found["about"]["command"]
    measured = [{name: value for name, value in each.items() if name != "metric"} for each in found["figures"]]
    assert written["results"] == [measured[0], other, *measured[1:]]  # the old figure of this split is replaced
    assert "| elbo | -5 | validation |" in (folder / "README.md").read_text()
    manifest.check(folder, manifest.read(folder))
    rows = results.rows(tmp_path / "presets")
    assert [row["name"] for row in rows] == [each["name"] for each in written["results"]]
    assert rows[0]["preset"] == "tiny" and rows[0]["published"] == "-7 nats (Somebody 2020)"
    lines = (tmp_path / "presets" / "results.csv").read_text().splitlines()
    assert len(lines) == 1 + len(rows) and lines[0].startswith("preset,name,value,error,")


def test_results_of_no_presets(tmp_path):
    assert results.write(tmp_path) is None and not list(tmp_path.iterdir())


def test_the_command_knows_all_metrics_and_judges():
    assert evaluate.METRICS == METRICS and presets.results is results
    assert (*features.CLASSIFIERS, features.INCEPTION) == evaluate.JUDGES
