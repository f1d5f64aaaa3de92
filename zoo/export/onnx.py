"""ONNX files for ONNX Runtime, one per signature: a folder with `encode.onnx`, `sample.onnx` and so on.

Inputs and outputs have the names of `zoo.export.signatures`. A name means a single tensor in an ONNX graph, and an
output with the name of an input therefore gets the suffix `_out`: `reconstruct` gives `image_out`.
"""

import json
import os
import pathlib
from collections.abc import Collection, Mapping
from typing import Any

import keras
import tensorflow as tf

from zoo._compat import onnx as onnx_compat
from zoo.export import signatures
from zoo.runtime import checks, files
from zoo.runtime.types import PathLike

OPSET = 18  # the first with the bitwise operators of `zoo.random`, and the newest that tf2onnx writes
REPORT, GOLDEN = "export.json", "golden.json"
_NAMES = ("reconstruct", "encode", "decode", "sample", "log_prob", signatures.OBSERVED)
_OWN = {*(f"{name}.onnx" for name in _NAMES), REPORT, GOLDEN}
_STANDARD = ("name", "description", "version", "author", "license")
METADATA = "vae_zoo"


def require_packages() -> None:
    """Raises ImportError if packages for ONNX are missing, with the command that installs them."""
    checks.extra("onnx", "tf2onnx", "onnx", "onnxruntime")


def output_name(output: str, inputs: Collection[str]) -> str:
    """The name of a signature's output in its file, given the names of the inputs."""
    return f"{output}_out" if output in inputs else output


def is_exported(folder: pathlib.Path) -> bool:
    """Whether a folder holds ONNX files that `write` made."""
    return (folder / "decode.onnx").is_file()


def write(
    model: keras.Model, folder: PathLike, metadata: Mapping[str, object] | None = None, observe: bool = False
) -> None:
    """Writes each signature of a model to a file of its own in `folder`, for batches of one or more.

    Args:
        model: a built model of the zoo, in float32.
        folder: path, of a folder that exists.
        metadata: dict, stored in each file's properties: the entries that model viewers show separately, and all of
            them as JSON under the name "vae_zoo".
        observe: bool, whether `sample_observed` is among the signatures.

    Raises:
        ValueError: if an operator has no form in ONNX; the message names it and its place in the model.
    """
    for name, signature in signatures.of(model, observe=observe).items():
        file = _convert(name, signature)
        _add_metadata(file, name, metadata or {})
        pathlib.Path(folder, f"{name}.onnx").write_bytes(file.SerializeToString())


def _convert(name, signature):
    def call(*values):
        outputs = signature.call(**dict(zip(signature.inputs, values, strict=True)))
        return {output_name(output, signature.inputs): value for output, value in outputs.items()}

    specs = list(signature.inputs.values())
    try:
        file = onnx_compat.convert(tf.function(call, autograph=False), specs, OPSET)
    except Exception as error:  # tf2onnx raises errors of many classes
        raise ValueError(f"Expected a model that converts to ONNX. Received from tf2onnx: {error}") from error
    _check(file)
    file.graph.name = name
    for end in (*file.graph.input, *file.graph.output):
        end.type.tensor_type.shape.dim[0].dim_param = "batch"
    return file


def _check(file):
    """Raises ValueError for operators that are not in ONNX, and for inputs and outputs of other types."""
    import onnx  # imported here, as it is optional

    for node in _nodes(file.graph):
        if node.domain or not onnx.defs.has(node.op_type, OPSET):
            raise ValueError(f"Expected a model of operators that ONNX has. Received: {node.op_type} of {node.name}")
    onnx.checker.check_model(file)
    for end in (*file.graph.input, *file.graph.output):
        if end.type.tensor_type.elem_type not in (onnx.TensorProto.FLOAT, onnx.TensorProto.INT32):
            raise ValueError(f"Expected float32 or int32. Received: another type of {end.name} in {file.graph.name}")


def _nodes(graph):
    """All nodes, including those inside loops."""
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from _nodes(attribute.g)


def _add_metadata(file, signature, metadata):
    import onnx

    shown = {key: str(metadata[key]) for key in _STANDARD if metadata.get(key)}
    onnx.helper.set_model_props(file, {**shown, METADATA: json.dumps({**metadata, "signature": signature})})


def name_outputs(vectors: dict[str, Any]) -> dict[str, Any]:
    """Golden vectors with the output names of the ONNX files."""
    named = {}
    for name, sides in vectors["signatures"].items():
        inputs = sides["inputs"]
        outputs = {output_name(output, inputs): tensor for output, tensor in sides["outputs"].items()}
        named[name] = {"inputs": inputs, "outputs": outputs}
    return {**vectors, "signatures": named}


def check_free(path: pathlib.Path) -> None:
    """Raises ValueError unless `path` is new, an empty folder, or an earlier export that may be replaced."""
    if path.is_file():
        checks.fail("path", "a folder", str(path))
    others = sorted(one.name for one in path.iterdir() if one.name not in _OWN) if path.is_dir() else []
    if others:
        checks.fail("path", f"a folder of ONNX files alone, not one with {others[0]!r} in it", str(path))


def place(scratch: pathlib.Path, path: pathlib.Path) -> pathlib.Path:
    """Renames a finished folder to `path`, and replaces an earlier export."""
    target = pathlib.Path(os.path.realpath(path))  # a link stays
    if target.is_dir():
        files.remove(target)
    os.rename(scratch, target)
    return path
