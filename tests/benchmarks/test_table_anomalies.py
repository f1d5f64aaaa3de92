"""Splits, scaling and ranks of benchmarks/table_anomalies.py by hand, and the images of the study of augmentation."""

import json
import sys

import numpy as np
import pytest

from zoo import data


@pytest.fixture(scope="module")
def benchmark(load_benchmark):
    return load_benchmark("table_anomalies")


@pytest.fixture(scope="module")
def augmentations(load_benchmark):
    load_benchmark("applications")
    return sys.modules["uses.augmentations"]


def test_the_rarest_class_is_anomalous_and_never_trained_on(benchmark):
    table = data.Table({"size": np.arange(20.0), "kind": np.array(["a"] * 9 + ["b"] * 4 + ["c"] * 7)})
    train, test, truth = benchmark.split(table, "kind", seed=0)
    assert train.names == test.names == ("size",)
    assert set(test["size"][truth == 1]) == {9, 10, 11, 12}
    assert len(train) == 8 and sorted([*train["size"], *test["size"]]) == list(range(20))
    other, _, _ = benchmark.split(table, "kind", seed=1)
    assert set(other["size"]) != set(train["size"])


def test_numbers_are_scaled_by_the_training_rows_and_categories_one_hot(benchmark):
    train = data.Table({"size": np.array([1.0, 3.0]), "same": np.array([5.0, 5.0]), "kind": np.array(["a", "b"])})
    test = data.Table({"size": np.array([4.0]), "same": np.array([6.0]), "kind": np.array(["c"])})
    x, y = benchmark.scaled(train, test)
    np.testing.assert_array_equal(x, [[-1, 0, 1, 0], [1, 0, 0, 1]])
    np.testing.assert_array_equal(y, [[2, 1, 0, 0]])


def test_the_report_ranks_the_means_and_gives_equals_their_mean_rank(benchmark):
    sizes = {"train": 5, "normal": 5, "anomalous": 2, "columns": 3}
    first = dict(zip(benchmark.CONTENDERS, (0.9, 0.8, 0.8, 0.7, 0.6)))
    second = dict(zip(benchmark.CONTENDERS, (0.5, 0.8, 0.7, 0.6, 0.9)))
    lines = benchmark.report(
        [{"set": str(i), "seed": 0, **sizes, "auroc": each} for i, each in enumerate([first, first, second])]
    )
    assert lines[-2] == "| median rank | | | 1.0 | 2.5 | 2.5 | 4.0 | 5.0 |"
    assert "0.900 ± 0.000" in lines[2]


@pytest.mark.slow
def test_a_run_keeps_a_line_for_each_set_and_seed_and_does_not_repeat_it(benchmark, tmp_path):
    arguments = ["--results", str(tmp_path / "found.jsonl"), "--sets", "wine", "--seeds", "0"]
    (row,) = benchmark.main([*arguments, "--pyod-python", "false"])
    assert {"ours", "PCA", "isolation forest"} == set(row["auroc"]) and min(row["auroc"].values()) > 0.5
    assert benchmark.main([*arguments, "--pyod-python", "false"]) == [row]
    assert json.loads((tmp_path / "found.jsonl").read_text()) == row


class Fixed:
    """Draws these angles, in degrees, and shifts."""

    def __init__(self, angle, shift):
        self.values = [np.array([angle]), np.array([shift])]

    def uniform(self, low, high, size):
        return self.values.pop(0)


def test_images_are_shifted_and_rotated_about_their_middle(augmentations):
    x = np.random.default_rng(0).uniform(size=(1, 28, 28, 1)).astype(np.float32)
    np.testing.assert_allclose(augmentations.moved(x, Fixed(0.0, (0.0, 0.0))), x, atol=1e-6)
    shifted = augmentations.moved(x, Fixed(0.0, (1.0, 0.0)))
    np.testing.assert_allclose(shifted[0, 1:], x[0, :-1], atol=1e-5)
    turned = augmentations.moved(x, Fixed(90.0, (0.0, 0.0)))
    np.testing.assert_allclose(turned[0, 1:-1, 1:-1, 0], np.rot90(x[0, ..., 0], -1)[1:-1, 1:-1], atol=1e-4)


def test_few_images_are_as_many_of_each_class(augmentations):
    images = data.Images(np.zeros((60, 2, 2, 1), np.uint8), np.tile(np.arange(10), 6))
    x, labels = augmentations.few(images, 3, seed=0)
    assert x.shape == (30, 2, 2, 1) and np.bincount(labels).tolist() == [3] * 10
    (first, second) = (
        next(augmentations.endless(labels, batch_size=64, draw=np.random.default_rng(i)))[0] for i in (0, 1)
    )
    assert len(first) == 64 and np.bincount(first).min() >= 5 and first.tolist() != second.tolist()
