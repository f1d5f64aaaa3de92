"""A recipe small enough to be run many times over."""

import importlib.util
import pathlib
from unittest import mock

import keras
import pytest

import zoo
from zoo import callbacks, networks, training
from zoo.training import prior_stage, report

RECIPES = pathlib.Path(__file__).parents[2] / "recipes"


def build_tiny(flags, image_shape, seed):
    encoder = networks.mlp_encoder(image_shape, latent_dim=2, hidden=(16,))
    decoder = networks.mlp_decoder(image_shape, latent_dim=2, hidden=(16,))
    return zoo.VAE(encoder, decoder, "bernoulli", seed=seed)


def warmup(flags, total_steps):
    """A schedule, as its place is part of what a run that goes on must find again."""
    return [callbacks.KLWarmup(steps=total_steps)]


class At(keras.callbacks.Callback):
    """Does `action(model)` after the given training step."""

    def __init__(self, step, action):
        super().__init__()
        self._step, self._action = step, action

    def on_train_batch_end(self, batch, logs=None):
        if int(self.model.optimizer.iterations) == self._step:
            self._action(self.model)


@pytest.fixture(scope="module", autouse=True)
def _samples(samples_read_once):
    """Most tests here are runs on one of the samples."""


@pytest.fixture
def pictures():
    """For tests that look at the pictures of their own runs."""


@pytest.fixture(autouse=True)
def _no_pictures(request, monkeypatch):
    """Drawing takes a quarter of a run: only those do it that a module shares, and those of tests with `pictures`."""
    if "pictures" not in request.fixturenames:
        for module in (report, prior_stage):
            monkeypatch.setattr(module, "pictures", mock.Mock())


@pytest.fixture(scope="session")
def tiny():
    """Function that gives a recipe: a VAE with 2 latents on the bundled MNIST, 2 steps in one call of the graph."""

    def make(**changes):
        settings = {"dataset": "mnist", "batch_size": 100, "binarization": "dynamic", "steps_per_execution": 2}
        settings |= {"callbacks": warmup, "image_shape": (28, 28, 1), "build": build_tiny}
        return training.Recipe(name="tiny", description="A tiny recipe.", **settings | changes)

    return make


@pytest.fixture(scope="session")
def train(tiny):
    """Function that runs the tiny recipe for 2 epochs of 6 steps, unless told otherwise."""

    def run_tiny(output, *argv, **changes):
        shared = ["--sample", "--epochs", "2", "--steps-per-epoch", "6", "--no-export", "--parts", "1"]
        argv = [*shared, "--output", str(output), *argv]
        return training.main(tiny(**changes), argv)

    return run_tiny


@pytest.fixture(scope="session")
def at():
    """Function of (step, action) that gives the `callbacks` of a recipe in which `action(model)` follows that step."""
    return lambda step, action: lambda flags, total_steps: [*warmup(flags, total_steps), At(step, action)]


@pytest.fixture(scope="session")
def recipe_module():
    """Function that loads a script of recipes/ by its name."""

    def load(name):
        spec = importlib.util.spec_from_file_location(name, RECIPES / f"{name}.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return load
