"""Compares an exported model with the original: the same inputs must give the same numbers, row by row."""

import math
import pathlib
from collections.abc import Sequence
from typing import NotRequired, TypedDict

import keras
import numpy as np

from zoo import random
from zoo.export import flatbuffer, onnx, runtimes, saved_model, signatures
from zoo.fitting.inputs import look, require_floating, require_integers
from zoo.likelihoods import Masked
from zoo.runtime import checks
from zoo.runtime.types import ArrayLike, Arrays, Cases, PathLike, Tensor

TOLERANCE = 1e-4
ROWS = 8
_HEAD = {"signature": "signature", "output": "output"}
_SAMPLED = (signatures.OBSERVED, "sample_columns")  # the signatures whose outputs are sampled from p(x|z)
_SPARED = 0.01
_NEAR = 1e-6  # of a squared length: what rounding may change in the squared distances that choose a code
# Includes the ends of the range of seeds.
_SEEDS = (0, 1, -1, 2**31 - 1, -(2**31), 12345, -98765, 2**20)
_TEMPERATURES = (1.0, 1.0, 0.7, 1.0, 0.5, 1.0, 0.0, 1.0)


class Row(TypedDict):
    """The difference between an output of an export and the model's. `psnr` is for images, in decibels."""

    signature: str
    output: str
    rows: int
    largest: float
    psnr: NotRequired[float]
    allowed: float
    passed: bool


class ParityError(RuntimeError):
    """The exported model gives other numbers than the model."""


def check(
    path: PathLike, model: keras.Model, images: ArrayLike | None = None, labels: ArrayLike | None = None
) -> list[Row]:
    """Runs every signature of an exported model and of the model itself on the same inputs, and prints a table.

    The difference of an output is the largest |a − b| / max(1, |a|), and may be at most 1e-4, for data times the
    `sensitivity` of the likelihood; integers and texts must be identical, but for two codes whose vectors are so near
    each other, within a thousandth of their length, that rounding decides between them. Of the output of
    `sample_observed`, one value in a hundred may differ by more: rounding decides on which side of a threshold a value
    lies that is sampled as 0 or 1, a level or a class. For a SavedModel and for ONNX files each row is also run alone,
    as a row must not depend on its batch. A quantised file has no limit: the table then shows the cost of quantisation.

    Args:
        path: str or path, a version folder, a model's folder (its newest version), a `.tflite` file or a folder of ONNX
            files.
        model: the model that was exported.
        images: float `[N,H,W,C]` in [0, 1], or None for images that the model makes.
        labels: int32 `[N]` or float32 `[N,d]`, for a conditional model; None for all its classes in turn, or for
            attributes between 0 and 1.

    Returns:
        list of dicts, one for each output: `signature`, `output`, `rows`, `largest`, `allowed` and `passed`; and for
        images `psnr`, decibels.

    Raises:
        ValueError: if `path` is no exported model, or the model's weights are not finite.
        ImportError: for ONNX files, if the packages of `vae-zoo[onnx]` are missing.
    """
    path = pathlib.Path(path)
    require_finite(model)
    model = runtimes.in_float32(model)
    runtime = _open(path)
    reference = runtimes.Keras(model, signatures.OBSERVED in runtime.names)
    lacking = sorted({*reference.names} - {*runtime.names})
    if lacking:
        checks.fail("path", f"an export of this {type(model).__name__}", f"{path}, without {', '.join(lacking)}")
    inputs = cases(model, reference, images, labels)
    try:
        rows = compare(reference, runtime, inputs, _tolerance(path))
    except Exception as error:  # each runtime has errors of its own
        received = f"{path}, which does not take its data: {' '.join(str(error).split())[:200]}"
        checks.fail("path", f"an export of this {type(model).__name__}", received)
    print(table(runtime.name, rows))
    return rows


def require_finite(model: keras.Model) -> None:
    """Raises ValueError for the first weight with NaN or infinite values, as no runtime could agree with it."""
    for weight in model.weights:
        if "float" not in weight.dtype:
            continue
        values = np.asarray(weight.numpy(), np.float64)  # NumPy itself has no bfloat16
        number = values.size - np.count_nonzero(np.isfinite(values))
        if number:
            raise ValueError(
                f"Expected all weights to be finite. Received: {weight.path}, where {number} of {values.size} values "
                "are NaN or infinite"
            )


def _open(path):
    if path.suffix == ".tflite" and path.is_file():
        return runtimes.LiteRT(path)
    if onnx.is_exported(path):
        return runtimes.ONNX(path)
    if path.is_dir() and not (path / "saved_model.pb").exists():
        path = [path, *saved_model.versions(path)][-1]
    if (path / "saved_model.pb").exists():
        return runtimes.SavedModel(path)
    expected = "an exported model: a `.tflite` file, or a folder with a SavedModel or with ONNX files"
    return checks.fail("path", expected, str(path))


def _tolerance(path):
    quantized = path.suffix == ".tflite" and flatbuffer.read_metadata(path).get("quantization")
    return math.inf if quantized else TOLERANCE


def cases(
    model: keras.Model, reference: runtimes.Keras, images: ArrayLike | None = None, labels: ArrayLike | None = None
) -> dict[str, Arrays]:
    """Inputs for each signature: a dict of names to dicts of arrays, `ROWS` rows or those of `images`."""
    x = checks.numpy_array("images", own_images(model) if images is None else images)
    require = require_integers if model.data_dtype == "int32" else require_floating
    require("images", x)
    x = x.astype(model.data_dtype)
    if x.shape[1:] != model.image_shape or not len(x):
        checks.fail("images", f"of the shape [N, {', '.join(map(str, model.image_shape))}]", x.shape)
    look([model.data_values("images", x)])
    given: Arrays = {signatures.data_name(model): x}
    number = len(x)
    given["seed"] = np.concatenate([np.array(_SEEDS, np.int32), random.row_seeds(0, number)])[:number]
    given["temperature"] = np.resize(np.array(_TEMPERATURES, np.float32), number)
    if any("mask" in signature.inputs for signature in reference.signatures.values()):
        uniform = np.asarray(random.uniform(random.row_seeds(2, number), model.image_shape))
        given["mask"] = (uniform < 0.5).astype(np.float32)
    if model.label_source() is None and labels is not None:
        raise ValueError(f"Expected no `labels`, as {type(model).__name__} is not conditional. Received: {labels!r}")
    if model.label_source() is not None:
        judge = model.label_source()
        labels = _own_labels(judge, number) if labels is None else judge._check_labels(np.asarray(labels), number)
        look([judge.label_values(labels)])
        given["labels"] = np.asarray(labels, judge.label_spec[0])
    latents = next(name for name in reference.signatures["decode"].inputs if name != "labels")
    source = "sample" if "sample" in reference.signatures else "encode"
    output = latents if source == "sample" or latents == "codes" else "mean"
    given[latents] = reference.run(source, **_inputs(reference, source, given))[output]
    return {name: _inputs(reference, name, given) for name in reference.signatures}


def _inputs(reference, signature, given):
    return {name: given[name] for name in reference.signatures[signature].inputs}


def own_images(model: keras.Model) -> Tensor:
    """Samples of the model, or reconstructions of noise if it cannot sample: `ROWS` of them."""
    if not model.can_sample:
        noise = random.uniform(random.row_seeds(0, ROWS), model.image_shape)
        if isinstance(model.likelihood, Masked):
            values, share = np.split(np.asarray(noise), 2, axis=-1)
            noise = Masked.beside(values, share < 0.5)
        return model.reconstruct(noise)
    source = model.label_source()
    return model.sample(ROWS, seed=0, labels=None if source is None else _own_labels(source, ROWS))


def _own_labels(source, number):
    """All classes in turn, or attributes between 0 and 1."""
    if source.num_classes is not None:
        return np.resize(np.arange(source.num_classes, dtype=np.int32), number)
    return np.asarray(random.uniform(random.row_seeds(1, number), source.label_spec[1]))


def compare(
    reference: runtimes.Keras, runtime: runtimes.Runtime, cases: Cases, tolerance: float = TOLERANCE
) -> list[Row]:
    """The rows of `check`."""
    rows = []
    for signature, inputs in cases.items():
        expected = reference.run(signature, **inputs)
        received = [runtime.run(signature, **inputs)]
        if isinstance(runtime, runtimes.SavedModel | runtimes.ONNX):
            received.append(_one_by_one(runtime, signature, inputs))
        for output, values in expected.items():
            spared = _SPARED if signature.startswith(_SAMPLED) else 0.0
            others = [other[output] for other in received]
            if (signature, output) == ("encode", "codes"):
                others = [_with_alike_codes_the_same(reference, values, other) for other in others]
            largest = max(_largest(values, other, spared) for other in others)
            allowed = 0.0 if values.dtype.kind != "f" and tolerance < math.inf else tolerance
            allowed *= getattr(reference, "sensitivity", {}).get(output, 1.0)
            row = Row(
                signature=signature, output=output, rows=len(values), largest=largest, allowed=allowed,
                passed=bool(largest <= allowed),
            )  # fmt: skip
            if output == "image":
                row["psnr"] = psnr(values, received[0][output])
            rows.append(row)
    return rows


def _one_by_one(runtime, signature, inputs):
    number = len(next(iter(inputs.values())))
    parts = [
        runtime.run(signature, **{name: value[i : i + 1] for name, value in inputs.items()})
        for i in range(min(number, ROWS))
    ]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _with_alike_codes_the_same(reference, expected, received):
    """`received` codes, with those of `expected` wherever both stand for nearly the same vector.

    A codebook has such codes where a batch has fewer different vectors than there are codes, as with silence or a white
    border. Rounding decides which of them is nearest. What is decoded of them must agree as all else.
    """
    expected = expected[: len(received)]
    if expected.shape != received.shape or not np.all((received >= 0) & (received < reference.num_codes)):
        return received
    first, second = (np.asarray(reference.lookup(codes)) for codes in (expected, received))
    alike = np.sum((first - second) ** 2, axis=-1) <= _NEAR * np.sum(first**2, axis=-1)
    per_vector = received.shape[-1] // alike.shape[-1]  # several codes of a residual quantizer
    return np.where(np.repeat(alike, per_vector, axis=-1), expected, received)


def _largest(expected, received, spared=0.0):
    """The largest |a − b| / max(1, |a|), but for a share of the values; NaN if either is. Of texts 0 or infinity."""
    expected = expected[: len(received)]
    if expected.shape != received.shape or expected.dtype != received.dtype:
        return math.inf
    if expected.dtype.kind == "O":
        differ = int(np.sum(expected != received))
        return 0.0 if differ <= spared * expected.size else math.inf
    expected, received = expected.astype(np.float64), received.astype(np.float64)
    errors = np.sort(np.abs(expected - received) / np.maximum(1.0, np.abs(expected)), axis=None)
    return float(errors[-1] if np.isnan(errors[-1]) else errors[len(errors) - 1 - int(spared * len(errors))])


def psnr(expected: np.ndarray, received: np.ndarray) -> float:
    """Peak signal-to-noise ratio of images in [0, 1], decibels, capped at 200 (equal images)."""
    error = np.mean((expected.astype(np.float64) - received) ** 2)
    return float(min(200.0, -10.0 * np.log10(max(error, 1e-20))))


def require(reference: runtimes.Keras, runtime: runtimes.Runtime, cases: Cases) -> list[Row]:
    """The rows of `check`, printed; raises ParityError unless all of them passed."""
    rows = compare(reference, runtime, cases)
    print(table(runtime.name, rows))
    failed = [row for row in rows if not row["passed"]]
    if failed:
        listed = ", ".join(
            f"{row['largest']:.2g}, not {row['allowed']:.2g} at most, in {row['output']} of {row['signature']}"
            for row in failed
        )
        raise ParityError(f"Expected the {runtime.name} to agree with the model. Received: differences of {listed}")
    return rows


def cost(reference: runtimes.Runtime, runtime: runtimes.Runtime, cases: Cases) -> dict[str, float]:
    """Measures and prints the cost of quantisation.

    Returns:
        dict of floats: PSNR of images, decibels; change of `log_prob`, nats; share of codes that are the same; largest
        error of other outputs.

    Raises:
        ParityError: if an output is not finite.
    """
    figures = {}
    for signature, inputs in cases.items():
        expected, received = reference.run(signature, **inputs), runtime.run(signature, **inputs)
        for output, values in expected.items():
            key = f"{signature}_{output}"
            if not np.all(np.isfinite(received[output])):
                raise ParityError(f"Expected finite numbers. Received: {output} of {signature} that are not")
            if output == "image":
                figures[f"{signature}_psnr"] = psnr(values, received[output])
            elif signature.startswith(_SAMPLED):
                figures[f"{key}_kept"] = float(np.mean(np.isclose(values, received[output], atol=TOLERANCE)))
            elif output == "log_prob":
                figures["log_prob_change"] = float(np.mean(received[output] - values))
                figures["log_prob_mean"] = float(np.mean(values))
            elif values.dtype.kind == "i":  # codes, or tokens
                figures[f"{key}_kept"] = float(np.mean(values == received[output]))
            else:
                figures[f"{key}_error"] = float(np.max(np.abs(values - received[output])))
    figures["images"] = len(next(iter(cases["reconstruct"].values())))
    print("quantisation: " + "  ".join(f"{name} {value:.4g}" for name, value in figures.items()))
    return figures


def table(name: str, rows: Sequence[Row]) -> str:
    """The rows of `check` as a text table, under the name of the runtime."""
    first, second = (max(len(str(row[key])) for row in (_HEAD, *rows)) for key in ("signature", "output"))
    lines = [f"{name} beside Keras", f"{'signature':<{first}}  {'output':<{second}}  rows  largest difference  allowed"]
    for row in rows:
        mark = "" if row["passed"] else "  too large"
        lines.append(
            f"{row['signature']:<{first}}  {row['output']:<{second}}  {row['rows']:>4}  {row['largest']:>18.2e}  "
            f"{row['allowed']:>7.0e}{mark}"
        )
    return "\n".join(lines)
