"""TFLite files as objects, and what the converter writes into them that runtimes do not take."""

import copy
import math

import numpy as np
from tensorflow.lite.python import schema_py_generated as schema
from tensorflow.lite.tools import flatbuffer_utils

__all__ = [
    "NEWEST",
    "add_buffer",
    "add_metadata",
    "operator_name",
    "read",
    "schema",
    "split_activations",
    "text",
    "widen_biases",
    "write",
]

_OPERATORS = {number: name for name, number in vars(schema.BuiltinOperator).items() if isinstance(number, int)}
# GPU delegates refuse newer ones.
NEWEST = {"TRANSPOSE_CONV": 3}


def read(content):
    """The file as objects that can be changed, those of `schema`.

    Private: `tensorflow.lite.tools.flatbuffer_utils` and `tensorflow.lite.python.schema_py_generated`, as of
        TensorFlow 2.21.0. Shapes, types and names are those of TFLite's schema
        (tensorflow/compiler/mlir/lite/schema/schema.fbs), which is stable.
    Why: aliases, metadata and the corrections below are written into a file after its conversion.
    Upstream: no upstream issue found (2026-11-26).
    Once mended: use a public reader and writer; `ai-edge-litert` 2.3 has none that is documented.
    """
    return flatbuffer_utils.read_model_from_bytearray(bytearray(content))


def write(file):
    """The bytes of a file, in which the signatures share the scales of their quantised weights, as they do the weights.

    Private: as for `read`.
    Why: written anew for each signature, the scales of a wide layer would be half as large as its weights
        (TensorFlow 2.21.0, `QuantizationParametersT.Pack` of the schema).
    Upstream: no upstream issue found (2026-11-26).
    Once mended: return `flatbuffer_utils.convert_object_to_bytearray(file)`, and remove `_Scales`.
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


def split_activations(file):
    """Takes the ReLU out of each transposed convolution that has one fused, which makes it version 4.

    Why: GPU delegates take version 3 at most, and the converter of TensorFlow 2.21.0 cannot be told to write it.
    Upstream: https://github.com/PINTO0309/onnx2tf/issues/640 has the delegate's message (closed as third party); no
        issue of TensorFlow or LiteRT found (2026-11-26).
    Once mended: remove it, `NEWEST` and `_unfuse`; its caller is `zoo.export.litert`.
    """
    transposed = [i for i, code in enumerate(file.operatorCodes) if operator_name(code) == "TRANSPOSE_CONV"]
    for graph in file.subgraphs:
        operators = []
        for operator in graph.operators:
            operators.append(operator)
            fused = operator.opcodeIndex in transposed and operator.builtinOptions.fusedActivationFunction
            if fused:
                operators.append(_unfuse(file, graph, operator))
        graph.operators = operators
    for i in transposed:
        file.operatorCodes[i].version = min(file.operatorCodes[i].version, NEWEST["TRANSPOSE_CONV"])


def widen_biases(file):
    """Repeats the bias of each transposed convolution that the converter left with one number for all channels.

    Why: it does so where a number is added to all channels after the convolution, as a likelihood's offset is to one
        without biases; XNNPACK then reads past that number (TensorFlow 2.21.0).
    Upstream: no upstream issue found (2026-11-26).
    Once mended: remove it and `_constant`; its caller is `zoo.export.litert`.
    """
    for graph in file.subgraphs:
        for operator in graph.operators:
            inputs = list(operator.inputs)
            name = operator_name(file.operatorCodes[operator.opcodeIndex])
            if name != "TRANSPOSE_CONV" or len(inputs) < 4 or inputs[3] < 0:
                continue
            bias, channels = graph.tensors[inputs[3]], int(graph.tensors[inputs[1]].shape[0])
            if math.prod(bias.shape) < channels:
                wide = copy.copy(bias)
                content = np.full(channels, _constant(file, graph, inputs[3]))
                wide.shape, wide.buffer = [channels], add_buffer(file, content.tobytes())
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
        raise ValueError(f"Expected ReLU after a transposed convolution. Received: {fused} at {text(result.name)}")
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
        if operator_name(code) == name:
            return i
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = getattr(schema.BuiltinOperator, name)
    code.version = 1
    file.operatorCodes.append(code)
    return len(file.operatorCodes) - 1


def operator_name(code):
    """The name of an operator code, of one that is built in or of another."""
    if code.customCode is not None:
        return text(code.customCode)
    return _OPERATORS[max(code.builtinCode, code.deprecatedBuiltinCode)]


def text(name):
    return name.decode() if isinstance(name, bytes) else name


def add_buffer(file, content):
    """Adds a buffer, and gives its number."""
    buffer = schema.BufferT()
    buffer.data = np.frombuffer(content, np.uint8)
    file.buffers.append(buffer)
    return len(file.buffers) - 1


def add_metadata(file, name, content):
    """Adds bytes under a name."""
    entry = schema.MetadataT()
    entry.name, entry.buffer = name.encode(), add_buffer(file, content)
    file.metadata = [*(file.metadata or []), entry]
