"""How long sampling takes, once it is traced.

    python benchmarks/sampling.py --model runs/cifar10_vqvae/model.keras

Prints the seconds of `model.sample` for --number images in one graph: the first call, which traces, and the median and
range of --repeats later ones, each with seeds of its own.
"""

import argparse
import time

import zoo

import keras
import numpy as np
import tensorflow as tf


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, help="the model.keras of a run")
    parser.add_argument("--number", type=int, default=64, help="images (default: %(default)s)")
    parser.add_argument("--repeats", type=int, default=9, help="default: %(default)s")
    flags = parser.parse_args(argv)

    model = keras.models.load_model(flags.model)
    labels = tf.zeros(flags.number, tf.int32) if model.conditional else None

    @tf.function
    def sample(seeds):
        return model.sample(flags.number, seed=seeds, labels=labels)

    seconds = []
    for repeat in range(flags.repeats + 1):
        seeds = zoo.random.row_seeds(repeat, flags.number)
        began = time.perf_counter()
        images = sample(seeds).numpy()
        seconds.append(time.perf_counter() - began)
        assert np.isfinite(images).all()
    later = seconds[1:]
    print(
        f"{flags.number} images of {images.shape[1:]}: first call {seconds[0]:.2f} s, then median "
        f"{np.median(later):.3f} s, from {min(later):.3f} to {max(later):.3f} s over {len(later)} calls"
    )


if __name__ == "__main__":
    main()
