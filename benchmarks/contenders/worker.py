"""A contender in a process of its own: does one run each time that it is told a number of steps.

    python worker.py CONTENDER MODEL PRECISION IMAGES.npy BATCH_SIZE THREADS

A contender is a module beside this one whose `start(model, precision, images, batch_size, threads)` gives the number of
trainable parameters and a function of a number of steps, which trains on and gives the mean loss, nats per example.
`images` are uint8 `[N,H,W,C]`, a whole number of batches; more steps than that are whole epochs. Numbers of steps come
on stdin, results go to stdout, a line of JSON each; whatever else is printed goes to stderr.
"""

import importlib
import json
import os
import resource
import sys
import time

import numpy as np


def cpu_seconds():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def main(contender, model, precision, images, batch_size, threads):
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    start = importlib.import_module(contender).start
    parameters, run = start(model, precision, np.load(images), int(batch_size), int(threads))
    print(json.dumps({"parameters": parameters}), file=answers)
    for line in sys.stdin:
        cpu, clock = cpu_seconds(), time.perf_counter()
        loss = run(int(line))
        taken = {"seconds": time.perf_counter() - clock, "cpu_seconds": cpu_seconds() - cpu}
        print(json.dumps({**taken, "loss": float(loss)}), file=answers)


if __name__ == "__main__":
    main(*sys.argv[1:])
