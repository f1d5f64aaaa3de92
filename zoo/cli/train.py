"""Trains a model by a recipe, with the recipe's own flags.

python -m zoo train mnist_cvae --epochs 5
python -m zoo train image_folder_vqvae --images pictures/
python -m zoo train mnist_cvae --help

Recipes are scripts of the source checkout, in recipes/, and are looked for there and in the working directory. The same
command resumes a run that was stopped.
"""

import argparse
import contextlib
import pathlib
import sys

from zoo.cli import _output, _recipes


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("recipe", metavar="RECIPE", help="the name of a recipe, such as mnist_cvae")
    parser.add_argument("flags", nargs=argparse.REMAINDER, metavar="…", help="its flags; RECIPE --help explains them")


def run(args: argparse.Namespace) -> None:
    path = _recipes.find(args.recipe)
    help_is_asked = {"-h", "--help"} & set(args.flags)
    with (
        _recipes.loaded(path, args.flags) as main,
        contextlib.nullcontext() if help_is_asked else contextlib.redirect_stdout(sys.stderr),
    ):
        results = main(args.flags)
    flags = results.get("flags", {}) if isinstance(results, dict) else {}
    written = [pathlib.Path(flags["output"])] if "output" in flags else []
    _output.report("train", written, recipe=path.stem)
