"""One of several workers that train models of the conformance suite together.

    python tests/models/worker.py FOLDER NUMBER NAME …

Each writes what it ends with to FOLDER: the weights of each model and its history.
"""

import json
import pathlib
import sys

import conformance
import numpy as np
import tensorflow as tf


def main(folder, number, *names):
    strategy = tf.distribute.MultiWorkerMirroredStrategy()
    worker = strategy.cluster_resolver.task_id
    for name in names:
        model, history = conformance.train_spread(name, strategy, int(number))
        np.savez(pathlib.Path(folder, f"{name}-{worker}.npz"), *(weight.numpy() for weight in model.weights))
        pathlib.Path(folder, f"{name}-{worker}.json").write_text(json.dumps(history))


if __name__ == "__main__":
    main(*sys.argv[1:])
