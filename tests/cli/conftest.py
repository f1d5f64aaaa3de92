"""Small models of 8×8 grey images, saved as users save them, and a way to run commands."""

import json

import keras
import pytest

import zoo
from zoo import cli, networks

SHAPE = (8, 8, 1)


@pytest.fixture(scope="module")
def vae():
    keras.utils.set_random_seed(0)
    return zoo.VAE(networks.mlp_encoder(SHAPE, 2, (4,)), networks.mlp_decoder(SHAPE, 2, (4,)), seed=0)


@pytest.fixture(scope="module")
def cvae():
    keras.utils.set_random_seed(0)
    encoder, decoder = networks.mlp_encoder((8, 8, 11), 2, (4,)), networks.mlp_decoder(SHAPE, 12, (4,))
    return zoo.CVAE(encoder, decoder, num_classes=10, seed=0)


@pytest.fixture(scope="module")
def saved(vae, tmp_path_factory):
    """The path of the VAE as a .keras file."""
    path = tmp_path_factory.mktemp("models") / "vae.keras"
    vae.save(path)
    return path


@pytest.fixture
def run(folder, tmp_path, capsys, monkeypatch):
    """Function of a command line that gives its status, the JSON line that it prints, and its errors.

    A module that uses it has a fixture `folder`; `@name` is a file in it.
    """
    monkeypatch.chdir(tmp_path)

    def call(*words):
        status = cli.main([str(folder / word[1:]) if word.startswith("@") else word for word in words])
        printed = capsys.readouterr()
        return status, json.loads(printed.out) if printed.out else None, printed.err

    return call
