"""Cuts the bundled samples out of full datasets: the first images of the official splits, as TFDS directories.

    python tools/make_sample_data.py --data-dir DIR

TFDS stores its training splits shuffled, so that the first images are a fair draw of all classes.
"""

import argparse
import pathlib
import shutil
import tempfile

import tensorflow as tf
import tensorflow_datasets as tfds

from zoo.data import sources

SIZES = {"mnist": (4000, 800), "fashion_mnist": (3600, 600), "cifar10": (2000, 400)}


def make(name, data_dir, target):
    source = tfds.builder(name, data_dir=data_dir)
    splits = {
        split: source.as_dataset(split=f"{split}[:{size}]", shuffle_files=False)
        for split, size in zip(("train", "test"), SIZES[name])
    }
    tfds.dataset_builders.store_as_tfds_dataset(
        name=name, version=str(source.version), features=source.info.features, split_datasets=splits, data_dir=target,
        description="The first {} training and {} test images of {} as TFDS stores it.".format(*SIZES[name], name),
        homepage=source.info.homepage, citation=source.info.citation,
    )  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", required=True, help="where TFDS finds the full datasets")
    arguments = parser.parse_args()
    tf.config.set_visible_devices([], "GPU")
    with tempfile.TemporaryDirectory(dir=sources.SAMPLE_DIR.parent) as scratch:
        for name in SIZES:
            make(name, arguments.data_dir, scratch)
            shutil.rmtree(sources.SAMPLE_DIR / name, ignore_errors=True)
            shutil.move(pathlib.Path(scratch) / name, sources.SAMPLE_DIR / name)


if __name__ == "__main__":
    main()
