"""What is done to a TFLite file after its conversion: a look at every operator, and its metadata.

Shapes, types and names are those of TFLite's schema (tensorflow/compiler/mlir/lite/schema/schema.fbs).
"""

import copy
import json
import math
from collections.abc import Mapping
from typing import TypeAlias

import flatbuffers
import numpy as np
from tensorflow.lite.python import schema_py_generated as schema
from tensorflow.lite.tools import flatbuffer_utils

from zoo.runtime.types import PathLike

_OPERATORS = {number: name for name, number in vars(schema.BuiltinOperator).items() if isinstance(number, int)}
_BORDER = {schema.TensorType.FLOAT32: "float32", schema.TensorType.INT32: "int32"}
# GPU delegates refuse newer ones.
_NEWEST = {"TRANSPOSE_CONV": 3}
METADATA = "vae_zoo"
# The tensors of a signature by "inputs" or "outputs" and their names, each with its dtype and shape.
Sides: TypeAlias = dict[str, dict[str, dict[str, str | list[int]]]]


def read(content: bytes) -> schema.ModelT:
    """The file as objects that can be changed."""
    return flatbuffer_utils.read_model_from_bytearray(bytearray(content))


def write(file: schema.ModelT) -> bytes:
    """The bytes of a file, in which the signatures share the scales of their quantised weights, as they do the weights.

    Written anew for each signature, the scales of a wide layer would be half as large as its weights.
    """
    shared: dict[tuple, _Scales] = {}
    for graph in file.subgraphs:
        for tensor in graph.tensors:
            if tensor.quantization is not None and tensor.quantization.scale is not None:
                scales = _Scales(tensor.quantization)
                tensor.quantization = shared.setdefault(scales.key, scales)
    return bytes(flatbuffer_utils.convert_object_to_bytearray(file))


class _Scales:
    """Parameters of quantisation that are packed once, for all tensors that have them."""

    def __init__(self, parameters):
        numbers = (parameters.scale, parameters.zeroPoint, parameters.min, parameters.max)
        self.key = (*(None if n is None else np.asarray(n).tobytes() for n in numbers), parameters.quantizedDimension)
        self._parameters, self._packed = parameters, None

    def Pack(self, builder):  # noqa: N802, as the schema's objects have it
        if self._packed is None:
            self._packed = self._parameters.Pack(builder)
        return self._packed


def add_aliases(file: schema.ModelT, aliases: Mapping[str, str]) -> None:
    """Adds signatures under other names, which share the graph of the first."""
    for alias, name in aliases.items():
        original = next(signature for signature in file.signatureDefs if signature.signatureKey.decode() == name)
        signature = copy.copy(original)
        signature.signatureKey = alias.encode()
        file.signatureDefs.append(signature)


def split_activations(file: schema.ModelT) -> None:
    """Takes the ReLU out of each transposed convolution that has one fused, which makes it version 4."""
    transposed = [i for i, code in enumerate(file.operatorCodes) if _name(code) == "TRANSPOSE_CONV"]
    for graph in file.subgraphs:
        operators = []
        for operator in graph.operators:
            operators.append(operator)
            fused = operator.opcodeIndex in transposed and operator.builtinOptions.fusedActivationFunction
            if fused:
                operators.append(_unfuse(file, graph, operator))
        graph.operators = operators
    for i in transposed:
        file.operatorCodes[i].version = min(file.operatorCodes[i].version, _NEWEST["TRANSPOSE_CONV"])


def widen_biases(file: schema.ModelT) -> None:
    """Repeats the bias of each transposed convolution that the converter left with one number for all channels.

    It does so where a number is added to all channels after the convolution, as a likelihood's offset is to one without
    biases; XNNPACK then reads past that number (TensorFlow 2.21).
    """
    for graph in file.subgraphs:
        for operator in graph.operators:
            inputs = list(operator.inputs)
            if _name(file.operatorCodes[operator.opcodeIndex]) != "TRANSPOSE_CONV" or len(inputs) < 4 or inputs[3] < 0:
                continue
            bias, channels = graph.tensors[inputs[3]], int(graph.tensors[inputs[1]].shape[0])
            if math.prod(bias.shape) < channels:
                wide = copy.copy(bias)
                content = np.full(channels, _constant(file, graph, inputs[3]))
                wide.shape, wide.buffer = [channels], _add_buffer(file, content.tobytes())
                graph.tensors.append(wide)
                operator.inputs = [*inputs[:3], len(graph.tensors) - 1]


def _constant(file, graph, number):
    """The one float32 of a constant tensor, or of one of float16 that is widened first."""
    data = file.buffers[graph.tensors[number].buffer].data
    dtype: type[np.floating] = np.float32
    if data is None:
        widening = next(operator for operator in graph.operators if number in operator.outputs)
        data, dtype = file.buffers[graph.tensors[widening.inputs[0]].buffer].data, np.float16
    return np.frombuffer(bytes(bytearray(data)), dtype).astype(np.float32)


def _unfuse(file, graph, operator):
    """The activation of `operator` as an operator of its own, after it."""
    kinds = {schema.ActivationFunctionType.RELU: "RELU", schema.ActivationFunctionType.RELU6: "RELU6"}
    fused = operator.builtinOptions.fusedActivationFunction
    result = graph.tensors[operator.outputs[0]]
    if fused not in kinds:
        raise ValueError(f"Expected ReLU after a transposed convolution. Received: {fused} at {_text(result.name)}")
    operator.builtinOptions.fusedActivationFunction = schema.ActivationFunctionType.NONE
    before = copy.copy(result)
    before.name = result.name + b"/before"
    graph.tensors.append(before)
    activation = schema.OperatorT()
    activation.opcodeIndex = _operator_code(file, kinds[fused])
    activation.inputs, activation.outputs = [len(graph.tensors) - 1], operator.outputs
    operator.outputs = [len(graph.tensors) - 1]
    return activation


def _operator_code(file, name):
    for i, code in enumerate(file.operatorCodes):
        if _name(code) == name:
            return i
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = getattr(schema.BuiltinOperator, name)
    code.version = 1
    file.operatorCodes.append(code)
    return len(file.operatorCodes) - 1


def _name(code):
    if code.customCode is not None:
        return _text(code.customCode)
    return _OPERATORS[max(code.builtinCode, code.deprecatedBuiltinCode)]


def _text(name):
    return name.decode() if isinstance(name, bytes) else name


def check(file: schema.ModelT) -> None:
    """Raises ValueError for what a runtime without TensorFlow would not run, with the operator and its layer."""
    for graph in file.subgraphs:
        for operator in graph.operators:
            code = file.operatorCodes[operator.opcodeIndex]
            place = f"{_name(code)} of {_text(graph.tensors[operator.outputs[0]].name)}"
            if code.customCode is not None:
                raise ValueError(f"Expected a model of operators that TFLite has built in. Received: {place}")
            newest = _NEWEST.get(_name(code), code.version)
            if code.version > newest:
                raise ValueError(f"Expected version {newest} at most. Received: version {code.version} of {place}")
        for tensor in graph.tensors:
            if tensor.shapeSignature is not None and -1 in list(tensor.shapeSignature):
                shape = [int(size) for size in tensor.shapeSignature]
                raise ValueError(f"Expected every shape to be known. Received: {shape} of {_text(tensor.name)}")
    for signature in file.signatureDefs:
        tensors = file.subgraphs[signature.subgraphIndex].tensors
        for end in [*signature.inputs, *signature.outputs]:
            if tensors[end.tensorIndex].type not in _BORDER:
                raise ValueError(
                    f"Expected float32 or int32. Received: another type of {_text(end.name)} in "
                    f"{_text(signature.signatureKey)}"
                )


def describe(file: schema.ModelT) -> dict[str, Sides]:
    """Names, types and shapes of each signature's inputs and outputs."""
    described: dict[str, Sides] = {}
    for signature in file.signatureDefs:
        tensors = file.subgraphs[signature.subgraphIndex].tensors
        sides = {"inputs": signature.inputs, "outputs": signature.outputs}
        described[_text(signature.signatureKey)] = {
            side: {
                _text(end.name): {
                    "dtype": _BORDER[tensors[end.tensorIndex].type],
                    "shape": [int(size) for size in tensors[end.tensorIndex].shape],
                }
                for end in ends
            }
            for side, ends in sides.items()
        }
    return described


def add_metadata(file: schema.ModelT, metadata: Mapping[str, object]) -> None:
    """Puts `metadata` into the file, with the signatures' shapes and types.

    Twice: as JSON under the name "vae_zoo", and its name, description, version, author and licence as the standard
    "TFLITE_METADATA" (metadata_schema.fbs of TFLite Support, table ModelMetadata), which model viewers show.
    """
    contents = {
        METADATA: json.dumps({**metadata, "signatures": describe(file)}).encode(),
        "TFLITE_METADATA": _standard(metadata),
    }
    for name, content in contents.items():
        entry = schema.MetadataT()
        entry.name, entry.buffer = name.encode(), _add_buffer(file, content)
        file.metadata = [*(file.metadata or []), entry]


# The places of a ModelMetadata's fields in its schema.
_FIELDS = {"name": 0, "description": 1, "version": 2, "author": 4, "license": 5}


def _standard(metadata):
    builder = flatbuffers.Builder()
    texts = {field: builder.CreateString(str(metadata[field])) for field in _FIELDS if metadata.get(field)}
    builder.StartObject(8)
    for field, text in texts.items():
        builder.PrependUOffsetTRelativeSlot(_FIELDS[field], text, 0)
    builder.Finish(builder.EndObject(), b"M001")
    return bytes(builder.Output())


def _add_buffer(file, content):
    """Adds a buffer, and gives its number."""
    buffer = schema.BufferT()
    buffer.data = np.frombuffer(content, np.uint8)
    file.buffers.append(buffer)
    return len(file.buffers) - 1


def read_metadata(path: PathLike) -> dict[str, object]:
    """The JSON that `add_metadata` put into a `.tflite` file, or {} where there is none."""
    with open(path, "rb") as stream:
        file = read(stream.read())
    for entry in file.metadata or []:
        if _text(entry.name) == METADATA:
            return json.loads(bytes(bytearray(file.buffers[entry.buffer].data)))
    return {}
