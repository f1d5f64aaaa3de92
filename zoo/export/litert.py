"""TFLite files with builtin operators only, which every LiteRT runtime reads."""

import tempfile
from collections.abc import Mapping
from typing import Literal

import keras
import tensorflow as tf

from zoo._compat import flatbuffer as files
from zoo._compat import tflite
from zoo.export import flatbuffer, saved_model, signatures

QUANTIZATIONS = (None, "float16", "int8")


def convert(
    model: keras.Model,
    quantization: Literal["float16", "int8"] | None = None,
    batch_size: int = 1,
    metadata: Mapping[str, object] | None = None,
    observe: bool = False,
    more: Mapping[str, signatures.Signature] | None = None,
) -> bytes:
    """The model's signatures as the bytes of a TFLite file.

    int8 is the converter's own scheme: 8-bit weights with one scale per channel, and activations in float32. For the
    models here it gave smaller files than the same scheme of ai-edge-quantizer, at the same speed
    (benchmarks/export.md).

    Args:
        model: a built model of the zoo, in float32.
        quantization: None, "float16" or "int8", of the weights.
        batch_size: int >= 1, of every signature.
        metadata: dict, as `flatbuffer.add_metadata` takes it.
        observe: bool, whether `sample_observed` is among the signatures.
        more: dict of further signatures by name.

    Raises:
        ValueError: if an operator has no builtin form; the message names the operator and its layer.
    """
    with tempfile.TemporaryDirectory() as folder:
        names = saved_model.write(model, folder, batch_size, observe, more)
        converter = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=names)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
        if quantization is not None:
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if quantization == "float16":
            converter.target_spec.supported_types = [tf.float16]
        try:
            content = converter.convert()
        except Exception as error:  # the converter's own class is private
            raise ValueError(_explain(str(error))) from error
    file = files.read(content)
    flatbuffer.add_aliases(file, signatures.ALIASES)
    files.split_activations(file)
    files.widen_biases(file)
    flatbuffer.check(file)
    flatbuffer.add_metadata(file, metadata or {})
    return files.write(file)


def _explain(message):
    """The operators that a failed conversion names, and where they come from."""
    listed = ", ".join(tflite.unsupported_operators(message))
    if not listed:
        return f"Expected a model that converts to TFLite. Received from the converter: {message.strip()[:500]}"
    return f"Expected a model of operators that TFLite has built in. Received: {listed}"
