"""How the cost of training grows with the data, the batch and the width: time and the largest size of the process.

    python benchmarks/scaling.py --data-dir DIR

Writes `benchmarks/scaling.md` and `docs/training_cost.png`. A convolutional VAE is trained on a quarter, half and all
of the training images of CIFAR-10, with and without `--no-cache`, then on a quarter with one, two and four times the
batch and the width. Each setting is a process of its own. Linux only, as sizes come from /proc. Takes four minutes on
two CPU cores.
"""

import argparse
import json
import os
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
FACTORS = (1, 2, 4)
BASE = {"data": 1, "batch": 1, "width": 1, "no_cache": 0}
QUARTER, BATCH, FILTERS = 12_500, 64, 16  # of the factor 1
IMAGE_BYTES = 32 * 32 * 3
EXECUTION = 8  # steps in one call of the graph


def settings():
    """All settings: those of each axis, and with its factor 1 in common."""
    data = [BASE | {"data": factor, "no_cache": no_cache} for no_cache in (0, 1) for factor in FACTORS]
    return data + [BASE | {axis: factor} for axis in ("batch", "width") for factor in FACTORS[1:]]


def train(setting, data_dir, folder, blocks):
    """Trains in this process; gives its figures."""
    import zoo
    from zoo import data, networks

    import tensorflow as tf

    end = QUARTER * setting["data"]
    data.SOURCES["cifar10"] = data.Source(train=f"train[:{end}]", test="test[:1000]")
    splits = data.load("cifar10", data_dir, disk_folder=folder if setting["no_cache"] else None)
    batch_size, filters = BATCH * setting["batch"], FILTERS * setting["width"]
    shape = splits.train.images.shape[1:]
    encoder = networks.conv_encoder(shape, 32, filters=(filters, 2 * filters), dense=4 * filters)
    decoder = networks.conv_decoder(shape, 32, filters=(2 * filters, filters), dense=4 * filters)
    model = zoo.VAE(encoder, decoder, "bernoulli", seed=0)
    model.compile("adam", steps_per_execution=EXECUTION)
    batches = data.batches(splits.train, batch_size, shuffle=True, epochs=None)
    # Whole executions only: of an epoch all but the last few steps, and fewer where a step is larger.
    steps = len(splits.train) // (BATCH * setting["batch"] * setting["width"]) // EXECUTION * EXECUTION
    model.fit(batches, steps_per_epoch=EXECUTION, verbose=0, shuffle=False)  # holds the tracing
    wall, cpu = [], []
    for _ in range(blocks):
        clock, times = time.perf_counter(), os.times()
        model.fit(batches, steps_per_epoch=steps, verbose=0, shuffle=False)
        now = os.times()
        wall.append((time.perf_counter() - clock) / steps)
        cpu.append((now.user + now.system - times.user - times.system) / steps)
    model.evaluate(data.batches(splits.validation, batch_size), verbose=0)
    peak = re.search(r"VmHWM:\s+(\d+) kB", pathlib.Path("/proc/self/status").read_text())[1]
    forward = tf.function(model.reconstruct).get_concrete_function(tf.TensorSpec((1, *shape)))
    operations = tf.compat.v1.profiler.ProfileOptionBuilder.float_operation()
    flops = tf.compat.v1.profiler.profile(forward.graph, options={**operations, "output": "none"}).total_float_ops
    return {
        "images": len(splits.train),
        "wall": statistics.median(wall),
        "cpu": statistics.median(cpu),
        "peak": int(peak) / 2**10,
        "parameters": model.count_params(),
        "flops": flops,
    }


def of_axis(rows, axis, no_cache=0):
    """The rows in which no other axis than this one differs from 1, in order of its factors."""
    others = [name for name in ("data", "batch", "width") if name != axis]
    found = [row for row in rows if row["no_cache"] == no_cache and all(row[name] == 1 for name in others)]
    return sorted(found, key=lambda row: row[axis])


def per_epoch(row, clock="cpu"):
    """Seconds of an epoch."""
    return row[clock] * row["images"] / (BATCH * row["batch"])


def times(rows, figure):
    """How many times the first row's figure each one's is: "1.00, 2.03, 4.10"."""
    return ", ".join(f"{figure(row) / figure(rows[0]):.2f}" for row in rows)


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows), ""])


PAGE = """# What training costs as it grows

Made by `benchmarks/scaling.py` on {machine}.

A convolutional VAE on CIFAR-10, float32; the median of {blocks} blocks of steps, without the first, which hold the
tracing. Peaks are the largest size of the whole process, TensorFlow itself included, from its start to the end of a
validation. Seconds of the CPU are steadier than those by the clock where other work goes on.

![Time and memory against data, batch and width](../docs/training_cost.png)

## Data

{on_data}
Expected: an epoch's time grows as the images do, 1, 2, 4. Measured: {epochs}; with `--no-cache` {uncached}.

Each MiB of training images adds {growth[0]:.2f} MiB to the peak, and {growth[1]:.2f} with `--no-cache`. The cache is
more than one copy: the split is cut while the whole is still held, and TensorFlow has its own copy of the training
images.

## Batch

{on_batch}
Expected: a step's time grows at most as the batch does, 1, 2, 4, as what a step costs whatever its batch is shared by
more images. Measured: {steps}.

## Width

{on_width}
Expected: the matrix products, and with them parameters and operations, grow with the square of the width, 1, 4, 16, but
for the first and the last layer; everything else, activations and their memory, in proportion to it. So a step's time
grows by less than the square, and nearer to it the wider the network is. Measured: operations {operations};
CPU seconds {seconds}.
"""


def page(rows, flags):
    """`scaling.md`."""
    import machine

    cached, uncached = of_axis(rows, "data"), of_axis(rows, "data", no_cache=1)
    batch, width = of_axis(rows, "batch"), of_axis(rows, "width")
    more = (cached[-1]["images"] - cached[0]["images"]) * IMAGE_BYTES / 2**20
    growth = [(part[-1]["peak"] - part[0]["peak"]) / more for part in (cached, uncached)]
    on_data = table(
        ["training images", "MiB", "CPU, s an epoch", "with `--no-cache`", "clock, s", "with `--no-cache`", "peak, MiB",
         "with `--no-cache`"],
        [
            [f"{a['images']:,}", f"{a['images'] * IMAGE_BYTES / 2**20:.0f}"]
            + [f"{per_epoch(row, clock):.2f}" for clock in ("cpu", "wall") for row in (a, b)]
            + [f"{row['peak']:.0f}" for row in (a, b)]
            for a, b in zip(cached, uncached)
        ],
    )  # fmt: skip
    on_batch = table(
        ["batch", "CPU, ms a step", "ms an image", "clock, ms a step", "peak, MiB"],
        [
            [str(BATCH * row["batch"]), f"{1e3 * row['cpu']:.1f}", f"{1e3 * row['cpu'] / BATCH / row['batch']:.3f}",
             f"{1e3 * row['wall']:.1f}", f"{row['peak']:.0f}"]
            for row in batch
        ],
    )  # fmt: skip
    on_width = table(
        ["filters", "parameters", "operations of a forward pass, M", "CPU, ms a step", "clock, ms a step", "peak, MiB"],
        [
            [f"{FILTERS * row['width']}, {2 * FILTERS * row['width']}", f"{row['parameters']:,}",
             f"{row['flops'] / 1e6:.1f}", f"{1e3 * row['cpu']:.1f}", f"{1e3 * row['wall']:.1f}", f"{row['peak']:.0f}"]
            for row in width
        ],
    )  # fmt: skip
    return PAGE.format(
        machine=machine.line(), blocks=flags.blocks, on_data=on_data, on_batch=on_batch, on_width=on_width,
        epochs=times(cached, per_epoch), uncached=times(uncached, per_epoch), growth=growth,
        steps=times(batch, lambda row: row["cpu"]), operations=times(width, lambda row: row["flops"]),
        seconds=times(width, lambda row: row["cpu"]),
    )  # fmt: skip


def draw(rows, path):
    """`training_cost.png`: time above, memory below; a column for each axis."""
    import matplotlib

    matplotlib.use("Agg")
    from zoo.runtime import files

    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(2, 3, figsize=(11, 6), layout="constrained", sharex=True)
    for column, (axis, label) in enumerate(zip(("data", "batch", "width"), ("images", "batch", "width"))):
        for number, no_cache in enumerate((0, 1) if axis == "data" else (0,)):
            found = of_axis(rows, axis, no_cache)
            factors = [row[axis] for row in found]
            name = "--no-cache" if no_cache else "in memory" if axis == "data" else "measured"
            seconds = [per_epoch(row) if axis == "data" else row["cpu"] for row in found]
            axes[0, column].plot(factors, seconds, "o-", color=f"C{number}", label=name)
            axes[1, column].plot(factors, [row["peak"] for row in found], "o-", color=f"C{number}", label=name)
            if not no_cache:
                axes[0, column].plot(
                    factors, [seconds[0] * factor for factor in factors], "k:", linewidth=1, label="in proportion"
                )
            if axis == "width":
                squares = [seconds[0] * factor**2 for factor in factors]
                axes[0, column].plot(factors, squares, "k--", linewidth=1, label="as its square")
        axes[0, column].set_ylabel("CPU seconds " + ("an epoch" if axis == "data" else "a step"))
        axes[1, column].set_ylabel("peak of the process, MiB")
        axes[1, column].set_xlabel(f"times the {label}")
        axes[1, column].set_xticks(FACTORS)
        axes[0, column].legend(fontsize="small")
        axes[0, column].set_ylim(bottom=0)
        axes[1, column].set_ylim(0, 1.1 * max(row["peak"] for row in rows))
    axes[1, 0].legend(fontsize="small")
    with files.replacing(path) as scratch:
        figure.savefig(scratch, dpi=110)
    plt.close(figure)


def measure(setting, flags):
    """The figures of one process."""
    with tempfile.TemporaryDirectory(dir=flags.scratch) as folder:
        command = [sys.executable, __file__, "--child", json.dumps(setting), "--scratch", folder]
        command += ["--data-dir", flags.data_dir] if flags.data_dir else []
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "2"}
        done = subprocess.run(
            [*command, "--blocks", str(flags.blocks)], capture_output=True, text=True, env=environment, check=False
        )  # fmt: skip
    if done.returncode:
        raise SystemExit(done.stderr)
    figures = json.loads(done.stdout.splitlines()[-1])
    print(setting, figures, flush=True)
    return setting | figures


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--data-dir", help="where TFDS finds CIFAR-10")
    add(
        "--blocks", type=int, default=2, help="timed in each process, of which the median counts (default: %(default)s)"
    )
    add(
        "--scratch", type=pathlib.Path, help="where --no-cache keeps the images (default: the system's folder for that)"
    )
    add("--output", type=pathlib.Path, default=pathlib.Path(__file__).with_suffix(".md"), help="default: %(default)s")
    add("--picture", type=pathlib.Path, default=ROOT / "docs" / "training_cost.png", help="default: %(default)s")
    add("--child", type=json.loads, help=argparse.SUPPRESS)
    flags = parser.parse_args(argv)
    if flags.child:
        print(json.dumps(train(flags.child, flags.data_dir, flags.scratch, flags.blocks)))
        return
    rows = [measure(setting, flags) for setting in settings()]
    from zoo.runtime import files

    draw(rows, flags.picture)
    files.write_text(flags.output, page(rows, flags))
    print(flags.output.read_text())


if __name__ == "__main__":
    main()
