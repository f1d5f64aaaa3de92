"""The cost of a model's methods, and of the checks of its inputs.

    python benchmarks/methods.py

Prints, on random images and untrained models, which take as long as others:

- the peak of memory of a process that encodes 64 images of 32×32 in colour with the networks of
  recipes/cifar10_vqvae.py, and of one that encodes 4,000;
- seconds of `log_prob` with 50 samples of 64 images, called as it is and under a `tf.function`, both traced before;
- a training step of the MLP VAE at batch 128, with and without the check of the batch's values (the "look"), and in a
  graph that has none, step by step.
"""

import argparse
import resource
import statistics
import subprocess
import sys
import time

import zoo
from zoo import networks

import keras
import numpy as np
import tensorflow as tf


def vq_vae():
    encoder = networks.residual_encoder((32, 32, 3), 64, 128)
    return zoo.VQVAE(encoder, networks.residual_decoder((8, 8, 64), 3, 128), zoo.quantizers.VectorQuantizer(512, 64))


def encode(number):
    images = np.random.default_rng(0).uniform(size=(number, 32, 32, 3)).astype(np.float32)
    vq_vae().encode(images)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def memory():
    peaks = {}
    for number in (64, 4000):
        command = [sys.executable, __file__, "--encode", str(number)]
        peaks[number] = float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
        print(f"encode {number} images: peak of {peaks[number]:.0f} MB", flush=True)
    print(f"4,000 images above 64: {peaks[4000] - peaks[64]:.0f} MB, of which 47 are the images themselves", flush=True)


def log_prob(repeats):
    encoder = networks.conv_encoder((28, 28, 1), 32, filters=(32, 64), blocks=1)
    model = zoo.VAE(encoder, networks.conv_decoder((28, 28, 1), 32, filters=(64, 32), blocks=1))
    images = np.random.default_rng(0).uniform(size=(64, 28, 28, 1)).astype(np.float32)
    traced = tf.function(lambda x: model.log_prob(x, 50))
    ways = {"as it is": lambda: model.log_prob(images, 50), "under tf.function": lambda: traced(images)}
    seconds = by_turns(ways, repeats)
    ratio = statistics.median(a / b for a, b in zip(*seconds.values()))
    print(f"log_prob, 50 samples of 64 images, as it is over under tf.function: {ratio:.3f}", flush=True)


def looks(steps, repeats):
    images = np.random.default_rng(0).uniform(size=(128, 28, 28, 1)).astype(np.float32)

    def make(look):
        keras.utils.set_random_seed(0)
        encoder = networks.mlp_encoder((28, 28, 1), 20, hidden=(400,))
        model = zoo.VAE(encoder, networks.mlp_decoder((28, 28, 1), 20, hidden=(400,)), "bernoulli", seed=0)
        if not look:
            object.__setattr__(model, "_first_batch", _NoLook())
        model.compile("adam")
        model.make_train_function()
        batches = iter(tf.data.Dataset.from_tensors(images).repeat())

        def step(again):
            if again:
                model.make_train_function()  # as each `fit` does at its start
            began = time.perf_counter()
            model.train_function(batches)
            return time.perf_counter() - began

        return step

    with_look, without = make(True), make(False)

    def row():  # each step follows one of the other model, so that the cache is in the same state
        return [with_look(True), without(True), with_look(False), without(False)]

    seconds = np.array([row() for _ in range(steps * repeats)])[steps * repeats // 10 :]
    looked, asked, later, none = seconds.T
    step, look = np.median(none), np.median((looked - later) - (asked - none))
    print(f"a step of the MLP VAE at batch 128: {1e3 * step:.3f} ms")
    print(f"a look at a batch: {1e6 * look:.0f} µs, {look / step:.2%} of a step")
    after = np.median(later - none)
    print(
        f"a step without a look, over one in a graph that has none: {1e6 * after:.0f} µs, {after / step:.2%}",
        flush=True,
    )


class _NoLook:
    def reopen(self):
        pass

    def __call__(self, batches, judged):
        return []

    def guarded(self, function, variables, stepped, refused):
        def call(batches):
            results = function(batches)
            stepped()  # what the step has read of the model, which each `fit` compares, with a look or without
            return results

        call.guarded = True  # as Keras keeps the function
        return call


def by_turns(ways, repeats):
    for way in ways.values():
        way()
    seconds = {name: [] for name in ways}
    for _ in range(repeats):
        for name, way in ways.items():
            began = time.perf_counter()
            way()
            seconds[name].append(time.perf_counter() - began)
    return seconds


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--encode", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--steps", type=int, default=100, help="of a turn (default: %(default)s)")
    parser.add_argument("--repeats", type=int, default=15, help="turns (default: %(default)s)")
    flags = parser.parse_args(argv)
    if flags.encode:
        encode(flags.encode)
        return
    memory()
    log_prob(flags.repeats)
    looks(flags.steps, flags.repeats)


if __name__ == "__main__":
    main()
