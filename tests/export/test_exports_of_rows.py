"""Models of data that is no image: `[B,D]` and `[B,T,K]` whole, by every method and in exports; and sampled data."""

import keras
import numpy as np
import pytest

import zoo
from zoo import export, networks
from zoo.export import runtimes
from zoo.likelihoods import Categorical, GaussianColumns, Masked, Mixed, NegativeBinomial, Ordinal, Poisson

NUMBER = 24


def rows(number=NUMBER, seed=0):
    """Two numbers, two ordered levels, a class of three, and two counts: float32 `[N,9]`."""
    draw = np.random.default_rng(seed)
    size = draw.normal(size=(number, 1))
    levels = np.stack([draw.integers(0, 4, number) / 3, draw.integers(0, 2, number)], axis=1)
    classes = np.eye(3)[draw.integers(0, 3, number)]
    counts = np.concatenate([draw.poisson(3.0, (number, 1)), draw.poisson(np.exp(3 + size / 2))], axis=1)
    numbers = np.concatenate([size, draw.normal(size=(number, 1))], axis=1)
    return np.concatenate([numbers, levels, classes, counts], axis=1).astype(np.float32)


def likelihood():
    parts = [GaussianColumns(2), Ordinal((4, 2)), Categorical(), Poisson(), NegativeBinomial()]
    return Mixed(parts, channels=(2, 2, 3, 1, 1))


def of_rows(masked=False):
    judge = likelihood()
    judge, width = (Masked(judge), 18) if masked else (judge, 9)
    encoder = networks.mlp_encoder((width,), 3, hidden=(16,))
    decoder = networks.mlp_decoder((judge.params_size(width),), 3, hidden=(16,))
    return zoo.VAE(encoder, decoder, judge, seed=3)


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    made = of_rows()
    made.compile(keras.optimizers.Adam(3e-3))
    made.fit(rows(), epochs=3, batch_size=8, verbose=0)
    return made


def test_rows_go_through_every_method(model, tmp_path):
    x = rows(5)
    encoded = model.encode(x)
    assert encoded["mean"].shape == (5, 3)
    np.testing.assert_allclose(model.decode(encoded["mean"]), model.reconstruct(x), atol=1e-5)
    np.testing.assert_allclose(model.decode_embedding(model.embed(x)), model(x), atol=1e-5)
    assert model.sample(4, seed=0).shape == (4, 9) and model.log_prob(x, 2).shape == (5,)
    assert np.isfinite(model.evaluate(x, verbose=0, return_dict=True)["elbo"])
    model.save(tmp_path / "rows.keras")
    again = keras.models.load_model(tmp_path / "rows.keras")
    np.testing.assert_array_equal(again.log_prob(x), model.log_prob(x))
    with pytest.raises(ValueError, match=r"Expected `x` to have the shape \[B, 9\]. Received: shape \(5, 8\)"):
        model.encode(x[:, 1:])


def test_observed_samples_are_data_and_means_are_not(model):
    x = model.sample(200, seed=1, observe=True).numpy()
    mean = model.sample(200, seed=1).numpy()
    assert np.all(np.isin(x[:, 4:7], (0, 1))) and np.all(x[:, 4:7].sum(axis=1) == 1)
    assert np.allclose(x[:, 2] * 3, np.round(x[:, 2] * 3), atol=1e-5) and np.all(np.isin(x[:, 3], (0, 1)))
    assert np.array_equal(x[:, 7:], np.round(x[:, 7:])) and x[:, 7:].min() >= 0
    noise = (x - mean)[:, :2]  # z is the same
    scale = np.exp(0.5 * model.likelihood.likelihoods[0].log_var.numpy())
    np.testing.assert_allclose(noise.std(axis=0), scale, rtol=0.2)
    seeds = zoo.random.row_seeds(1, 200).numpy()
    np.testing.assert_allclose(model.sample(1, seed=seeds[7:8], observe=True)[0], x[7], atol=1e-5)


@pytest.mark.parametrize(
    "name", ("rows", *(pytest.param(name, marks=pytest.mark.slow) for name in ("rows.tflite", "onnx")))
)
def test_exports_call_the_data_x_and_sample_the_same_data(model, name, tmp_path, capsys):
    format = "onnx" if name == "onnx" else None
    path = model.export(tmp_path / name, format=format, images=rows(8), observe=True)  # which compares the two
    runtime = {"rows": runtimes.SavedModel, "rows.tflite": runtimes.LiteRT, "onnx": runtimes.ONNX}[name](path)
    assert "sample_observed" in runtime.names
    seeds = zoo.random.row_seeds(5, 8).numpy()
    outputs = runtime.run("sample_observed", seed=seeds, temperature=np.ones(8, np.float32))
    assert set(outputs) == {"x"}
    wanted = model.sample(8, seed=5, observe=True).numpy()
    np.testing.assert_allclose(outputs["x"], wanted, rtol=1e-4, atol=1e-4)
    assert set(runtime.run("sample", seed=seeds, temperature=np.ones(8, np.float32))) == {"x", "z"}
    np.testing.assert_allclose(
        runtime.run("log_prob", x=rows(8), seed=seeds)["log_prob"], model.log_prob(rows(8), 1, seeds), rtol=1e-4
    )
    if name == "rows.tflite":
        return
    table = export.check(path, model)
    assert {row["signature"] for row in table} >= {"sample", "sample_observed"} and all(row["passed"] for row in table)


@pytest.mark.slow  # test_signatures.py holds the names of all other exports, which are without it
def test_without_observe_an_export_has_the_signatures_of_before(model, tmp_path):
    path = model.export(tmp_path / "rows")
    names = set(runtimes.SavedModel(path).names)
    assert names == {"serving_default", "reconstruct", "encode", "decode", "sample", "log_prob"}


def test_rows_with_missing_values_train_and_are_filled_in():
    model, x = of_rows(masked=True), rows()
    mask = np.ones_like(x)
    mask[::2, 0] = mask[1::2, 4:7] = 0
    model.compile("adam")
    history = model.fit(Masked.beside(x, mask), epochs=4, batch_size=8, verbose=0).history["loss"]
    assert np.isfinite(history).all() and history[-1] < history[0]
    filled = zoo.applications.impute(model, x, mask, num_samples=4)
    assert filled.shape == x.shape and np.array_equal(filled[mask > 0], x[mask > 0])
    np.testing.assert_allclose(filled[1::2, 4:7].sum(axis=1), 1.0, rtol=1e-5)  # probabilities


@pytest.mark.slow
def test_tokens_go_through_a_model_and_its_export(tmp_path):
    x = Categorical.one_hot(np.random.default_rng(0).integers(0, 5, (16, 6)), 5)
    encoder = networks.mlp_encoder((6, 5), 2, hidden=(8,))
    model = zoo.VAE(encoder, networks.mlp_decoder((6, 5), 2, hidden=(8,)), "categorical", seed=0)
    model.compile("adam")
    model.fit(x, verbose=0)
    path = model.export(tmp_path / "tokens.tflite", observe=True)
    seeds = zoo.random.row_seeds(2, 4).numpy()
    received = runtimes.LiteRT(path).run("sample_observed", seed=seeds, temperature=np.ones(4, np.float32))
    wanted = model.sample(4, seed=2, observe=True)
    np.testing.assert_array_equal(Categorical.classes(received["x"]), Categorical.classes(wanted))
    assert set(np.unique(received["x"])) == {0.0, 1.0}
