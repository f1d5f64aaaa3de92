"""One way out for every model: write into a temporary place, check, rename."""

import json
import pathlib
from collections.abc import Mapping
from typing import Literal

import keras

import zoo
from zoo.export import flatbuffer, golden, litert, onnx, parity, runtimes, saved_model
from zoo.runtime import checks, cores, files, startup
from zoo.runtime.types import ArrayLike, PathLike

FORMATS = ("tf_saved_model", "litert", "onnx")
# Endings that no folder should have, and what to do instead.
_KERAS = 'a folder, or a file that ends in ".tflite"; Keras\'s own file is written by model.save("model.keras")'
_NO_FOLDERS = {
    ".tflite": 'a folder; a TFLite file takes format="litert", or none',
    ".onnx": 'a folder, as a signature is a file of its own: model.export("model", format="onnx")',
    ".keras": _KERAS,
    ".h5": _KERAS,
    ".pb": "a folder, in which `saved_model.pb` is then one of the files",
}


@cores.sub_batches(1)  # a graph that others are to run
def export(
    model: keras.Model,
    path: PathLike,
    format: Literal["tf_saved_model", "litert", "onnx"] | None = None,
    quantization: Literal["float16", "int8"] | None = None,
    batch_size: int = 1,
    images: ArrayLike | None = None,
    labels: ArrayLike | None = None,
    metadata: Mapping[str, object] | None = None,
) -> pathlib.Path:
    """Writes a model with all its signatures, sampling included; `zoo.export.signatures` lists them.

    What was written is compared with the model before it is put in place (`zoo.export.check`), and the table printed.
    Beside it lie the table, what quantisation costs, and golden vectors.

    ONNX files lie in a folder, one a signature, and take any batch; each holds the weights that it needs. Their inputs
    and outputs are called as in the SavedModel, but that `reconstruct` gives `image_out`.

    Args:
        model: a built model of the zoo. One of mixed precision is exported in float32.
        path: str or path. For "tf_saved_model" the folder of the model, in which the next free version number is
            taken, or that of a version, such as `digits/3`; for "litert" a file that ends in `.tflite`; for "onnx" a
            folder, in the place of an earlier one.
        format: "tf_saved_model", for TensorFlow and its servers, "litert", a TFLite file, or "onnx", for ONNX Runtime,
            which needs the packages of `pip install 'vae-zoo[onnx]'`; None for the one that the ending of `path` names:
            "litert" for ".tflite", else "tf_saved_model".
        quantization: None, "float16" or "int8", of the weights in a TFLite file. Its cost is measured: PSNR against
            the model in float32, decibels, and the change of `log_prob`, nats.
        batch_size: int >= 1, of a TFLite file's signatures; the others take any.
        images: float `[N,H,W,C]` in [0, 1], to check and measure with; None for images of the model's own.
        labels: int32 `[N]` or float32 `[N,d]`, for a conditional model; None for all its classes in turn, or for
            attributes between 0 and 1.
        metadata: dict with any of `name`, `version`, `description`, `author`, `license`, `training_data`, put into
            TFLite and ONNX files; what else it has is kept too, so long as JSON can hold it.

    Returns:
        path of the version folder, the file, or the folder of ONNX files.

    Raises:
        ValueError: for an argument of another kind or range, a `format` that contradicts the ending of `path`, a model
            that has not been built or whose weights are not finite, a path that cannot be written to, or an operator
            that TFLite has not built in, or ONNX has not.
        ImportError: for "onnx", where its packages are missing.
        zoo.export.parity.ParityError: if what was written does not agree with the model.

    Example:
        >>> model.export("digits")
        signature    output    rows  largest difference  allowed
        reconstruct  image        8            …    1e-04
        …
        PosixPath('digits/1')
        >>> model.export("digits.tflite", quantization="int8")
        quantisation: reconstruct_psnr …
        PosixPath('digits.tflite')
        >>> model.export("digits_onnx", format="onnx")
        signature …
        PosixPath('digits_onnx')
    """
    path = pathlib.Path(path)
    format = _format(path, format)
    checks.one_of("quantization", quantization, litert.QUANTIZATIONS if format == "litert" else (None,))
    checks.positive_int("batch_size", batch_size)
    if format == "onnx":
        onnx.require_packages()
    parity.require_finite(model)
    writer = _WRITERS[format]
    model = runtimes.in_float32(model)
    reference = runtimes.Keras(model)
    cases = parity.cases(model, reference, images, labels)
    metadata = {"name": model.name, "model": type(model).__name__, **_ranges(model), **(metadata or {})}
    metadata["producer"] = f"vae-zoo {zoo.__version__}"
    try:
        json.dumps(metadata)
    except (TypeError, ValueError) as error:
        raise ValueError(f"Expected `metadata` to be what JSON can hold. Received: {error}") from error
    with startup.quiet():
        return writer(model, path, reference, cases, metadata, quantization, batch_size)


def _format(path, format):
    """The format that is meant: the one given, or read off the ending of `path`; the two must agree."""
    if format is not None:
        checks.one_of("format", format, FORMATS)
    ending = path.suffix.lower()
    if format is None:
        format = "litert" if ending == ".tflite" else "tf_saved_model"
    if format == "litert" and path.suffix != ".tflite":
        checks.fail("path", 'a file that ends in ".tflite"', str(path))
    if format != "litert" and ending in _NO_FOLDERS:
        checks.fail("path", _NO_FOLDERS[ending], str(path))
    return format


def _write_saved_model(model, path, reference, cases, metadata, quantization, batch_size):
    saved_model.check_free(path)
    folder = path.parent if saved_model.is_version(path) else path
    with files.scratch_folder(folder) as scratch:
        saved_model.write(model, scratch)
        requests = {name: {key: value[:1] for key, value in case.items()} for name, case in cases.items()}
        saved_model.write_warmup(scratch, metadata["name"], requests)
        written = runtimes.SavedModel(scratch)
        report = {"metadata": metadata, "parity": parity.require(reference, written, cases)}
        files.write_json(scratch / "assets.extra" / "export.json", report)
        files.write_json(scratch / "assets.extra" / "golden.json", golden.vectors(reference, cases), indent=None)
        return saved_model.place(scratch, path)


def _write_litert(model, path, reference, cases, metadata, quantization, batch_size):
    if path.is_dir():
        checks.fail("path", "a file, not a folder", str(path))
    metadata = {"version": "1", "quantization": quantization, "batch_size": batch_size, **metadata}
    with files.scratch_folder(path.parent) as scratch:
        written = scratch / path.name
        written.write_bytes(litert.convert(model, quantization, batch_size, metadata))
        runtime = runtimes.LiteRT(written)
        report: dict[str, object] = {"metadata": flatbuffer.read_metadata(written)}
        if quantization is None:
            report["parity"] = parity.require(reference, runtime, cases)
        else:
            report["quantization"] = parity.cost(reference, runtime, cases)
        vectors = golden.vectors(reference if quantization is None else runtime, cases)
        beside = {".golden.json": vectors, ".json": report}
        for suffix in beside:  # lest that of an older file stand beside this one
            path.with_suffix(suffix).unlink(missing_ok=True)
        written.replace(path)
        for suffix, content in beside.items():
            files.write_json(path.with_suffix(suffix), content, indent=None if suffix == ".golden.json" else 2)
    return path


def _write_onnx(model, path, reference, cases, metadata, quantization, batch_size):
    onnx.check_free(path)
    with files.scratch_folder(path.parent) as scratch:
        onnx.write(model, scratch, metadata)
        report = {"metadata": metadata, "parity": parity.require(reference, runtimes.ONNX(scratch), cases)}
        files.write_json(scratch / onnx.REPORT, report)
        files.write_json(scratch / onnx.GOLDEN, onnx.name_outputs(golden.vectors(reference, cases)), indent=None)
        return onnx.place(scratch, path)


_WRITERS = {"tf_saved_model": _write_saved_model, "litert": _write_litert, "onnx": _write_onnx}


def _ranges(model):
    """What values the inputs may have, where their types do not say it."""
    support = model.likelihood.support
    ranges = {} if support is None else {"value_range": {"image": list(support)}}
    source = model.label_source()
    for name in ("num_classes", "num_attributes"):
        if source is not None and getattr(source, name) is not None:
            ranges[name] = getattr(source, name)
    if model.num_codes is not None:
        ranges["num_codes"] = model.num_codes
    return ranges
