"""Edits converted TFLite files: checks every operator, adds aliases of signatures and metadata.

`zoo._compat.flatbuffer` reads and writes the files.
"""

import copy
import json
from collections.abc import Mapping
from typing import TypeAlias

import flatbuffers

from zoo._compat import flatbuffer
from zoo._compat.flatbuffer import schema, text
from zoo.runtime.types import PathLike

_BORDER = {schema.TensorType.FLOAT32: "float32", schema.TensorType.INT32: "int32"}
METADATA = "vae_zoo"
# The tensors of a signature: "inputs" or "outputs", then the name, then dtype and shape.
Sides: TypeAlias = dict[str, dict[str, dict[str, str | list[int]]]]


def add_aliases(file: schema.ModelT, aliases: Mapping[str, str]) -> None:
    """Adds signatures under other names, which share the graph of the original."""
    for alias, name in aliases.items():
        original = next(signature for signature in file.signatureDefs if signature.signatureKey.decode() == name)
        signature = copy.copy(original)
        signature.signatureKey = alias.encode()
        file.signatureDefs.append(signature)


def check(file: schema.ModelT) -> None:
    """Raises ValueError if a runtime without TensorFlow could not run the file, with the operator and its layer."""
    for graph in file.subgraphs:
        for operator in graph.operators:
            code = file.operatorCodes[operator.opcodeIndex]
            place = f"{flatbuffer.operator_name(code)} of {text(graph.tensors[operator.outputs[0]].name)}"
            if code.customCode is not None:
                raise ValueError(f"Expected a model of operators that TFLite has built in. Received: {place}")
            newest = flatbuffer.NEWEST.get(flatbuffer.operator_name(code), code.version)
            if code.version > newest:
                raise ValueError(f"Expected version {newest} at most. Received: version {code.version} of {place}")
        for tensor in graph.tensors:
            if tensor.shapeSignature is not None and -1 in list(tensor.shapeSignature):
                shape = [int(size) for size in tensor.shapeSignature]
                raise ValueError(f"Expected every shape to be known. Received: {shape} of {text(tensor.name)}")
    for signature in file.signatureDefs:
        tensors = file.subgraphs[signature.subgraphIndex].tensors
        for end in [*signature.inputs, *signature.outputs]:
            if tensors[end.tensorIndex].type not in _BORDER:
                raise ValueError(
                    f"Expected float32 or int32. Received: another type of {text(end.name)} in "
                    f"{text(signature.signatureKey)}"
                )


def describe(file: schema.ModelT) -> dict[str, Sides]:
    """Names, types and shapes of each signature's inputs and outputs."""
    described: dict[str, Sides] = {}
    for signature in file.signatureDefs:
        tensors = file.subgraphs[signature.subgraphIndex].tensors
        sides = {"inputs": signature.inputs, "outputs": signature.outputs}
        described[text(signature.signatureKey)] = {
            side: {
                text(end.name): {
                    "dtype": _BORDER[tensors[end.tensorIndex].type],
                    "shape": [int(size) for size in tensors[end.tensorIndex].shape],
                }
                for end in ends
            }
            for side, ends in sides.items()
        }
    return described


def add_metadata(file: schema.ModelT, metadata: Mapping[str, object]) -> None:
    """Adds `metadata` to the file, with the shapes and types of the signatures.

    It is stored twice: as JSON under the name "vae_zoo"; and its name, description, version, author and licence as the
    standard "TFLITE_METADATA" (metadata_schema.fbs of TFLite Support, table ModelMetadata), which model viewers show.
    """
    contents = {
        METADATA: json.dumps({**metadata, "signatures": describe(file)}).encode(),
        "TFLITE_METADATA": _standard(metadata),
    }
    for name, content in contents.items():
        flatbuffer.add_metadata(file, name, content)


# The field numbers of ModelMetadata in its schema.
_FIELDS = {"name": 0, "description": 1, "version": 2, "author": 4, "license": 5}


def _standard(metadata):
    builder = flatbuffers.Builder()
    texts = {field: builder.CreateString(str(metadata[field])) for field in _FIELDS if metadata.get(field)}
    builder.StartObject(8)
    for field, offset in texts.items():
        builder.PrependUOffsetTRelativeSlot(_FIELDS[field], offset, 0)
    builder.Finish(builder.EndObject(), b"M001")
    return bytes(builder.Output())


def read_metadata(path: PathLike) -> dict[str, object]:
    """The JSON metadata that `add_metadata` added to a `.tflite` file, or {} if there is none."""
    with open(path, "rb") as stream:
        file = flatbuffer.read(stream.read())
    for entry in file.metadata or []:
        if text(entry.name) == METADATA:
            return json.loads(bytes(bytearray(file.buffers[entry.buffer].data)))
    return {}
