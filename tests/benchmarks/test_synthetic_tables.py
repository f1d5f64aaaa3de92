"""The benchmark of tables: splits, judges, results that are kept, and the table of them."""

import json

import numpy as np
import pytest

from zoo import data


@pytest.fixture(scope="module")
def benchmark(load_benchmark):
    return load_benchmark("tables")


def test_splits_are_the_same_for_all_contenders_and_keep_the_classes(benchmark):
    table, target = benchmark.SETS["iris"]()
    first, second = (benchmark.split(table, target, seed=3) for _ in range(2))
    for one, other in zip(first, second):
        np.testing.assert_array_equal(one["sepal length (cm)"], other["sepal length (cm)"])
    assert [len(part) for part in first] == [120, 30]
    assert np.unique(first[1][target], return_counts=True)[1].tolist() == [10, 10, 10]


def test_rows_with_missing_cells_are_dropped(benchmark):
    table = data.Table({"a": [1.0, np.nan, 3.0], "b": ["x", "y", ""]})
    assert benchmark.complete(table)["a"].tolist() == [1.0]


def test_judges_tell_real_rows_from_shuffled_ones(benchmark):
    table, target = benchmark.SETS["iris"]()
    train, test = benchmark.split(table, target, 0)
    schema = data.Schema.of(train)
    good = benchmark.utility(schema, train, test, target, 0)
    bad = benchmark.utility(schema, benchmark.independent(train, schema, 0), test, target, 0)
    assert min(good.values()) > 0.85 > 0.7 > max(bad.values())
    one_class = train.take(np.flatnonzero(train[target] == "setosa"))
    assert benchmark.utility(schema, one_class, test, target, 0) == {"forest": 1 / 3, "linear": 1 / 3}


@pytest.mark.slow
def test_results_are_kept_and_not_run_again(benchmark, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(benchmark.CONTENDERS, "ours", benchmark.independent)
    flags = ["--results", str(tmp_path / "found.jsonl"), "--sets", "iris", "--seeds", "0", "1"]
    rows = benchmark.main(flags)
    expected = {(contender, seed) for contender in ("real", "ours", "independent") for seed in (0, 1)}
    assert {(row["contender"], row["seed"]) for row in rows} == expected
    assert all(row["distance"] == 0.0 for row in rows if row["contender"] == "real")
    assert all(row["distance"] > 0.5 * row["distance_of_test"] for row in rows if row["contender"] == "ours")
    lines = (tmp_path / "found.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == rows
    monkeypatch.setattr(benchmark, "compete", None)
    assert benchmark.main(flags) == rows
    assert "| iris | 120, 5 | 2 | " in capsys.readouterr().out


def test_the_report_has_means_and_standard_errors(benchmark):
    def row(contender, seed, score, distance):
        scores = {"forest": score, "linear": score + 0.1, "distance": distance, "distance_of_test": 2.0}
        return {"set": "a", "contender": contender, "seed": seed, "rows": 10, "columns": 3, **scores}

    own = [row("ours", 0, 0.5, 1.0), row("ours", 1, 0.7, 3.0), row("ours", 2, 0.9, 9.0)]  # the last has no opponent
    lines = benchmark.report([*own, row("tvae", 0, 0.4, 2.0), row("tvae", 1, 0.2, 4.0)])
    assert lines[-1] == "| a | 10, 3 | 2 | 0.650 ± 0.100 | 0.350 ± 0.100 | 1.00 | 1.50 |"
