"""benchmarks/diagnosis.py plants every fault, and counts what is missed and what is a false alarm."""

import numpy as np
import pytest

import zoo
from zoo.evaluation import FAULTS


@pytest.fixture(scope="module")
def diagnosis(load_benchmark):
    return load_benchmark("diagnosis")


def test_every_fault_is_planted_and_ten_models_are_healthy(diagnosis):
    planted = [case.fault for case in diagnosis.CASES.values()]
    assert set(planted) == {*FAULTS, ""} and planted.count("") >= 10


@pytest.mark.parametrize(("fault", "status"), [("data_range", 0), ("overfitting", 1), ("", 1)])
def test_the_table_says_what_was_missed(diagnosis, monkeypatch, capsys, fault, status):
    def train():
        encoder, decoder = diagnosis.dense((4, 4, 1), 2, hidden=())
        x = np.random.default_rng(0).uniform(200.0, 210.0, (20, 4, 4, 1)).astype("float32")
        return zoo.VAE(encoder, decoder), x, x, None, None

    monkeypatch.setattr(diagnosis, "CASES", {"wrong": diagnosis.Case(fault, train)})
    assert diagnosis.main(["--verbose"]) == status
    *_, row, finding = capsys.readouterr().out.splitlines()
    assert row.startswith(f"| wrong | {fault or 'healthy'} | data_range | {'NO' if status else 'yes'} | ")
    assert finding.startswith("  data outside the likelihood's range (high): ")


@pytest.mark.slow
@pytest.mark.parametrize("part", range(8))
def test_all_faults_are_found_and_none_in_healthy_models(diagnosis, part):
    assert diagnosis.main(["--verbose", "--models", *list(diagnosis.CASES)[part::8]]) == 0
