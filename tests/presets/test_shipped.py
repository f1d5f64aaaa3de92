"""The presets that come with the package: whole, small enough, and as good as their cards say."""

import json
import math
import os
import pathlib
import shlex

import numpy as np
import pytest

import zoo
from zoo import cli
from zoo.export import runtimes
from zoo.presets import manifest, names
from zoo.runtime import shipped

NAMES = list(zoo.list_presets())
MIB = 2**20


def evaluated(capsys, *argv):
    """The figures of `python -m zoo evaluate`, by name."""
    assert cli.main(["evaluate", *argv]) == 0
    return {figure["name"]: figure for figure in json.loads(capsys.readouterr().out)["figures"]}


def of_card(name):
    return {figure["name"]: figure for figure in manifest.read_card(names.find(name)).get("results", ())}


def assert_agree(found, expected):
    """Within four standard errors of the difference: two samples of the same images' distribution."""
    error = math.hypot(found["error"] or 0.0, expected["error"] or 0.0)
    assert abs(found["value"] - expected["value"]) <= 4.0 * error, (found, expected)


def test_the_presets_that_are_promised():
    assert {"mnist_vae", "mnist_cvae", "mnist_vqvae", "cifar10_vqvae", "sprites_tc_vae"} | {
        "mnist_hvae",
        "cifar10_hvae",
        "fashion_mnist_beta_vae",
    } <= {*NAMES}


@pytest.mark.parametrize("name", NAMES)
def test_files_are_whole_and_small(name):
    folder = names.find(name)
    about = manifest.read(folder)
    manifest.check(folder, about)
    assert {"1/saved_model.pb", "card.json", "README.md"} <= {*about.files}
    assert "mixed_" not in (folder / about.config).read_text()  # float32, as the exports
    assert ("model_int8.tflite" in about.files) != bool(manifest.read_card(folder).get("without_int8"))
    assert max(file["bytes"] for file in about.files.values()) <= 24 * MIB


@pytest.mark.parametrize("make", ["SavedModel", "LiteRT"])
def test_exports_answer_rows_that_the_model_refuses_with_nan(make):
    folder = names.find("mnist_cvae")
    file = {"SavedModel": "1", "LiteRT": "model_int8.tflite"}[make]
    seeds, labels = np.array([7], np.int32), [np.array([label], np.int32) for label in (3, 12)]
    runtime = getattr(runtimes, make)(folder / file)
    right, wrong = (
        runtime.run("sample", seed=seeds, temperature=np.ones(1, np.float32), labels=each)["image"] for each in labels
    )
    assert np.isfinite(right).all() and np.isnan(wrong).all()


def test_all_together_are_small_enough():
    assert sum(path.stat().st_size for path in shipped.folder().rglob("*") if path.is_file()) <= 64 * MIB


def test_the_table_of_results_is_up_to_date():
    from zoo.presets import results

    written = (shipped.folder() / results.NAME).read_text().splitlines()
    assert len(written) == 1 + len(results.rows(shipped.folder()))


# mnist_hvae is of its kind.
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) if name == "cifar10_hvae" else name for name in NAMES]
)
def test_a_figure_of_the_card_computed_again(name, capsys):
    """On the bundled test images, which are the first of the official test split."""
    card = of_card(name)
    data = ["--data", "sprites"] if "sprites" in name else ["--sample"]
    found = evaluated(capsys, name, *data, "--metrics", "likelihood", "--limit", "100", "--num-samples", "1")
    shared = [figure for figure in ("elbo", "code_cross_entropy") if figure in card]
    assert shared
    for figure in shared:
        assert_agree(found[figure], card[figure])


@pytest.mark.data
@pytest.mark.parametrize("name", NAMES)
def test_all_figures_of_the_card_computed_again(name, capsys):
    """By the command that the card records, without writing the card."""
    command = manifest.read_card(names.find(name))["evaluation"]["command"]
    argv = shlex.split(command)[4:]  # behind "python -m zoo evaluate"
    argv = [each for each in argv if each != "--update-card"]
    found = evaluated(capsys, *argv, "--data-dir", os.environ["TFDS_DATA_DIR"])
    for figure, expected in of_card(name).items():
        assert_agree(found[figure], expected)


def test_the_wheel_has_the_presets():
    """`package_data` follows the link zoo/saved_models, which the wheel then has as a folder."""
    assert pathlib.Path(zoo.__file__).parent.joinpath("saved_models", "mnist_cvae", "preset.json").is_file()
