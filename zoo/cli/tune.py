"""Recommends the weight of the KL and the number of latents for a recipe, from short runs on a slice of its data.

python -m zoo tune fashion_mnist_beta_vae --output tuned
python -m zoo tune mnist_cvae --sample --betas 0.5 1 2 --latents 4 8 16 --output tuned

Trains a model for each β and each number of latents, and writes to --output: results.csv, a row for each model, and
rate_distortion.png, the curve of rate (the KL) and distortion (the reconstruction, −log p(x|z)) of validation images.
Recommends the knee of the curve, and the smallest number of latents that holds the active ones. The weight β is the
recipe's --beta; of a recipe without that flag it is the kl_weight of its model, and β stays 1 in the recommendation.

Further flags are the recipe's. The same command goes on with a tune that was stopped; with more --betas or --latents it
trains only the models that are missing.
"""

import argparse
import contextlib
import sys
from typing import Any, NoReturn

from zoo.cli import _output, _recipes
from zoo.runtime import checks


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise ValueError(f"Expected options of tune or flags of the recipe. Received: {message}")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("recipe", metavar="RECIPE", help="the name of a recipe, such as mnist_cvae")
    _add_options(parser)
    parser.add_argument("flags", nargs=argparse.REMAINDER, metavar="…", help="these options, and flags of the recipe")


def _add_options(parser):
    parser.add_argument("--output", metavar="FOLDER", help="a new folder, or the one of an earlier tune")
    parser.add_argument("--betas", nargs="+", type=float, metavar="β", help="default: 0.5 1 2 4 8")
    parser.add_argument(
        "--latents", nargs="+", type=int, metavar="D", help="default: half, once and twice the recipe's default"
    )
    parser.add_argument("--epochs", type=int, help="of each model; default: 20")
    parser.add_argument("--slice", type=int, metavar="N", help="training images of each model; default: 4000")
    parser.add_argument("--fresh", action="store_true", help="start over")


def run(args: argparse.Namespace) -> None:
    path = _recipes.find(args.recipe)
    # All that follows RECIPE is in `flags`, as the flags of the recipe are not known here.
    parser = _Parser(argument_default=argparse.SUPPRESS, allow_abbrev=False, add_help=False)
    _add_options(parser)
    options, of_recipe = parser.parse_known_args(args.flags)
    options = argparse.Namespace(**{**vars(args), **vars(options)})
    if options.output is None:
        raise ValueError("Expected --output to be a folder. Received: none")
    folder = _output.place(options.output)
    if folder.exists() and not folder.is_dir():
        checks.fail("--output", "a folder", options.output)
    from zoo.runtime import startup

    with startup.quiet():
        from zoo.training import Recipe, pictures, tuning

    grid = _grid(options)
    with _recipes.loaded(path, of_recipe) as main, contextlib.redirect_stdout(sys.stderr):
        recipe = getattr(main, "recipe", None)
        if not isinstance(recipe, Recipe) or not tuning.is_tunable(recipe):
            tunable = ", ".join(_tunable(tuning.is_tunable))
            raise ValueError(f"Expected a recipe with the flag --latent-dim: {tunable}. Received: {path.stem}")
        folder.mkdir(parents=True, exist_ok=True)
        tuned = tuning.tune(recipe, of_recipe, grid, folder, options.fresh)
    picture = folder / "rate_distortion.png"
    chosen = tuned.recommendation.point
    pictures.plot_rate_distortion(picture, tuned.points, chosen)
    print(f"{path.stem}: {'; '.join(tuned.recommendation.reasons)}", file=sys.stderr)
    figures = {"beta": chosen.beta, "latents": chosen.latents, "flags": tuned.flags}
    _output.report("tune", [folder / "results.csv", picture], recipe=path.stem, **figures)


def _grid(options):
    """The grid of the options that are given."""
    from zoo.training.tuning import Grid

    given: dict[str, Any] = {"epochs": options.epochs, "images": options.slice}
    given |= {"betas": options.betas and tuple(options.betas), "latents": options.latents and tuple(options.latents)}
    return Grid(**{name: value for name, value in given.items() if value is not None})


def _tunable(is_tunable):
    """The names of the recipes that can be tuned."""
    for name, path in _recipes.everyone().items():
        with _recipes.loaded(path) as main:
            if hasattr(main, "recipe") and is_tunable(main.recipe):
                yield name
