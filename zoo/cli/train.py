"""Trains a model by a recipe, with the recipe's own flags.

python -m zoo train mnist_cvae --epochs 5
python -m zoo train image_folder_vqvae --images pictures/
python -m zoo train mnist_cvae --help

Recipes are scripts of the source checkout, in recipes/, and are looked for there and in the working directory. The same
command resumes a run that was stopped.
"""

import argparse
import contextlib
import difflib
import pathlib
import sys

from zoo.cli import _output


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("recipe", metavar="RECIPE", help="the name of a recipe, such as mnist_cvae")
    parser.add_argument("flags", nargs=argparse.REMAINDER, metavar="…", help="its flags; RECIPE --help explains them")


def run(args: argparse.Namespace) -> None:
    import runpy
    from unittest import mock

    path = _find(args.recipe)
    help_is_asked = {"-h", "--help"} & set(args.flags)
    with (
        mock.patch.object(sys, "argv", [str(path), *args.flags]),  # as the card of the model records the command
        mock.patch.object(sys, "path", [str(path.parent), *sys.path]),
        contextlib.nullcontext() if help_is_asked else contextlib.redirect_stdout(sys.stderr),
    ):
        results = runpy.run_path(str(path), run_name=path.stem)["main"](args.flags)
    flags = results.get("flags", {}) if isinstance(results, dict) else {}
    written = [pathlib.Path(flags["output"])] if "output" in flags else []
    _output.report("train", written, recipe=path.stem)


def _find(name):
    folders = [pathlib.Path(__file__).parents[2] / "recipes", pathlib.Path("recipes")]
    recipes = {path.stem: path for folder in folders for path in sorted(folder.glob("*.py")) if path.stem[0] != "_"}
    if not recipes:
        raise ValueError(
            "Expected a folder recipes/ beside the package or in the working directory. Received: none. Recipes come "
            "with the source: git clone the repository, and run pip install -e . in it"
        )
    name = name.removesuffix(".py").removeprefix("recipes/")
    if name in recipes:
        return recipes[name]
    near = difflib.get_close_matches(name, recipes, 1, 0.5)
    hint = f"Did you mean {near[0]!r}? " if near else ""
    raise ValueError(f"Expected the name of a recipe. Received: {name!r}. {hint}There are {', '.join(recipes)}.")
