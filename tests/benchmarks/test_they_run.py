"""Each benchmark that needs neither the full datasets nor another library runs at a small size."""

import os
import pathlib
import subprocess
import sys

import pytest

import zoo

ROOT = pathlib.Path(__file__).parents[2]
COMMANDS = [
    "applications.py --sample --only anomaly --datasets mnist --train-images 100",
    "diagnosis.py --models collapsed",
    "disentanglement.py --seeds 0 --steps 5 --results d.jsonl",
    "export.py --model mnist_vae.keras --dataset mnist --sample --images 20 --calls 3 --output export",
    "kl_weight.py --sample --settings mnist-mlp --train-images 100 --images 50 --steps 50 --output k.json",
    "latent_edits.py mnist_vae.keras",
    "methods.py --steps 5 --repeats 2",
    "mnist_digits.py --model mnist_vae.keras --sample --epochs 1 --number 20",
    "priors.py --sample --contenders standard_normal flow --epochs 1",
    "sampling.py --model mnist_vae.keras --number 10 --repeats 2",
    "shards.py --number 200 --repeats 1 --output shards",
    "startup.py --sample --repeats 1 --output startup.json",
    "table_anomalies.py --sets digits --seeds 0 --results a.jsonl",
    "tables.py --sets iris --contenders ours --seeds 0 --results t.jsonl",
    "text.py --tokens 20000 --steps 5 --width 32 --depth 1 --output text",
    "total_correlation.py --steps 10",
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("benchmarks")
    zoo.from_preset("mnist_vae").save(folder / "mnist_vae.keras")
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.split(".py")[0])
def test_it_runs(folder, command):
    script, *flags = command.split()
    paths = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    run = subprocess.run(
        [sys.executable, str(ROOT / "benchmarks" / script), *flags],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr[-2000:]
