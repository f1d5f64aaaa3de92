"""ONNX files, one a signature, which ONNX Runtime reads: a folder of `encode.onnx`, `sample.onnx` and so on.

Inputs and outputs have the names of `zoo.export.signatures`, but for one: as a name stands for one tensor in an ONNX
graph, an output with the name of an input has `_out` behind it. That is `image_out` of `reconstruct`.
"""

import contextlib
import json
import logging
import os
import pathlib
from collections.abc import Collection, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from zoo.export import signatures
from zoo.runtime import checks, files
from zoo.runtime.types import PathLike

OPSET = 18  # the first with the bitwise operators of `zoo.random`, and the newest that tf2onnx writes
REPORT, GOLDEN = "export.json", "golden.json"
_OWN = {"reconstruct.onnx", "encode.onnx", "decode.onnx", "sample.onnx", "log_prob.onnx", REPORT, GOLDEN}
_STANDARD = ("name", "description", "version", "author", "license")
METADATA = "vae_zoo"


def require_packages() -> None:
    """Raises ImportError, with the command that installs them, where packages that write or run ONNX are missing."""
    checks.extra("onnx", "tf2onnx", "onnx", "onnxruntime")


def output_name(output: str, inputs: Collection[str]) -> str:
    """What a signature's output is called in its file, given the names of the inputs."""
    return f"{output}_out" if output in inputs else output


def is_exported(folder: pathlib.Path) -> bool:
    """Whether a folder holds ONNX files of `write`."""
    return (folder / "decode.onnx").is_file()


def write(model: keras.Model, folder: PathLike, metadata: Mapping[str, object] | None = None) -> None:
    """Writes each signature of a model to a file of its own in `folder`, for any batch.

    Args:
        model: a built model of the zoo, in float32.
        folder: path, of a folder that exists.
        metadata: dict, kept in each file's properties: what model viewers show by itself, all of it as JSON under the
            name "vae_zoo".

    Raises:
        ValueError: if an operator has no form in ONNX, with its name and its place in the model.
    """
    for name, signature in signatures.of(model).items():
        file = _convert(name, signature)
        _add_metadata(file, name, metadata or {})
        pathlib.Path(folder, f"{name}.onnx").write_bytes(file.SerializeToString())


def _convert(name, signature):
    import tf2onnx.convert  # here, as are the others, as they need not be installed

    def call(*values):
        outputs = signature.call(**dict(zip(signature.inputs, values, strict=True)))
        return {output_name(output, signature.inputs): value for output, value in outputs.items()}

    nothing: list = []
    handlers = {operator: (handler, nothing) for operator, handler in (("Log1p", _log1p), ("Expm1", _expm1))}
    specs = list(signature.inputs.values())
    try:
        with _silent("tf2onnx"):  # it lists as errors what is raised below
            file, _ = tf2onnx.convert.from_function(
                tf.function(call, autograph=False), specs, OPSET, custom_op_handlers=handlers
            )
    except Exception as error:  # of any class
        raise ValueError(f"Expected a model that converts to ONNX. Received from tf2onnx: {error}") from error
    _check(file)
    file.graph.name = name
    for end in (*file.graph.input, *file.graph.output):
        end.type.tensor_type.shape.dim[0].dim_param = "batch"
    return file


@contextlib.contextmanager
def _silent(name):
    logger = logging.getLogger(name)
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logger.setLevel(level)


# Operators that tf2onnx does not know. Their formulas are W. Kahan's, as Goldberg 1991 gives that of log1p ("What Every
# Computer Scientist Should Know About Floating-Point Arithmetic", theorem 4): the rounding of u = 1 + x, or of u = e^x,
# cancels in the quotient, which leaves a few units in the last place at any x, where log(1 + x) would keep no digit.


def _log1p(graph, node, *_):
    """log(1 + x): x where u is 1, else log(u) · x / (u − 1); of large x log(u), where that quotient may be ∞ / ∞."""
    place = _Place(graph, node)
    x, one = place.x, place.number(1)
    u = place.add("Add", x, one)
    log = place.add("Log", u)
    quotient = place.add("Div", place.add("Mul", log, x), place.add("Sub", u, one))
    accurate = place.add("Where", place.add("Greater", x, one), log, quotient)
    place.finish("Where", place.add("Equal", u, one), x, accurate)


def _expm1(graph, node, *_):
    """e^x − 1: x where u is 1, else (u − 1) · x / log(u); of large |x| u − 1, where log(u) may be infinite."""
    place = _Place(graph, node)
    x, one = place.x, place.number(1)
    u = place.add("Exp", x)
    difference = place.add("Sub", u, one)
    quotient = place.add("Div", place.add("Mul", difference, x), place.add("Log", u))
    is_large = place.add("Greater", place.add("Abs", x), place.number(0.5))
    accurate = place.add("Where", is_large, difference, quotient)
    place.finish("Where", place.add("Equal", u, one), x, accurate)


class _Place:
    """The place of a node of one input `x`, which is taken out of tf2onnx's graph, for other operators to fill."""

    def __init__(self, graph, node):
        self._graph, self._name = graph, node.name
        (self.x,), (self._output,) = node.input, node.output
        self._shape, self._dtype = graph.get_shape(self._output), graph.get_dtype(self._output)
        graph.remove_node(node.name)

    def number(self, value):
        from tf2onnx import utils

        value = np.array(value, utils.map_onnx_to_numpy_type(self._dtype))
        return self._graph.make_const(utils.make_name(self._name), value).output[0]

    def add(self, operator, *inputs):
        return self._graph.make_node(operator, list(inputs), op_name_scope=self._name).output[0]

    def finish(self, operator, *inputs):
        """Adds the operator whose output is that of the node."""
        kept = {"shapes": [self._shape], "dtypes": [self._dtype]}
        self._graph.make_node(operator, list(inputs), outputs=[self._output], name=self._name, **kept)


def _check(file):
    """Raises ValueError for an operator that ONNX has not, with its place, and for other types than the contract's."""
    import onnx

    for node in _nodes(file.graph):
        if node.domain or not onnx.defs.has(node.op_type, OPSET):
            raise ValueError(f"Expected a model of operators that ONNX has. Received: {node.op_type} of {node.name}")
    onnx.checker.check_model(file)
    for end in (*file.graph.input, *file.graph.output):
        if end.type.tensor_type.elem_type not in (onnx.TensorProto.FLOAT, onnx.TensorProto.INT32):
            raise ValueError(f"Expected float32 or int32. Received: another type of {end.name} in {file.graph.name}")


def _nodes(graph):
    """All nodes, those of loops among them."""
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
    """Golden vectors, the outputs called as in the files."""
    named = {}
    for name, sides in vectors["signatures"].items():
        inputs = sides["inputs"]
        outputs = {output_name(output, inputs): tensor for output, tensor in sides["outputs"].items()}
        named[name] = {"inputs": inputs, "outputs": outputs}
    return {**vectors, "signatures": named}


def check_free(path: pathlib.Path) -> None:
    """Raises ValueError unless `path` is new, an empty folder, or an earlier export, whose place may be taken."""
    if path.is_file():
        checks.fail("path", "a folder", str(path))
    others = sorted(one.name for one in path.iterdir() if one.name not in _OWN) if path.is_dir() else []
    if others:
        checks.fail("path", f"a folder of ONNX files alone, not one with {others[0]!r} in it", str(path))


def place(scratch: pathlib.Path, path: pathlib.Path) -> pathlib.Path:
    """Renames a finished folder to `path`, in the place of an earlier one."""
    if path.is_dir():
        files.remove(path)
    os.rename(scratch, path)
    return path
