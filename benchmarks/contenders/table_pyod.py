"""PyOD's detectors with their defaults: reads `train` and `test` of each .npz in a folder, writes scores beside it.

python table_pyod.py FOLDER

The seed is in the file's name, SET-SEED.npz. SET-SEED.json gets the scores of the test rows by contender, higher for
anomalies, and the seconds of CPU.
"""

import json
import pathlib
import sys
import time

import numpy as np
import torch
from pyod.models.ecod import ECOD
from pyod.models.vae import VAE


def scores(model, train, test):
    began = time.process_time()
    model.fit(train)
    return model.decision_function(test).tolist(), time.process_time() - began


def main(folder):
    torch.set_num_threads(1)
    for path in sorted(pathlib.Path(folder).glob("*.npz")):
        rows, seed = np.load(path), int(path.stem.rsplit("-", 1)[1])
        torch.manual_seed(seed)
        np.random.seed(seed)
        found = {
            "ECOD": scores(ECOD(), rows["train"], rows["test"]),
            "PyOD VAE": scores(VAE(random_state=seed, verbose=0), rows["train"], rows["test"]),
        }
        path.with_suffix(".json").write_text(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
