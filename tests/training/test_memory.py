"""What a run holds in memory grows with its data, and with `--no-cache` does not: peaks of whole processes."""

import json
import pathlib
import re
import subprocess
import sys

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image

import zoo
from zoo import data, networks, training

SIDE = 148
MIB = SIDE * SIDE * 3 / 2**20  # of an image
FEW, MANY = 500, 2000  # of both splits together, or in the folder


def run_recipe(kind, folder, output, *argv):
    """Trains for two steps and evaluates, on a folder that TFDS takes for CelebA, or one of pictures."""

    def build(flags, image_shape, seed):
        encoder = networks.mlp_encoder(image_shape, latent_dim=2, hidden=(2,))
        return zoo.VAE(encoder, networks.mlp_decoder(image_shape, latent_dim=2, hidden=(2,)), "bernoulli")

    def load_pictures(flags, image_shape, disk_folder):
        return data.load_folder(folder, image_shape[:2], disk_folder)

    source = {"dataset": "celeb_a"} if kind == "dataset" else {"load": load_pictures}
    recipe = training.Recipe("tiny", "", (SIDE, SIDE, 3), build, batch_size=16, **source)
    argv = ["--epochs", "1", "--steps-per-epoch", "2", "--no-export", "--output", output, *argv]
    if kind == "dataset":
        number = tfds.builder("celeb_a", data_dir=folder).info.splits["train"].num_examples
        with tfds.testing.mock_data(num_examples=number, data_dir=folder):
            metrics = training.main(recipe, [*argv, "--data-dir", folder])
    else:
        metrics = training.main(recipe, argv)
    # Not ru_maxrss: a process takes that over from the one that started it.
    peak = re.search(r"VmHWM:\s+(\d+) kB", pathlib.Path("/proc/self/status").read_text())[1]
    print(json.dumps([sum(metrics["images"].values()), int(peak) / 2**10]))


@pytest.fixture
def peak(prepared, tmp_path):
    """Function of (kind, number of images, flags) that gives the largest size of a process, MiB."""

    def measure(kind, number, *argv):
        folder = tmp_path / f"{kind}-{number}"
        if not folder.exists():
            folder.mkdir()
            if kind == "dataset":
                splits = {"train": number // 2, "validation": 1, "test": number // 2}
                (prepared("celeb_a", splits) / "celeb_a").rename(folder / "celeb_a")
            else:
                write_pictures(folder, number)
        command = [sys.executable, __file__, kind, str(folder), str(tmp_path / "output"), "--fresh", *argv]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        count, megabytes = json.loads(done.stdout.splitlines()[-1])
        assert count == number
        return megabytes

    return measure


def write_pictures(folder, number):
    """Noise, each picture with a first pixel of its own: copies would count once."""
    noise = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), np.uint8)
    for name in range(number):
        noise[0, 0] = (name // 256, name % 256, 0)
        Image.fromarray(noise).save(folder / f"{name}.bmp")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="there is no /proc elsewhere")
@pytest.mark.parametrize("kind", ["dataset", "folder"])
def test_memory_without_a_cache_does_not_grow_with_the_data(peak, kind):
    more = (MANY - FEW) * MIB
    assert peak(kind, MANY) - peak(kind, FEW) > more  # what the cache takes, or this would measure nothing
    assert peak(kind, MANY, "--no-cache") - peak(kind, FEW, "--no-cache") < 0.4 * more


if __name__ == "__main__":
    run_recipe(*sys.argv[1:])
