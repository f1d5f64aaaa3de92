"""The arithmetic of benchmarks/priors.py by hand, and a small run on the bundled sample."""

import math

import numpy as np
import pytest

import zoo

SMALL = ["--sample", "--epochs", "1", "--batch-size", "128", "--images", "6", "--num-samples", "2"]
SMALL += ["--units", "8", "--latent-dim", "3", "--components", "4", "--coupling-units", "4", "--couplings", "2"]
WEIGHTS = 784 * 8 + 8 + 8 * 8 + 8 + 8 * 6 + 6 + 3 * 8 + 8 + 8 * 8 + 8 + 8 * 784 + 784


@pytest.fixture(scope="module")
def priors(load_benchmark):
    return load_benchmark("priors")


def test_differences_are_image_by_image_to_the_first(priors):
    figures = {"parameters": 1234, "elbo": 12.0, "training_seconds": 7.4, "log_prob_seconds": 1.0}
    of_first, of_second = np.float64([10, 20, 30]), np.float64([9, 18, 30])
    rows = priors.table({"standard_normal": (figures, of_first), "flow": (figures, of_second)})
    error = math.sqrt((0 + 1 + 1) / 2) / math.sqrt(3)  # of 1, 2 and 0, whose mean is 1
    assert rows[2] == f"| standard_normal | 1,234 | 20.00 ± {10 / math.sqrt(3):.2f} |  | 12.00 | 7 |"
    assert rows[3].split("|")[4].strip() == f"1.00 ± {error:.2f}"


@pytest.mark.slow
def test_results_are_kept_and_not_made_again(priors, tmp_path, capsys, monkeypatch):
    path, names = tmp_path / "results.npz", ["standard_normal", "vamp"]
    arguments = [*SMALL, "--contenders", *names, "--save", str(path)]
    results = priors.main(arguments)
    for figures, log_prob in results.values():
        assert log_prob.shape == (6,) and np.isfinite(log_prob).all() and figures["elbo"] > 0
    assert results["standard_normal"][0]["parameters"] == WEIGHTS
    assert results["vamp"][0]["parameters"] == WEIGHTS + 4 * 784
    printed = capsys.readouterr().out
    assert all(f"| {name} |" in printed for name in names)
    monkeypatch.setattr(priors, "compete", lambda *_: pytest.fail("trained again"))
    again = priors.main(arguments)
    assert list(again) == names
    for name, (_, log_prob) in results.items():
        np.testing.assert_array_equal(again[name][1], log_prob)


@pytest.mark.slow
def test_every_contender_runs(priors):
    assert list(priors.main(SMALL)) == list(priors.CONTENDERS)


def test_the_bound_is_that_of_binarised_images(priors):
    flags = type("Flags", (), {"seed": 0, "num_samples": 3, "units": 8, "latent_dim": 2})
    images = zoo.data.load("mnist", sample=True).test.take(slice(4))
    model = priors.vae(flags)
    log_prob, elbo = priors.nats(model, images, flags)
    x = (zoo.data.binarize(images, 0).images / 255).astype(np.float32)
    assert set(np.unique(x)) == {0, 1}
    np.testing.assert_allclose(log_prob, -model.log_prob(x, 3, 0), rtol=1e-5)
    np.testing.assert_allclose(elbo, -model.log_prob(x, 1, 0), rtol=1e-5)
