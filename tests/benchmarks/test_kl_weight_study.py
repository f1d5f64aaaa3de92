"""The judgement of benchmarks/kl_weight.py by hand, and that its runs are kept."""

import argparse
import json

import numpy as np
import pytest

import zoo
from zoo import data

SMALL = ["--sample", "--settings", "fashion-mlp", "--steps", "2", "--train-images", "50", "--images", "12"]
SMALL += ["--batch-size", "10", "--latent-dim", "2"]


@pytest.fixture(scope="module")
def benchmark(load_benchmark):
    return load_benchmark("kl_weight")


def test_a_gaussian_is_judged_with_the_best_scale_for_training_images(benchmark):
    flags = argparse.Namespace(latent_dim=2, learning_rate=1e-3, steps=2, seed=0)
    model = benchmark.build("mlp", "gaussian", (8, 8, 1), 1.0, flags)
    images = np.random.default_rng(0).integers(0, 256, (40, 8, 8, 1), dtype=np.uint8)
    train, test = data.Images(images[:30]), data.Images(images[30:])
    figures = benchmark.judge(model, data.Splits(train, test, test), flags)
    seeds = zoo.random.fold_in(0, np.arange(10, dtype=np.int32))
    of_train, of_test = (model.propose(images[part] / 255.0, seeds) for part in (slice(10), slice(30, 40)))
    scale = np.sqrt(np.mean(np.square(images[:10] / 255.0 - of_train.params.numpy() - 0.5)))
    expected = np.mean(zoo.likelihoods.Gaussian(float(scale)).log_prob(np.float32(images[30:] / 255), of_test.params))
    assert figures["scale"] == pytest.approx(scale, rel=1e-5)
    assert figures["reconstruction"] == pytest.approx(-expected, rel=1e-4)
    assert figures["elbo"] == pytest.approx(expected - np.mean(of_test.kl), rel=1e-4)


def test_the_table_has_the_best_by_hand_and_the_distance_to_it(benchmark):
    rows = [("auto", -101.0), (0.5, -120.0), (1.0, -100.0)]
    runs = [{"setting": "mnist-mlp", "weight": weight, "elbo": elbo, "elbo_error": 0.5} for weight, elbo in rows]
    found = benchmark.table(runs)[2:]
    assert found == ["| mnist-mlp | -101.0 ± 0.5 | -100.0 | 1 of 2 | -1.00 | -1.00% | -120.0 |"]


@pytest.mark.slow
def test_runs_are_kept_and_not_made_again(benchmark, tmp_path, monkeypatch):
    monkeypatch.setitem(benchmark.BY_HAND, "gaussian", [0.5, 2.0])
    path = tmp_path / "runs.jsonl"
    runs = benchmark.main([*SMALL, "--output", str(path)])
    assert [run["weight"] for run in runs] == ["auto", 0.5, 2.0]
    assert [json.loads(line) for line in path.read_text().splitlines()] == runs
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:2]) + lines[2][:20])  # killed in the middle of a line
    again = benchmark.main([*SMALL, "--output", str(path)])
    assert again[:2] == runs[:2]
    assert again[2]["elbo"] == pytest.approx(runs[2]["elbo"], rel=1e-5)  # the same initial weights
    monkeypatch.setattr(benchmark, "run", lambda *_: pytest.fail("trained again"))
    assert benchmark.main([*SMALL, "--output", str(path)]) == again
