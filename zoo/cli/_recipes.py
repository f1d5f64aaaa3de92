"""Recipes by name: scripts of the source checkout, in recipes/ there or in the working directory."""

import contextlib
import difflib
import pathlib
import sys
from collections.abc import Iterator, Sequence
from typing import Any


def find(name: str) -> pathlib.Path:
    """The script of a recipe.

    Raises:
        ValueError: for an unknown name, with those that exist.
    """
    recipes = everyone()
    name = name.removesuffix(".py").removeprefix("recipes/")
    if name in recipes:
        return recipes[name]
    near = difflib.get_close_matches(name, recipes, 1, 0.5)
    hint = f"Did you mean {near[0]!r}? " if near else ""
    raise ValueError(f"Expected the name of a recipe. Received: {name!r}. {hint}There are {', '.join(recipes)}.")


def everyone() -> dict[str, pathlib.Path]:
    """The scripts of all recipes by their names; raises ValueError if there are none."""
    folders = [pathlib.Path(__file__).parents[2] / "recipes", pathlib.Path("recipes")]
    recipes = {path.stem: path for folder in folders for path in sorted(folder.glob("*.py")) if path.stem[0] != "_"}
    if not recipes:
        raise ValueError(
            "Expected a folder recipes/ beside the package or in the working directory. Received: none. Recipes come "
            "with the source: git clone the repository, and run pip install -e . in it"
        )
    return recipes


@contextlib.contextmanager
def loaded(path: pathlib.Path, flags: Sequence[str] = ()) -> Iterator[Any]:
    """A context that gives the `main` of a script, as if it were the program, with these flags."""
    import runpy
    from unittest import mock

    from zoo.runtime import startup

    with startup.quiet():
        import keras  # noqa: F401  (first here, as a script imports it without hiding TensorFlow's log lines)
    with (
        mock.patch.object(sys, "argv", [str(path), *flags]),  # as the card of the model records the command
        mock.patch.object(sys, "path", [str(path.parent), *sys.path]),
    ):
        yield runpy.run_path(str(path), run_name=path.stem)["main"]
