"""CTGAN's TVAE with its defaults: reads `train.csv` and `discrete.json` in a folder, writes `synthetic.csv` there.

python table_tvae.py FOLDER SEED
"""

import json
import pathlib
import sys

import numpy as np
import pandas
import torch
from ctgan import TVAE


def main(folder, seed):
    folder = pathlib.Path(folder)
    torch.set_num_threads(1)
    torch.manual_seed(int(seed))
    np.random.seed(int(seed))
    train = pandas.read_csv(folder / "train.csv", keep_default_na=False)
    try:
        model = TVAE(enable_gpu=False)
    except TypeError:  # before 0.12
        model = TVAE(cuda=False)
    model.fit(train, json.loads((folder / "discrete.json").read_text()))
    model.sample(len(train)).to_csv(folder / "synthetic.csv", index=False)


if __name__ == "__main__":
    main(*sys.argv[1:])
