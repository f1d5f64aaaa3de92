"""Uses of VAEs beside simple methods on the same data: anomalies, imputation, denoising, representation, augmentation.

    python benchmarks/applications.py --data-dir DIR
    python benchmarks/applications.py --data-dir DIR --only anomaly --split validation

Trains small dense models on two CPU cores, keeps them in the folder --models, and prints one line for each figure.
Several settings of a simple method are measured, and the best on the test images themselves counts, which favours them.
--split validation is for choosing settings. --save keeps the figures in a JSON file, by part.
"""

import argparse
import functools
import json
import pathlib

from zoo import data as datasets

import machine
from uses import anomalies, augmentations, denoisings, imputations, pictures, representations

PARTS = {
    "anomaly": anomalies.whole,
    "imputation": imputations.whole,
    "vaeac": imputations.conditioned,
    "representation": representations.run,
    "one_class": anomalies.one_class,
    "denoising": denoisings.run,
    "held_out": anomalies.held_out,
    "augmentation": augmentations.run,
}


DATASETS = ("mnist", "fashion_mnist")


def parser():
    found = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    found.add_argument("--data-dir", help="where TFDS finds MNIST and Fashion-MNIST; default: $TFDS_DATA_DIR")
    found.add_argument("--sample", action="store_true", help="the bundled samples of them in their place")
    found.add_argument("--only", type=lambda text: text.split(","), default=list(PARTS), help=f"of {','.join(PARTS)}")
    found.add_argument("--datasets", type=lambda text: text.split(","), default=list(DATASETS), help=",".join(DATASETS))
    found.add_argument("--models", type=pathlib.Path, default=pathlib.Path("applications_models"), help="a folder")
    found.add_argument("--split", choices=("validation", "test"), default="test", help="default: %(default)s")
    found.add_argument("--train-images", type=int, default=20000, help="of the detectors; default: %(default)s")
    found.add_argument("--class-images", type=int, default=20000, help="of one class, or of nine; default: %(default)s")
    found.add_argument("--simple-images", type=int, default=20000, help="of simple methods and probes")
    found.add_argument("--images", type=int, default=2000, help="to find anomalies in; default: %(default)s")
    found.add_argument("--impute-images", type=int, default=300, help="default: %(default)s")
    found.add_argument("--vaeac-images", type=int, default=1000, help="default: %(default)s")
    found.add_argument("--interval-images", type=int, default=150, help="and as many to calibrate intervals with")
    found.add_argument("--noise", action="store_true", help="intervals from draws of the VAEAC with noise")
    found.add_argument("--residual-images", type=int, default=4000, help="default: %(default)s")
    found.add_argument("--denoise-images", type=int, default=100, help="default: %(default)s")
    found.add_argument(
        "--sizes", type=lambda text: list(map(int, text.split(","))), default=augmentations.SIZES,
        help="labelled images of a class for augmentation",
    )  # fmt: skip
    found.add_argument("--variants", type=lambda text: text.split(","), default=list(representations.VARIANTS))
    found.add_argument("--no-pixels", dest="pixels", action="store_false", help="leave out the probes of raw pixels")
    found.add_argument("--further", action="store_true", help="train the models of imputation for twice as long")
    found.add_argument("--epochs", type=float, default=1.0, help="a factor of all epochs; default: %(default)s")
    found.add_argument("--save", type=pathlib.Path, help="a file.json of all figures")
    found.add_argument("--pictures", type=pathlib.Path, help="a folder for the pictures of docs/, instead of figures")
    found.add_argument("--seed", type=int, default=0)
    return found


def main(argv=None):
    flags = parser().parse_args(argv)
    for name, choices in (("only", PARTS), ("datasets", DATASETS), ("variants", representations.VARIANTS)):
        unknown = sorted(set(getattr(flags, name)) - set(choices))
        if unknown:
            parser().error(f"--{name} takes {', '.join(choices)}. Received: {', '.join(unknown)}")
    figures = json.loads(flags.save.read_text()) if flags.save and flags.save.exists() else {}

    @functools.cache
    def data(name):
        return datasets.load(name, flags.data_dir, sample=flags.sample)

    def report(part, task, method, figure, value):
        print(f"{part} | {task} | {method} | {figure} | {value:.4f}", flush=True)
        figures.setdefault(part, {}).setdefault(task, {})[f"{method}, {figure}"] = value

    if flags.pictures:
        pictures.draw(flags, data, flags.pictures)
        return {}
    print(machine.line(), flush=True)
    for part in flags.only:
        PARTS[part](flags, data, report)
        if flags.save:
            flags.save.write_text(json.dumps(figures, indent=1))
    return figures


if __name__ == "__main__":
    main()
