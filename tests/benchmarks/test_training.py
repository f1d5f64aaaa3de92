"""The arithmetic of benchmarks/training.py by hand, and a small run without PyTorch."""

import types

import numpy as np
import pytest

from zoo import networks


@pytest.fixture(scope="module")
def training(load_benchmark):
    return load_benchmark("training")


def test_flops_of_dense_layers(training):
    assert training.forward_flops(networks.mlp_encoder((28, 28, 1), 20, (400,))) == 2 * (784 * 400 + 400 * 40)


def test_flops_of_convolutions_count_places_of_the_output_and_transposed_ones_of_the_input(training):
    encoder = networks.conv_encoder((8, 8, 1), 2, filters=(3,), dense=5)
    assert training.forward_flops(encoder) == 2 * (4 * 4 * 1 * 3 * 16 + 16 * 3 * 5 + 5 * 4)
    decoder = networks.conv_decoder((8, 8, 1), 2, filters=(3,), dense=5)
    products = 2 * 5 + 5 * 48 + 4 * 4 * 3 * 3 * 16 + 3 * 3 * 3 * 1 * 64
    assert training.forward_flops(decoder) == 2 * products


def test_flops_of_training_are_three_times_those_forwards_and_the_codebooks_once(training):
    mlp = training.ours.mlp_vae()
    assert training.training_flops(mlp) == 3 * 2 * (784 * 400 + 400 * 40 + 20 * 400 + 400 * 784)
    model = training.ours.vq_vae()
    networks_only = 3 * (training.forward_flops(model.encoder) + training.forward_flops(model.decoder))
    assert training.training_flops(model) - networks_only == 2 * 64 * 512 * 64


def test_this_project_trains_as_a_contender(training, capsys):
    images = np.random.default_rng(0).integers(0, 256, (256, 28, 28, 1), dtype=np.uint8)
    parameters, run = training.ours.start("mlp_vae", "float32", images, batch_size=128, threads=1)
    assert parameters == 784 * 400 + 400 + 400 * 40 + 40 + 20 * 400 + 400 + 400 * 784 + 784
    first, later = run(2), run(2)  # untrained, a value costs log 2
    assert first == pytest.approx(784 * np.log(2), rel=0.1) and later < first


def results(loss=90.0, parameters=7, **seconds):
    return {
        name: {
            "parameters": parameters,
            "loss": loss,
            "rounds": [{"images": 100, "seconds": s, "cpu_seconds": 2 * s} for s in times],
        }
        for name, times in seconds.items()
    }


def test_summary_takes_medians_and_ratios_to_ours(training):
    rows = training.summary(results(ours=(1.0, 5.0, 2.0), torch_usual=(4.0, 9.0, 8.0)), flops=10.0, peak=1000.0)
    assert rows["ours"]["per_second"] == 50.0 and rows["ours"]["per_cpu_second"] == 25.0
    assert rows["torch_usual"]["per_second"] == 12.5
    assert rows["torch_usual"]["ratio"] == rows["torch_usual"]["cpu_ratio"] == 4.0
    assert rows["ours"]["ratio"] == 1.0
    assert rows["ours"]["share"] == 0.5  # 50 images of 10 operations, of 1,000


def test_contenders_that_train_something_else_are_named(training):
    rows = training.summary(
        results(ours=(1.0,)) | results(95.0, 7, torch_usual=(1.0,)) | results(120.0, 8, pythae_trainer=(1.0,)), 1, 1
    )
    assert training.unlike(rows, 0.1) == [
        "pythae_trainer has 8 parameters, ours 7",
        "pythae_trainer has a loss of 120 after the first steps, ours 90",
    ]
    rows["ours"]["loss"] = float("nan")
    assert len(training.unlike(rows, 0.1)) == 4  # NaN is like nothing, itself included


@pytest.mark.parametrize("per_second, steps", [(1.0, 10), (12.6, 30), (190.0, 380), (300.0, 420), (430.0, 840)])
def test_runs_are_of_tens_of_steps_or_of_whole_epochs(training, per_second, steps):
    assert training.steps_of(2.0, per_second, per_epoch=420) == steps


@pytest.mark.slow
def test_a_small_run_writes_the_tables_and_keeps_what_is_below(training, tmp_path):
    page = tmp_path / "training.md"
    page.write_text(f"old\n\n{training.BELOW}\n\nBy hand.\n")
    training.main(
        "--sample --model mlp_vae --precision float32 --contender keras_example --rounds 2 --seconds 0.1 "
        f"--batch-size 16 --check-steps 20 --output {page}".split()
    )
    text = page.read_text()
    assert "| this project |" in text and "| keras.io's example |" in text and "old" not in text
    assert text.endswith(f"{training.BELOW}\n\nBy hand.\n")


def test_a_contender_that_fails_says_why(training, tmp_path):
    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\necho no torch here >&2\nexit 3\n")
    broken.chmod(0o755)
    flags = types.SimpleNamespace(torch_python=str(broken), batch_size=16, threads=1)
    worker = training.Worker("torch_usual", "mlp_vae", "float32", tmp_path / "images.npy", flags, tmp_path / "log")
    with pytest.raises(RuntimeError, match="torch_usual ended with status 3:\nno torch here"):
        worker.answer()
