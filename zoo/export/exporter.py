"""Exports a model: writes it to a temporary place, checks it, and moves it into place."""

import dataclasses
import json
import pathlib
from collections.abc import Mapping
from typing import Literal

import keras
import tensorflow as tf

import zoo
from zoo.export import flatbuffer, golden, litert, onnx, parity, runtimes, saved_model, signatures
from zoo.runtime import checks, cores, files, startup
from zoo.runtime.types import ArrayLike, Cases, PathLike

FORMATS = ("tf_saved_model", "litert", "onnx")
# Endings that a folder must not have, and the expected path instead.
_KERAS = 'a folder, or a file that ends in ".tflite"; Keras\'s own file is written by model.save("model.keras")'
_TEXTS = ("name", "version", "description", "author", "license", "training_data")  # entries of metadata
_NO_FOLDERS = {
    ".tflite": 'a folder; a TFLite file takes format="litert", or none',
    ".onnx": 'a folder, as a signature is a file of its own: model.export("model", format="onnx")',
    ".keras": _KERAS,
    ".h5": _KERAS,
    **dict.fromkeys((".tflit", ".lite", ".txt"), "a folder, or a file that ends in .tflite"),
    ".pb": "a folder, in which `saved_model.pb` is then one of the files",
}


@cores.sub_batches(1)  # other machines run the graph
def export(
    model: keras.Model,
    path: PathLike,
    format: Literal["tf_saved_model", "litert", "onnx"] | None = None,
    quantization: Literal["float16", "int8"] | None = None,
    batch_size: int = 1,
    images: ArrayLike | None = None,
    labels: ArrayLike | None = None,
    metadata: Mapping[str, object] | None = None,
    observe: bool = False,
    more: Mapping[str, signatures.Signature] | None = None,
    more_cases: Cases | None = None,
) -> pathlib.Path:
    """Writes a model with all its signatures, including sampling; `zoo.export.signatures` lists them.

    The export is compared with the model before it is put in place (`zoo.export.check`), and the table is printed. The
    table, the cost of quantisation, and golden vectors are written beside it.

    An ONNX export is a folder with one file per signature, for batches of one or more; each file holds the weights that
    it needs. Inputs and outputs have the names of the SavedModel, except that `reconstruct` gives `image_out`.

    Args:
        model: a built model of the zoo. A model of mixed precision is exported in float32.
        path: str or path. For "tf_saved_model" the folder of the model, which gets the next free version number, or the
            folder of a version, such as `digits/3`; for "litert" a file that ends in `.tflite`; for "onnx" a folder,
            which replaces an earlier export.
        format: "tf_saved_model", for TensorFlow and its servers; "litert", a TFLite file; or "onnx", for ONNX Runtime,
            which needs the packages of `pip install 'vae-zoo[onnx]'`. None chooses by the ending of `path`: "litert"
            for ".tflite", else "tf_saved_model".
        quantization: None, "float16" or "int8", of the weights in a TFLite file. Its cost is measured: PSNR against
            the model in float32, decibels, and the change of `log_prob`, nats.
        batch_size: int >= 1, of the signatures of a TFLite file; the other formats take one or more.
        images: float `[N,H,W,C]` in [0, 1], for the check and the cost; None for images that the model makes.
        labels: int32 `[N]` or float32 `[N,d]`, for a conditional model; None for all its classes in turn, or for
            attributes between 0 and 1.
        metadata: dict with any of `name`, `version`, `description`, `author`, `license`, `training_data`, written into
            TFLite and ONNX files. Other keys are kept too, if JSON can hold their values.
        observe: bool, whether the export has the signature `sample_observed` too, which samples data from p(x|z) with
            its noise; `sample` gives means.
        more: dict of further `zoo.export.signatures.Signature`s by name; not for "onnx". Those of a TFLite file take
            and give float32 and int32.
        more_cases: dict of the inputs that check them, by name, for each of `more`.

    Returns:
        path of the version folder, the file, or the folder of ONNX files.

    Raises:
        ValueError: for arguments of another type or out of range, a `format` that contradicts the ending of `path`, a
            model that has not been built or whose weights are not finite, a path that cannot be written to, or an
            operator that is no builtin of TFLite, or not in ONNX.
        ImportError: for "onnx", if its packages are missing.
        zoo.export.parity.ParityError: if the export does not agree with the model.

    Example:
        >>> model.export("digits")
        SavedModel beside Keras
        signature    output    rows  largest difference  allowed
        reconstruct  image        8            …    1e-04
        …
        PosixPath('digits/1')
        >>> model.export("digits.tflite", quantization="int8")
        quantisation: reconstruct_psnr …
        PosixPath('digits.tflite')
        >>> model.export("digits_onnx", format="onnx")
        ONNX …
        PosixPath('digits_onnx')
    """
    checks.zoo_model(model)
    path = files.local("path", path)
    format = _format(path, format)
    checks.one_of("quantization", quantization, litert.QUANTIZATIONS if format == "litert" else (None,))
    checks.positive_int("batch_size", batch_size)
    if format == "onnx":
        onnx.require_packages()
    copying = (tf.distribute.MirroredStrategy, tf.distribute.MultiWorkerMirroredStrategy)
    if format == "tf_saved_model" and isinstance(tf.distribute.get_strategy(), copying):
        scope = "the scope of a strategy of replicas, within which it cannot load the SavedModel that it checks"
        raise ValueError(f"Expected `export` outside of {scope}. Received: a call within `strategy.scope()`")
    parity.require_finite(model)
    writer = _WRITERS[format]
    model = runtimes.in_float32(model)
    _check_more(model, more or {}, more_cases or {}, format)
    kind = _Kind(checks.boolean("observe", observe), more or {})
    cases = parity.cases(model, runtimes.Keras(model, kind.observe), images, labels)
    reference = runtimes.Keras(model, kind.observe, kind.more)
    metadata = _metadata(model, metadata)
    with startup.quiet():
        return writer(model, path, reference, {**cases, **(more_cases or {})}, metadata, kind, quantization, batch_size)


@dataclasses.dataclass(frozen=True)
class _Kind:
    """The signatures beyond those of every export."""

    observe: bool
    more: Mapping[str, signatures.Signature]


def _format(path, format):
    """The given format, or the one of the ending of `path`; the two must agree."""
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


def _check_more(model, more, more_cases, format):
    if more and format == "onnx":
        checks.fail("more", "left out, as an ONNX export takes no further signatures", list(more))
    own = signatures.of(model, observe=True)
    for name, signature in more.items():
        if not isinstance(signature, signatures.Signature):
            checks.fail(f"more[{name!r}]", "a zoo.export.signatures.Signature", signature)
        if name in own:
            checks.fail("more", f"of other names than those of the model's signatures, {', '.join(own)}", name)
    if {*more} != {*more_cases}:
        checks.fail("more_cases", f"inputs for each of the further signatures, {[*more]}", [*more_cases])


def _write_saved_model(model, path, reference, cases, metadata, kind, quantization, batch_size):
    saved_model.check_free(path)
    folder = path.parent if saved_model.is_version(path) else path
    with files.scratch_folder(folder) as scratch:
        saved_model.write(model, scratch, observe=kind.observe, more=kind.more)
        requests = {name: {key: value[:1] for key, value in case.items()} for name, case in cases.items()}
        saved_model.write_warmup(scratch, metadata["name"], requests)
        written = runtimes.SavedModel(scratch)
        report = {"metadata": metadata, "parity": parity.require(reference, written, cases)}
        files.write_json(scratch / "assets.extra" / "export.json", report)
        numbers = {name: case for name, case in cases.items() if name not in kind.more}
        files.write_json(scratch / "assets.extra" / "golden.json", golden.vectors(reference, numbers), indent=None)
        return saved_model.place(scratch, path)


def _write_litert(model, path, reference, cases, metadata, kind, quantization, batch_size):
    if path.is_dir():
        checks.fail("path", "a file, not a folder", str(path))
    beside = {suffix: path.with_suffix(suffix) for suffix in (".golden.json", ".json")}
    for other in beside.values():
        if other.exists() and not path.exists():  # those of an older export are replaced with it
            checks.fail("path", f"a name beside which there is no {other.name}, as the export writes one", str(path))
    metadata = {"version": "1", "quantization": quantization, "batch_size": batch_size, **metadata}
    with files.scratch_folder(path.parent) as scratch:
        written = scratch / path.name
        written.write_bytes(litert.convert(model, quantization, batch_size, metadata, kind.observe, kind.more))
        runtime = runtimes.LiteRT(written)
        report: dict[str, object] = {"metadata": flatbuffer.read_metadata(written)}
        if quantization is None:
            report["parity"] = parity.require(reference, runtime, cases)
        else:
            report["quantization"] = parity.cost(reference, runtime, cases)
        vectors = golden.vectors(reference if quantization is None else runtime, cases)
        for other in beside.values():  # a file of an older export must not stay beside this one
            other.unlink(missing_ok=True)
        written.replace(path)
        files.write_json(beside[".golden.json"], vectors, indent=None)
        files.write_json(beside[".json"], report)
    return path


def _write_onnx(model, path, reference, cases, metadata, kind, quantization, batch_size):
    onnx.check_free(path)
    with files.scratch_folder(path.parent) as scratch:
        onnx.write(model, scratch, metadata, kind.observe)
        report = {"metadata": metadata, "parity": parity.require(reference, runtimes.ONNX(scratch), cases)}
        files.write_json(scratch / onnx.REPORT, report)
        files.write_json(scratch / onnx.GOLDEN, onnx.name_outputs(golden.vectors(reference, cases)), indent=None)
        return onnx.place(scratch, path)


_WRITERS = {"tf_saved_model": _write_saved_model, "litert": _write_litert, "onnx": _write_onnx}


def _metadata(model, given):
    """The metadata of an export: the user's entries, and those that follow from the model."""
    own = {"model": type(model).__name__, **_ranges(model), "producer": f"vae-zoo {zoo.__version__}"}
    given = {} if given is None else given
    if not isinstance(given, Mapping):
        checks.fail("metadata", "a dict", given)
    for name in (*own, "quantization", "batch_size"):
        if name in given:
            checks.fail("metadata", f"without {name!r}, which follows from the model and the export", given[name])
    for name in _TEXTS:
        if name in given and not (isinstance(given[name], str) and given[name]):
            checks.fail(f"metadata[{name!r}]", "a text", given[name])
    try:
        json.dumps(given, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ValueError(f"Expected `metadata` to be a dict that JSON can hold. Received: {error}") from error
    return {"name": model.name, **own, **given}


def _ranges(model):
    """The ranges of input values that their dtypes do not imply."""
    support = model.data_range
    ranges = {} if support is None else {"value_range": {signatures.data_name(model): list(support)}}
    source = model.label_source()
    for name in ("num_classes", "num_attributes"):
        if source is not None and getattr(source, name) is not None:
            ranges[name] = getattr(source, name)
    if model.num_codes is not None:
        ranges["num_codes"] = model.num_codes
    return ranges
