"""examples/quickstart.ipynb runs from the first cell to the last, in one process without Jupyter."""

import ast
import json

import exported
import numpy as np
import pytest

NOTEBOOK = json.loads((exported.EXAMPLES / "quickstart.ipynb").read_text())
CELLS = ["".join(cell["source"]) for cell in NOTEBOOK["cells"]]


def run(cell, namespace):
    """Runs a cell; gives the value of its last statement if that is an expression, as Jupyter shows it."""
    tree = ast.parse(cell)
    last = ast.Expression(tree.body.pop().value) if isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, "quickstart.ipynb", "exec"), namespace)
    return eval(compile(last, "quickstart.ipynb", "eval"), namespace) if last else None


def test_it_has_ten_cells_of_code_without_outputs():
    assert len(CELLS) == 10 and "%pip install" in CELLS[0]
    for cell in NOTEBOOK["cells"]:
        assert cell["cell_type"] == "code" and cell["outputs"] == [] and cell["execution_count"] is None


@pytest.fixture(scope="module")
def values(tmp_path_factory):
    """What the cells after the installation show, and the names that they leave."""
    namespace = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("quickstart"))
        shown = [run(cell, namespace) for cell in CELLS[1:]]
        folder_is_there = namespace["saved_model"].joinpath("saved_model.pb").is_file()
    return {**namespace, "shown": shown, "folder_is_there": folder_is_there}


def test_training_improves_the_model(values):
    elbo = values["history"].history["elbo"]
    assert len(elbo) == 2 and elbo[1] > elbo[0]


def test_the_pictures_hold_sixteen_images(values):
    pictures = [value for value in values["shown"] if hasattr(value, "size") and hasattr(value, "convert")]
    assert [picture.size for picture in pictures] == [(8 * 29 + 1, 2 * 29 + 1)] * 4


def test_digits_are_likelier_than_noise(values):
    log_prob = np.asarray(values["shown"][5])
    assert log_prob.shape == (8,) and log_prob[:4].min() > log_prob[4:].max()


def test_the_exported_files_are_there_and_sample_as_keras_does(values):
    assert values["folder_is_there"]
    assert values["from_file"].shape == (1, 28, 28, 1)
    np.testing.assert_allclose(values["from_file"], values["from_keras"], atol=1e-5)
    assert np.ptp(values["from_file"]) > 0.1
