"""How fast models train here, beside the usual ways to train the same networks on the same images.

    python benchmarks/training.py --data-dir DIR --torch-python /path/of/another/venv/bin/python

Needs `pip install vae-zoo[benchmarks]`, here or in the environment that `--torch-python` names. Each contender is a
process of its own, from `benchmarks/contenders/`; they take turns, --rounds times over. Figures are medians over the
rounds. Writes the tables of `benchmarks/training.md`, and leaves what is below them.
"""

import argparse
import json
import math
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile

from zoo import data
from zoo.runtime import checks, files

import keras
import machine
import numpy as np
from contenders import matmul, ours

CONTENDERS = {
    "ours": "this project",
    "torch_usual": "usual PyTorch script",
    "torch_tuned": "PyTorch, tuned by hand",
    "pythae_trainer": "Pythae",
    "keras_example": "keras.io's example",
}
NEED_TORCH = ("torch_usual", "torch_tuned", "pythae_trainer")
DATASETS = {"mlp_vae": "mnist", "conv_vae": "mnist", "vq_vae": "cifar10"}
ONLY = {"pythae_trainer": ("mlp_vae",), "keras_example": ("mlp_vae", "conv_vae")}
IN_BFLOAT16 = ("ours", "torch_tuned")
THREADS = ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
_EXECUTION = 10  # runs are of a multiple of as many steps, which divides what a recipe puts into one call


class Worker:
    """A contender's process. What it says goes to `log`, a path."""

    def __init__(self, contender, model, precision, images, flags, log):
        self.name, self._log = contender, log
        python = flags.torch_python if contender in NEED_TORCH else sys.executable
        script = pathlib.Path(__file__).parent / "contenders" / "worker.py"
        arguments = [contender, model, precision, images, flags.batch_size, flags.threads]
        self.process = subprocess.Popen(
            [python, script, *map(str, arguments)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=log.open("w"), text=True,
            env=os.environ | dict.fromkeys(THREADS, str(flags.threads)),
        )  # fmt: skip

    def ask(self, steps):
        print(steps, file=self.process.stdin, flush=True)

    def answer(self):
        """The next line that it prints, a dict.

        Raises:
            RuntimeError: if it ended instead, with the last of what it said.
        """
        line = self.process.stdout.readline()
        if not line:
            said = "\n".join(self._log.read_text().splitlines()[-15:])
            raise RuntimeError(f"{self.name} ended with status {self.process.wait()}:\n{said}")
        return json.loads(line)

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def contenders_of(model, precision, chosen):
    names = IN_BFLOAT16 if precision == "bfloat16" else CONTENDERS
    return [name for name in names if name in chosen and model in ONLY.get(name, (model,))]


def steps_of(seconds, per_second, per_epoch):
    """The number of steps of a run that is to take `seconds`: some tens of steps, or whole epochs."""
    steps = max(_EXECUTION, round(seconds * per_second / _EXECUTION) * _EXECUTION)
    return steps if steps < per_epoch else steps // per_epoch * per_epoch


def measure(model, precision, images, flags, folder):
    """The results of each contender: its parameters, its loss after the first steps, and those of each round."""
    path = folder / f"{model}.npy"
    np.save(path, images)
    per_epoch = len(images) // flags.batch_size
    names = contenders_of(model, precision, flags.contender)
    workers, results = [], {}
    try:
        for name in names:  # one by one, as some choose by their first steps how they are fastest
            workers.append(Worker(name, model, precision, path, flags, folder / f"{name}.log"))
            results[name] = workers[-1].answer() | {"rounds": []}
        for worker in workers:
            worker.ask(flags.check_steps)
        for worker in workers:  # they warm up, and compile, side by side
            worker.answer()
        steps = {}
        for worker in workers:
            worker.ask(_EXECUTION)
            first = worker.answer()
            results[worker.name]["loss"] = first["loss"]
            steps[worker.name] = steps_of(flags.seconds, _EXECUTION / first["seconds"], per_epoch)
        for _ in range(flags.rounds):
            for worker in workers:
                worker.ask(steps[worker.name])
                images_seen = steps[worker.name] * flags.batch_size
                results[worker.name]["rounds"].append(worker.answer() | {"images": images_seen})
    finally:
        for worker in workers:
            worker.close()
    return results


def summary(results, flops, peak):
    """What the table says of each contender.

    Args:
        results: of `measure`.
        flops: floating-point operations to train on one image.
        peak: operations a second that the machine manages.

    Returns:
        dict of dicts: the medians `per_second` and `per_cpu_second`, images; `ratio`, how many times faster "ours" is;
        `share` of the peak; `parameters`; `loss`.
    """
    rows = {}
    for name, result in results.items():
        per_second = statistics.median(run["images"] / run["seconds"] for run in result["rounds"])
        per_cpu_second = statistics.median(run["images"] / run["cpu_seconds"] for run in result["rounds"])
        rows[name] = {
            "per_second": per_second,
            "per_cpu_second": per_cpu_second,
            "share": per_second * flops / peak,
            "parameters": result["parameters"],
            "loss": result["loss"],
        }
    for row in rows.values():
        row["ratio"] = rows["ours"]["per_second"] / row["per_second"]
        row["cpu_ratio"] = rows["ours"]["per_cpu_second"] / row["per_cpu_second"]
    return rows


def unlike(rows, tolerance):
    """What says that two contenders did not train the same: a list of sentences, empty where all did."""
    mine, found = rows["ours"], []
    for name, row in rows.items():
        if row["parameters"] != mine["parameters"]:
            found.append(f"{name} has {row['parameters']} parameters, ours {mine['parameters']}")
        if not abs(row["loss"] - mine["loss"]) <= tolerance * abs(mine["loss"]):
            found.append(f"{name} has a loss of {row['loss']:.4g} after the first steps, ours {mine['loss']:.4g}")
    return found


def forward_flops(network):
    """Floating-point operations of a functional Keras model's matrix products and convolutions, for one example."""
    total = 0
    for layer in network.layers:
        if isinstance(layer, keras.layers.Dense):
            total += 2 * math.prod(layer.kernel.shape)
        elif isinstance(layer, (keras.layers.Conv2D, keras.layers.Conv2DTranspose)):
            # A transposed convolution has a product for each place of its input.
            transposed = isinstance(layer, keras.layers.Conv2DTranspose)
            places = (layer.input if transposed else layer.output).shape[1:3]
            total += 2 * math.prod(layer.kernel.shape) * math.prod(places)
    return total


def training_flops(model):
    """Operations to train on one example: forwards, and twice that backwards; a codebook's distances, forwards."""
    total = 3 * (forward_flops(model.encoder) + forward_flops(model.decoder))
    quantizer = getattr(model, "quantizer", None)
    if quantizer is not None:
        total += 2 * math.prod(model.encoder.output.shape[1:]) * quantizer.num_codes
    return total


def matmul_peak(precision, flags, folder):
    """Floating-point operations a second of a large matrix product: the best of some runs."""
    path = folder / "none.npy"
    np.save(path, np.zeros(0))
    worker = Worker("matmul", "", precision, path, flags, folder / "matmul.log")
    try:
        worker.answer()
        taken = []
        for _ in range(flags.rounds + 1):
            worker.ask(3)
            taken.append(worker.answer()["seconds"] / 3)
    finally:
        worker.close()
    return matmul.FLOPS / min(taken)


HEAD = """# Training

Made by `benchmarks/training.py` on {machine}.

{rounds} rounds of about {seconds:g} s for each contender, in turn, on {threads} threads, batch {batch_size}. Medians.
The ratios say how many times as many images this project takes in a second, and in a second of CPU. `of peak` is the
share of the largest measured speed of a matrix product of 2048: {peaks}. `loss` is in nats per example, over
{check} steps after the first {check_steps}.
"""


def section(model, precision, rows, flops):
    lines = [f"## {model}, {precision}", "", f"{flops / 1e6:.1f} million operations an image.", ""]
    titles = ("images a second", "ratio", "a CPU second", "ratio", "of peak", "parameters", "loss")
    lines += [f"| | {' | '.join(titles)} |", "|---" * (1 + len(titles)) + "|"]
    for name, row in rows.items():
        lines.append(
            f"| {CONTENDERS[name]} | {row['per_second']:.0f} | {row['ratio']:.2f} | {row['per_cpu_second']:.0f} | "
            f"{row['cpu_ratio']:.2f} | {row['share']:.1%} | {row['parameters']} | {row['loss']:.1f} |"
        )
    return "\n".join([*lines, ""])


BELOW = "## Where the time goes"  # the first of what is written by hand


def write(path, page):
    """Writes the page, and leaves what another had by hand."""
    before = path.read_text() if path.exists() else ""
    by_hand = before[before.index(BELOW) :] if BELOW in before else ""
    files.write_text(path, "\n".join([*page, by_hand]))


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--model", action="append", choices=DATASETS, help="may be repeated; default: all")
    add("--precision", action="append", choices=("float32", "bfloat16"), help="may be repeated; default: both")
    add("--contender", action="append", choices=CONTENDERS, help="beside this project; may be repeated; default: all")
    add("--torch-python", default=sys.executable, help="the interpreter that has PyTorch and Pythae (default: this)")
    add("--data-dir", help="where TFDS finds the datasets")
    add("--sample", action="store_true", help="take the bundled samples of the datasets")
    add("--rounds", type=int, default=5, help="default: %(default)s")
    add("--seconds", type=float, default=5.0, help="of a run, which is a `fit` of its own (default: %(default)s)")
    add("--check-steps", type=int, default=60, help="a multiple of 10, before the losses are compared")
    add("--tolerance", type=float, default=0.1, help="by how much the losses may differ (default: %(default)s)")
    add("--batch-size", type=int, default=128, help="default: %(default)s")
    add("--threads", type=int, default=2, help="default: %(default)s")
    add("--output", type=pathlib.Path, default=pathlib.Path(__file__).with_suffix(".md"), help="default: %(default)s")
    flags = parser.parse_args(argv)
    for name in ("rounds", "check_steps", "batch_size", "threads"):
        checks.positive_int("--" + name.replace("_", "-"), getattr(flags, name))
    flags.contender = {"ours", *(flags.contender or CONTENDERS)}
    precisions = flags.precision or ("float32", "bfloat16")
    with tempfile.TemporaryDirectory() as folder:
        peaks = {precision: matmul_peak(precision, flags, pathlib.Path(folder)) for precision in precisions}
    page = [
        HEAD.format(
            machine=machine.line(), rounds=flags.rounds, seconds=flags.seconds, threads=flags.threads,
            batch_size=flags.batch_size, check=_EXECUTION, check_steps=flags.check_steps,
            peaks=", ".join(f"{peak / 1e9:.0f} GFLOP/s in {precision}" for precision, peak in peaks.items()),
        )
    ]  # fmt: skip
    different = []
    for model in flags.model or DATASETS:
        images = data.load(DATASETS[model], flags.data_dir, sample=flags.sample).train.images
        images = images[: len(images) // (_EXECUTION * flags.batch_size) * _EXECUTION * flags.batch_size]
        flops = training_flops(ours.MODELS[model]())
        for precision in precisions:
            with tempfile.TemporaryDirectory() as folder:
                results = measure(model, precision, images, flags, pathlib.Path(folder))
            rows = summary(results, flops, peaks[precision])
            page.append(section(model, precision, rows, flops))
            print(page[-1], flush=True)
            # Where a VQ-VAE is after some tens of steps depends on which codes came to life: two runs of one differ.
            tolerance = math.inf if model == "vq_vae" else flags.tolerance
            different += [f"{model}, {precision}: {sentence}" for sentence in unlike(rows, tolerance)]
    if different:
        raise SystemExit("Not the same mathematics, so that nothing is written:\n" + "\n".join(different))
    write(flags.output, page)


if __name__ == "__main__":
    main()
