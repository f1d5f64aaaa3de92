"""Imports the scripts in recipes/, which are no package."""

import importlib.util
import pathlib
import types

FOLDER = pathlib.Path(__file__).parents[2] / "recipes"


def load(name: str) -> types.ModuleType:
    """The module of a script, by its name without the ending."""
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
