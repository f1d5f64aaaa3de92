"""The table of benchmarks/disentanglement.py by hand, and a small benchmark that goes on after a stop."""

import json

import pytest

SMALL = ["--image-size", "8", "--images", "300", "--steps", "4", "--hidden", "8", "--examples", "100"]


@pytest.fixture(scope="module")
def benchmark(load_benchmark):
    return load_benchmark("disentanglement")


def test_the_table_has_medians_and_ranges(benchmark):
    runs = {}
    for seed, score in enumerate((0.1, 0.5, 0.2)):
        figures = dict.fromkeys(benchmark.SCORES, 7.0) | {"mig": score}
        runs["tc", 4.0, seed] = {"figures": figures, "training_cpu_seconds": 10.0 * seed}
    *_, row = benchmark.table(runs)
    assert row.startswith("| β-TCVAE, β = 4 | 3 | 0.200 (0.100 to 0.500) | 7.000 (7.000 to 7.000) |")
    assert row.endswith("| 7.0 (7.0 to 7.0) | 10 |")


@pytest.mark.slow  # test_priors.py has a benchmark whose results are kept
def test_runs_are_kept_and_not_made_again(benchmark, tmp_path, capsys, monkeypatch):
    path = tmp_path / "runs.jsonl"
    arguments = ["--results", str(path), *SMALL, "--contenders", "beta:5"]
    models, train = [], benchmark.train
    monkeypatch.setattr(benchmark, "train", lambda *args: models.append(train(*args)) or models[0])
    ((key, run),) = benchmark.main([*arguments, "--seeds", "0"]).items()
    assert key == ("beta", 5.0, 0) and models[0].beta == 5.0 and run["settings"]["steps"] == 4
    assert 0 <= run["figures"]["mig"] <= 1 and run["figures"]["reconstruction"] > 0
    assert {"factor_vae_score", "dci_disentanglement", "modularity", "kl"} < set(run["figures"])
    assert json.loads(path.read_text()) == run

    seeds = []
    monkeypatch.setattr(benchmark, "train", lambda *args: seeds.append(args[2]) or models[0])
    both = benchmark.main([*arguments, "--seeds", "0", "1"])
    assert seeds == [1] and both[key] == run and len(path.read_text().splitlines()) == 2
    assert "| β-VAE, β = 5 | 2 |" in capsys.readouterr().out
    assert benchmark.main([*arguments, "--steps", "8", "--table"]) == {} and seeds == [1]


def test_one_of_results_and_model_is_needed(benchmark, capsys):
    with pytest.raises(SystemExit):
        benchmark.main([])
    assert "--results or --model is needed" in capsys.readouterr().err
