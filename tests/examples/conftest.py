"""The models that the examples are tried on: those of saved_models, or of the folder that ZOO_SAVED_MODELS names."""

import importlib.util
import os
import pathlib

import exported
import pytest

FOLDER = pathlib.Path(os.environ.get("ZOO_SAVED_MODELS", exported.ROOT / "saved_models")).resolve()
VERSIONS = sorted(path.parent for path in FOLDER.glob("*/1/saved_model.pb"))
TFLITE_FILES = sorted(FOLDER.glob("*/model_int8.tflite"))


def present(path):
    """Nothing to test is a failure and no reason to skip: examples for models that are not there help nobody."""
    if path is None:
        pytest.fail(f"No exported model in {FOLDER}")
    return path


def params(quick=lambda name: True):
    """The version folders as parameters; those of models whose names are not `quick` are for the slow tests."""
    marks = {path: () if quick(path.parent.name) else pytest.mark.slow for path in VERSIONS}
    return [pytest.param(path, marks=marks[path], id=path.parent.name) for path in VERSIONS] or [None]


# TensorFlow takes long to load those with layers of latents; tests/export loads a small one without zoo.
@pytest.fixture(params=params(lambda name: name not in ("cifar10_hvae", "mnist_hvae")))
def version_folder(request):
    return present(request.param)


# A process that imports TensorFlow for each model: of what is imported nothing depends on the model.
@pytest.fixture(params=params(lambda name: name == "mnist_cvae"))
def version_of_each_kind(request):
    return present(request.param)


@pytest.fixture(params=TFLITE_FILES or [None], ids=lambda path: path and path.parent.name)
def tflite_file(request):
    return present(request.param)


@pytest.fixture
def load_example(monkeypatch):
    """Function that gives a script of examples/ as a module, which finds what lies beside it."""

    def load(path):
        monkeypatch.syspath_prepend(exported.EXAMPLES)
        spec = importlib.util.spec_from_file_location(f"example_{path.stem}", path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return load
