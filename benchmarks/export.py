"""The cost of exports: the size of each file, the latency of each signature on one thread, the loss by quantisation.

    python benchmarks/export.py --model runs/mnist_cvae/model.keras --dataset mnist --data-dir DIR
    python benchmarks/export.py --model a/model.keras --model b/model.keras --dataset mnist --dataset cifar10

Writes `benchmarks/export.md`. Each model is exported as a SavedModel and as TFLite in float32, float16 and int8, and
measured on the first images of the *test* split of the dataset given in the same place. Where `ai-edge-quantizer` is
installed (`pip install ai-edge-quantizer`), its dynamic-range int8 stands beside the converter's.
"""

import argparse
import pathlib
import tempfile
import time

import zoo
from zoo import data
from zoo.export import parity, runtimes
from zoo.runtime import checks, files

import keras
import machine
import numpy as np

KINDS = {"float32": None, "float16": "float16", "int8": "int8"}


def latencies(path, cases, calls):
    """Median and smallest time of each signature for one row, milliseconds: a dict of pairs."""
    runtime = runtimes.LiteRT(path)
    found = {}
    for signature, inputs in cases.items():
        runner = runtime.interpreter.get_signature_runner(signature)
        row = {name: value[:1] for name, value in inputs.items()}
        times = []
        for call in range(calls + 5):
            start = time.perf_counter()
            runner(**row)
            if call >= 5:  # the first make room, and warm up
                times.append(1e3 * (time.perf_counter() - start))
        found[signature] = (float(np.median(times)), min(times))
    return found


def by_ai_edge_quantizer(path, target):
    """The float32 file with the other quantiser's int8 weights; None where it is not installed."""
    try:
        from ai_edge_quantizer import quantizer, recipe
    except ImportError:
        return None
    result = quantizer.Quantizer(str(path), recipe.dynamic_wi8_afp32()).quantize()
    target.write_bytes(bytes(result.quantized_model))
    return target


def measure(path, dataset, folder, flags):
    """The rows of one model's table, and its parity."""
    model = keras.saving.load_model(path)
    split = data.load(dataset, flags.data_dir, model.image_shape[:2], flags.sample).test
    images = split.images[: flags.images].astype(np.float32) / 255.0
    labels = split.labels[: flags.images] if model.conditional else None
    given = {"images": images, "labels": labels}
    model.export(folder / "saved_model", **given)
    written = {}
    for kind, quantization in KINDS.items():
        written[kind] = model.export(folder / f"{kind}.tflite", format="litert", quantization=quantization, **given)
    other = by_ai_edge_quantizer(written["float32"], folder / "other.tflite")
    if other is not None:
        written["int8, ai-edge-quantizer"] = other
    reference = runtimes.Keras(model)
    cases = parity.cases(model, reference, images, labels)
    rows = {}
    for kind, file in written.items():
        cost = parity.cost(reference, runtimes.LiteRT(file), cases)
        rows[kind] = {"bytes": file.stat().st_size, "latency": latencies(file, cases, flags.calls), "cost": cost}
    agreement = {
        name: zoo.export.check(exported, model, **given)
        for name, exported in (("SavedModel", folder / "saved_model"), ("LiteRT", written["float32"]))
    }
    return list(cases), rows, agreement


def section(name, signatures, rows, agreement):
    """One model's part of the page."""
    size = rows["float32"]["bytes"]
    lines = [f"## {name}", "", "| | size, KiB | of float32 | " + " | ".join(signatures) + " |"]
    lines.append("|---" * (3 + len(signatures)) + "|")
    for kind, row in rows.items():
        times = " | ".join("{:.2f} ({:.2f})".format(*row["latency"][signature]) for signature in signatures)
        lines.append(f"| {kind} | {row['bytes'] / 1024:.0f} | {row['bytes'] / size:.3f} | {times} |")
    names = [key for key in rows["float32"]["cost"] if key != "images"]
    lines += ["", f"| against Keras | {' | '.join(key.replace('_', ' ') for key in names)} |"]
    lines.append("|---" * (1 + len(names)) + "|")
    for kind, row in rows.items():
        lines.append(f"| {kind} | " + " | ".join(f"{row['cost'][key]:.4g}" for key in names) + " |")
    lines += ["", "| largest difference in float32 | SavedModel | LiteRT |", "|---|---|---|"]
    for ours, theirs in zip(agreement["SavedModel"], agreement["LiteRT"]):
        lines.append(f"| {ours['signature']}: {ours['output']} | {ours['largest']:.1e} | {theirs['largest']:.1e} |")
    return "\n".join([*lines, ""])


HEAD = """# Exports

Made by `benchmarks/export.py` on {machine}, LiteRT on one thread.

Latencies are in milliseconds for batch 1: the median, and in brackets the smallest, of {calls} calls. PSNR is in
decibels against the Keras model in float32, of images in [0, 1]; `log prob` in nats; `kept` the share of equal codes.
Measured on {images} images of each test split{sample}.
"""


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--model", action="append", required=True, type=pathlib.Path, help="a model.keras; may be repeated")
    add("--dataset", action="append", required=True, choices=data.SAMPLES, help="of the model in the same place")
    add("--data-dir", help="where TFDS finds the datasets")
    add("--sample", action="store_true", help="take the bundled samples of the datasets")
    add("--images", type=int, default=64, help="of the test split (default: %(default)s)")
    add("--calls", type=int, default=200, help="of each signature (default: %(default)s)")
    add("--output", type=pathlib.Path, default=pathlib.Path(__file__).with_suffix(".md"), help="default: %(default)s")
    flags = parser.parse_args(argv)
    for name in ("images", "calls"):
        checks.positive_int(f"--{name}", getattr(flags, name))
    if len(flags.dataset) != len(flags.model):
        parser.error(f"Expected as many `--dataset` as `--model`. Received: {len(flags.dataset)}, {len(flags.model)}")
    page = [
        HEAD.format(
            machine=machine.line(), calls=flags.calls, images=flags.images,
            sample=" of the bundled samples" if flags.sample else "",
        )
    ]  # fmt: skip
    for path, dataset in zip(flags.model, flags.dataset):
        with tempfile.TemporaryDirectory() as folder:
            name = path.resolve().parent.name
            print(f"{name}:")
            page.append(section(name, *measure(path, dataset, pathlib.Path(folder), flags)))
    files.write_text(flags.output, "\n".join(page))
    print(flags.output.read_text())


if __name__ == "__main__":
    main()
