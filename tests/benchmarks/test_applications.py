"""The simple methods and measures of benchmarks/applications.py by hand, and a small run on the bundled sample."""

import json
import sys

import numpy as np
import pytest

from zoo import applications

SMALL = ["--sample", "--datasets", "mnist", "--epochs", "0.01", "--images", "40", "--train-images", "64"]
SMALL += ["--class-images", "32", "--simple-images", "300", "--impute-images", "4", "--denoise-images", "3"]


@pytest.fixture(scope="module")
def benchmark(load_benchmark):
    return load_benchmark("applications")


@pytest.fixture(scope="module")
def uses(benchmark):
    return {name: sys.modules[f"uses.{name}"] for name in ("anomalies", "imputations", "denoisings")}


def test_masks_hide_what_their_names_say(uses):
    masks = {
        kind: uses["imputations"].mask_of(kind, 50, np.random.default_rng(0)) for kind in uses["imputations"].KINDS
    }
    assert masks["top half"][:, :14].max() == 0 and masks["top half"][:, 14:].min() == 1
    assert masks["right half"][:, :, 14:].max() == 0 and masks["right half"][:, :, :14].min() == 1
    np.testing.assert_array_equal((1 - masks["12x12 block"]).sum(axis=(1, 2, 3)), 144)
    assert abs(masks["random half"].mean() - 0.5) < 0.02


def test_the_simple_methods_of_imputation_do_what_they_say(uses):
    """Training rows on a line: the Gaussian finds it; the neighbours are the rows that agree on what is seen."""
    rng = np.random.default_rng(0)
    first = rng.uniform(0.2, 0.8, size=(400, 1))
    train = np.concatenate([first, first, 1 - first, rng.uniform(size=(400, 57))], axis=1)
    simple = uses["imputations"].Simple(train)
    x, mask = train[:20].copy(), np.ones((20, 60))
    mask[:10, 1], mask[10:, 2] = 0, 0
    hidden = np.where(mask > 0, x, 0.0)
    methods = simple.methods()
    assert np.abs(methods["conditional Gaussian"](hidden, mask) - x).max() < 0.05
    near = methods["nearest neighbour"](hidden, mask)
    np.testing.assert_allclose(near[:10, 1], x[:10, 1], atol=1e-6)  # the row itself
    np.testing.assert_allclose(methods["mean image"](hidden, mask)[0], train.mean(axis=0), atol=1e-6)
    alike = simple.neighbours(x, np.tile(mask[:1], (20, 1)), 1)
    np.testing.assert_allclose(alike, x, atol=1e-6)
    assert uses["imputations"].error(x, x + 0.5 * (1 - mask), mask) == pytest.approx(0.25)


def test_coverage_counts_the_missing_values_alone(uses):
    x, mask = np.array([0.1, 0.5, 0.9, 0.4]), np.array([0, 0, 0, 1])
    assert uses["imputations"].coverage(x, x - 0.1, np.array([0.2, 0.4, 0.9, 0.0]), mask) == pytest.approx(2 / 3)


def test_pca_finds_what_lies_off_its_plane(uses):
    rng = np.random.default_rng(0)
    train = rng.normal(size=(100, 2)) @ rng.normal(size=(2, 12))
    error = uses["anomalies"].pca_error(uses["anomalies"].fit_pca(train, 2))
    assert error(train).max() < 1e-9 and error(train + rng.normal(size=12)).min() > 1.0
    distance = uses["anomalies"].neighbour_distance(np.float32([[0, 0], [3, 4], [9, 9]]), 2)
    np.testing.assert_allclose(distance(np.float32([[0, 0], [3, 0]])), [2.5, 3.5])
    assert uses["anomalies"].auroc(np.array([1.0, 2.0]), np.array([2.0, 3.0])) == 0.875


def test_noisy_pairs_have_their_clean_images_as_targets(uses):
    clean = np.random.default_rng(0).uniform(size=(8, 28, 28, 1)).astype(np.float32)
    noisy, target = uses["denoisings"].noisy_pairs(clean, np.random.default_rng(0))
    np.testing.assert_array_equal(target, clean)
    assert np.all(np.abs(noisy - clean).mean(axis=(1, 2, 3)) > 0.01) and noisy.min() >= 0 and noisy.max() <= 1
    assert uses["denoisings"].psnr(clean + 0.1 * (clean < 0.5), clean + 0.0) == pytest.approx(
        -10 * np.log10(0.01 * np.mean(clean < 0.5)), rel=1e-4
    )
    half = uses["denoisings"].simple(applications.add_noise(clean, "salt_and_pepper", 0.2))
    assert {"median 3", "as it is"} <= set(half)


@pytest.mark.slow
def test_a_small_run_gives_all_figures_and_keeps_its_models(benchmark, tmp_path):
    arguments = [*SMALL, "--models", str(tmp_path / "models"), "--save", str(tmp_path / "figures.json")]
    figures = benchmark.main([*arguments, "--only", "anomaly,imputation,representation,one_class,denoising"])
    assert json.loads((tmp_path / "figures.json").read_text()) == figures
    rates = figures["anomaly"]["mnist, fresh set 1"].values()
    assert all(0.0 <= rate <= 1.0 for rate in rates)
    found = figures["imputation"]["mnist, left half"]
    assert found["VAE, mean of samples, MSE"] > 0 and found["conditional Gaussian, MSE"] > 0
    assert len(list((tmp_path / "models").iterdir())) > 12
