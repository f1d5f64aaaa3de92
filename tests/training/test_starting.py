"""Runs that begin with the weights of a trained model: `--start`."""

import zipfile

import keras
import numpy as np
import pytest
from keras import layers

import zoo
from zoo import networks
from zoo.training import starting

SHAPE = (28, 28, 1)
fill = keras.initializers.Constant


@pytest.fixture(scope="module", autouse=True)
def _samples(few_samples):
    """In place of the one in conftest.py."""


def vae(latent_dim=2, hidden=16, seed=1, kind=zoo.VAE):
    encoder = networks.mlp_encoder(SHAPE, latent_dim, (hidden,))
    return kind(encoder, networks.mlp_decoder(SHAPE, latent_dim, (hidden,)), "bernoulli", seed=seed)


def assert_same(model, other):
    assert len(model.trainable_weights) == len(other.trainable_weights) == 8
    for own, its in zip(model.trainable_weights, other.trainable_weights):
        np.testing.assert_allclose(own, its, rtol=0, atol=1e-6)


@pytest.mark.parametrize("form", ["file", pytest.param("folder", marks=pytest.mark.long)])
def test_a_run_begins_with_the_weights_of_a_file_or_a_preset(train, tmp_path, form):
    trained, output = vae(), tmp_path / "run"
    if form == "file":
        start = tmp_path / "trained.keras"
        trained.save(start)
    else:
        start = tmp_path / "trained"
        zoo.save_preset(trained, start, description="A run.")
    # Steps so small that they change nothing.
    argv = ["--start", str(start), "--epochs", "1", "--steps-per-epoch", "2", "--learning-rate", "1e-12"]
    train(output, *argv)
    assert_same(keras.saving.load_model(output / "model.keras", compile=False), trained)
    with pytest.raises(SystemExit) as caught:
        train(output, *argv[2:])
    assert caught.value.code == 1  # without --start it is another run


def vq_vae(scale):
    encoder = keras.Sequential([layers.Input((3, 3, 1)), layers.Conv2D(2, 1, bias_initializer=fill(scale))])
    decoder = keras.Sequential([layers.Input((3, 3, 2)), layers.Conv2D(1, 1, bias_initializer=fill(scale))])
    quantizer = zoo.quantizers.VectorQuantizer(5, 2, initialization="uniform", revival=0.0, seed=int(scale))
    return zoo.VQVAE(encoder, decoder, quantizer, "gaussian")


def test_a_prior_over_codes_stays_behind(tmp_path):
    trained, model = vq_vae(1.0), vq_vae(2.0)
    trained.prior = zoo.priors.Transformer(5, (3, 3), width=8, depth=1, heads=1)
    trained.save(tmp_path / "trained.keras")
    starting.begin_with(model, str(tmp_path / "trained.keras"))
    x = np.linspace(0, 1, 18, dtype=np.float32).reshape(2, 3, 3, 1)
    np.testing.assert_array_equal(model.reconstruct(x), trained.reconstruct(x))
    assert model.prior is None


@pytest.mark.parametrize(
    "start, expected",
    [
        ("mnist_va", "mnist_vae"),
        ("missing.keras", "missing.keras, no such file"),
        ("damaged.keras", "--start: .*damaged.keras, a file that Keras did not write, or a damaged one"),
        ("archive.keras", "--start: .*archive.keras, "),
        ("foreign.keras", "foreign.keras, a Sequential, which is no model of the zoo"),
        ("beta.keras", "Expected `--start` to be a VAE, as the recipe trains.*a BetaVAE"),
        ("wide.keras", r"the shape \(784, 16\), as these flags make it.*where it has \(784, 8\)"),
        ("deep.keras", "a model of 10 weights, as these flags make it.*of 14"),
    ],
)
def test_other_models_are_refused(tmp_path, monkeypatch, start, expected):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "damaged.keras").write_bytes(b"cut short")
    with zipfile.ZipFile("archive.keras", "w") as archive:
        archive.writestr("read.me", "nothing")
    keras.Sequential([keras.Input((2,)), layers.Dense(1)]).save("foreign.keras")
    if start == "beta.keras":
        vae(kind=zoo.BetaVAE).save(start)
    if start == "wide.keras":
        vae(hidden=8).save(start)
    if start == "deep.keras":
        zoo.VAE(networks.mlp_encoder(SHAPE, 2, (16, 4)), networks.mlp_decoder(SHAPE, 2, (4, 16))).save(start)
    model = vae()
    before = model.get_weights()
    with pytest.raises(ValueError, match=expected):
        starting.begin_with(model, start)
    for own, its in zip(model.get_weights(), before):
        np.testing.assert_array_equal(own, its)


def test_a_wrong_start_is_a_usage_error_before_any_data_is_read(train, tmp_path, capsys):
    with pytest.raises(SystemExit) as caught:
        train(tmp_path / "run", "--start", "no_such_preset")
    assert caught.value.code == 2 and "no_such_preset" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
