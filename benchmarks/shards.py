"""The memory of a run on shards beside that of a run on images in memory, for N and for 8 N images.

    python benchmarks/shards.py

Writes `benchmarks/shards.md`. Each measurement is a process of its own that trains a small VAE on the whole set for one
epoch; given are medians of the largest resident size. A second table gives the speed of reading alone.
"""

import argparse
import io
import json
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile
import time

import zoo
from zoo import data, networks, training
from zoo.runtime import files

import numpy as np
from PIL import Image

SIDE = 64
FORMATS = ("tar", "tfrecord")


def picture(row):
    """Smooth noise, uint8 `[H,W,3]`: a picture for each row."""
    coarse = np.random.default_rng(row).integers(0, 256, (8, 8, 3), np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((SIDE, SIDE), Image.Resampling.BICUBIC))


def jpegs(number):
    for row in range(number):
        content = io.BytesIO()
        Image.fromarray(picture(row)).save(content, "JPEG", quality=90)
        yield content.getvalue()


def run(kind, folder, number, output):
    """Trains for an epoch in this process, and gives the numbers of images and MiB."""

    def build(flags, image_shape, seed):
        encoder = networks.mlp_encoder(image_shape, latent_dim=2, hidden=(2,))
        return zoo.VAE(encoder, networks.mlp_decoder(image_shape, latent_dim=2, hidden=(2,)), "bernoulli")

    def in_memory(flags, image_shape, disk_folder):
        images = np.empty((number, *image_shape), np.uint8)
        for row in range(number):
            images[row] = picture(row)
        train, test = data.cut(data.Images(images), number // 16)
        return data.Splits(*data.cut(train, number // 16), test)

    source = {"load": in_memory} if kind == "memory" else {"dataset": "celeb_a"}
    recipe = training.Recipe(
        name="shards", description="", image_shape=(SIDE, SIDE, 3), build=build, batch_size=64, **source
    )
    argv = ["--epochs", "1", "--no-export", "--parts", "1", "--output", output]
    if kind != "memory":
        argv += ["--shards", f"{folder}/a-{{0..7}}.{kind}"]
    metrics = training.main(recipe, argv)
    # Not ru_maxrss: a process takes that over from the one that started it.
    peak = re.search(r"VmHWM:\s+(\d+) kB", pathlib.Path("/proc/self/status").read_text())[1]
    return {"images": metrics["images"]["train"], "MiB": int(peak) / 2**10}


def speed(folder, kind):
    """Images a second, by the clock and per second of the CPU, of reading an epoch of 64×64 batches."""
    train = data.load_shards(f"{folder}/a-{{0..7}}.{kind}", (SIDE, SIDE, 3)).train
    clock, cpu = time.perf_counter(), time.process_time()
    for _ in data.batches(train, 64, shuffle=True):
        pass
    return len(train) / (time.perf_counter() - clock), len(train) / (time.process_time() - cpu)


def measure(kind, folder, number):
    with tempfile.TemporaryDirectory() as output:
        command = [sys.executable, __file__, "--child", kind, str(folder), str(number), output]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


HEAD = """# Shards

Made by `benchmarks/shards.py` on {machine}. Medians of {repeats} processes.

Each process trains a small VAE on pictures of {side}×{side} for one epoch, with a shuffle buffer of 2,048 pictures.

| data | training images | MiB | training images | MiB | difference |
|---|---|---|---|---|---|
"""


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--number", type=int, default=3000, help="images of the smaller set (default: %(default)s)")
    parser.add_argument("--repeats", type=int, default=3, help="default: %(default)s")
    parser.add_argument("--output", type=pathlib.Path, default=pathlib.Path(__file__).with_suffix(".md"))
    parser.add_argument("--child", nargs=4, help=argparse.SUPPRESS)
    flags = parser.parse_args(argv)
    if flags.child:
        kind, folder, number, output = flags.child
        print(json.dumps(run(kind, folder, int(number), output)))
        return
    sizes = (flags.number, 8 * flags.number)
    with tempfile.TemporaryDirectory() as scratch:
        folders = {number: pathlib.Path(scratch, str(number)) for number in sizes}
        for number, folder in folders.items():
            for kind in FORMATS:
                data.write_shards(jpegs(number), folder / f"a-{{0..7}}.{kind}")
        found = {(kind, number): [] for kind in (*FORMATS, "memory") for number in sizes}
        for _ in range(flags.repeats):
            for (kind, number), runs in found.items():
                runs.append(measure(kind, folders[number], number))
        speeds = {kind: speed(folders[sizes[1]], kind) for kind in FORMATS}
    import machine

    lines = []
    for kind in (*FORMATS, "memory"):
        few, many = (statistics.median(each["MiB"] for each in found[kind, number]) for number in sizes)
        numbers = [found[kind, number][0]["images"] for number in sizes]
        name = "images in memory" if kind == "memory" else f"{kind} shards"
        cells = f"{numbers[0]:,} | {few:.0f} | {numbers[1]:,} | {many:.0f} | {many / few - 1:+.1%}"
        lines.append(f"| {name} | {cells} |")
    lines += ["", "| reading alone | images a second | images per second of the CPU |", "|---|---|---|"]
    lines += [f"| {kind} | {clock:,.0f} | {cpu:,.0f} |" for kind, (clock, cpu) in speeds.items()]
    head = HEAD.format(machine=machine.line(), repeats=flags.repeats, side=SIDE)
    files.write_text(flags.output, head + "\n".join([*lines, ""]))
    print(flags.output.read_text())


if __name__ == "__main__":
    main()
