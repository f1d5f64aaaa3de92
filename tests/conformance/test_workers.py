"""Two real processes on loopback train as one does."""

import json
import pathlib
import sys

import conformance
import numpy as np
import pytest
import tensorflow as tf

FEW = ("vq_vae",)  # the others take minutes, and have no averages that the workers must agree on
OTHERS = tuple(name for name in conformance.ENTRIES if name not in FEW)


@pytest.mark.long
@pytest.mark.parametrize("names", [FEW, pytest.param(OTHERS, marks=pytest.mark.slow)], ids=["few", "others"])
def test_two_workers_end_with_the_weights_of_one(names, start_workers, tmp_path):
    logs = [tmp_path / "chief.log", tmp_path / "worker.log"]
    script = pathlib.Path(__file__).with_name("worker.py")
    # 27 is three batches of 8, and one of 3: a worker has one of its examples and the other two.
    for process in start_workers([sys.executable, script, tmp_path, "27", *names], logs):
        assert process.wait() == 0, "".join(path.read_text() for path in logs)
    for name in names:
        model, history = conformance.train_spread(name, tf.distribute.get_strategy(), 27)
        for worker in (0, 1):
            with np.load(tmp_path / f"{name}-{worker}.npz") as weights:
                for weight, other in zip(model.weights, weights.values(), strict=True):
                    np.testing.assert_allclose(
                        weight.numpy(), other, rtol=0, atol=1e-5, err_msg=f"{name} {weight.path}"
                    )
            of_worker = json.loads((tmp_path / f"{name}-{worker}.json").read_text())
            assert set(of_worker) == set(history)
            for key, values in history.items():
                assert of_worker[key] == pytest.approx(values, rel=1e-5), (name, key)
