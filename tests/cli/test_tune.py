"""tune: its options and the recipe's flags, the picture, and what is refused with one line."""

import json

import pytest
from PIL import Image

from zoo import cli
from zoo.cli import _recipes
from zoo.evaluation import Point, recommend
from zoo.training import tuning

TUNABLE = """
import dataclasses

from zoo import training


@dataclasses.dataclass(frozen=True)
class Flags:
    latent_dim: int = training.flag(4)
    beta: float = training.flag(1.0)


main = training.script(__name__, __file__, "A recipe.", image_shape=(8, 8, 1), build=None, flags=Flags)
"""
OTHER = """
from zoo import training

main = training.script(__name__, __file__, "Another.", image_shape=(8, 8, 1), build=None)
"""
ROWS = [(0.5, 9.0, 30.0, 4), (1.0, 5.0, 32.0, 3), (4.0, 1.0, 50.0, 1)]


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Function of a command line that runs it in a folder with two recipes; gives the status, stdout and stderr."""
    (tmp_path / "recipes").mkdir()
    (tmp_path / "recipes" / "small_vae.py").write_text(TUNABLE)
    (tmp_path / "recipes" / "other.py").write_text(OTHER)
    monkeypatch.setattr(_recipes, "__file__", str(tmp_path / "zoo" / "cli" / "_recipes.py"))
    monkeypatch.chdir(tmp_path)

    def call(*words):
        capsys.readouterr()
        return cli.main(["tune", *map(str, words)]), *capsys.readouterr()

    return call


@pytest.fixture
def calls(monkeypatch):
    """The arguments of the search, which is replaced by one that has its results already."""
    seen = []

    def tune(recipe, flags, grid, folder, fresh):
        seen.append((recipe.name, flags, grid, folder, fresh))
        print("training")
        points = [Point(beta=b, latents=4, rate=r, distortion=d, active_units=a) for b, r, d, a in ROWS]
        return tuning.Tuned(points, recommend(points), "--beta 1 --latent-dim 4")

    monkeypatch.setattr(tuning, "tune", tune)
    return seen


@pytest.mark.parametrize("options_first", [True, False])
def test_its_options_may_stand_before_or_behind_the_recipe(run, calls, options_first, tmp_path):
    options = ["--betas", "0.5", "1", "4", "--slice", "30", "--output", "out"]
    words = [*options, "small_vae"] if options_first else ["small_vae", *options]
    status, out, err = run(*words, "--batch-size", "7", "--fresh")
    assert status == 0 and err.splitlines() == [
        "training",
        "small_vae: β = 1 is the knee of the curve of 4 latents; at β = 1, 3 of 4 latents are active; no other number "
        "tried that holds them is smaller or has a better ELBO",
    ]
    assert json.loads(out) == {
        "command": "tune",
        "output": ["out/results.csv", "out/rate_distortion.png"],
        "recipe": "small_vae",
        "beta": 1.0,
        "latents": 4,
        "flags": "--beta 1 --latent-dim 4",
    }
    name, flags, grid, folder, fresh = calls[0]
    assert (name, flags, str(folder), fresh) == ("small_vae", ["--batch-size", "7"], "out", True)
    assert grid == tuning.Grid(betas=(0.5, 1.0, 4.0), images=30)
    assert Image.open(tmp_path / "out" / "rate_distortion.png").size == (1210, 550)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("smal_vae", "--output", "out"), "Expected the name of a recipe. Received: 'smal_vae'. Did you mean"),
        (("other", "--output", "out"), "Expected a recipe with the flag --latent-dim: small_vae. Received: other"),
        (("small_vae",), "Expected --output to be a folder. Received: none"),
        (("small_vae", "--output", "out", "--betas", "much"), "argument --betas: invalid float value: 'much'"),
        (("small_vae", "--output", "out", "--betas", "-1"), "Expected `--betas` to be a finite number > 0"),
        (("small_vae", "--output", "out", "--beta", "3"), "Expected `--beta` to be left to the grid"),
    ],
)
def test_it_refuses_with_one_line_and_status_2(run, words, message):
    status, out, err = run(*words)
    assert (status, out) == (2, "") and err.startswith("vae-zoo tune: ")
    assert message in err and err.count("\n") == 1
