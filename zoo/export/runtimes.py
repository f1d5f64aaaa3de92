"""The runtimes of the comparison. Each runs a signature on arrays of any number of rows."""

import pathlib
from collections.abc import Collection, Mapping
from typing import Protocol

import keras
import numpy as np
import tensorflow as tf

from zoo._compat import keras as keras_compat
from zoo.export import onnx, signatures
from zoo.runtime.types import Arrays, Config, PathLike


class Runtime(Protocol):
    """Runs a signature on arrays, one for each input."""

    name: str

    @property
    def names(self) -> Collection[str]:
        """The names of the signatures."""

    def run(self, signature: str, **inputs: np.ndarray) -> Arrays: ...


class Keras:
    """The model itself, run eagerly."""

    name = "Keras"

    def __init__(
        self,
        model: keras.Model,
        observe: bool = False,
        more: Mapping[str, signatures.Signature] | None = None,
    ) -> None:
        self.signatures = {**signatures.of(model, observe=observe), **(more or {})}
        self.sensitivity = {signatures.data_name(model): model.likelihood.sensitivity}
        self.num_codes = model.num_codes
        self.lookup = None if model.num_codes is None else model.quantizer.lookup

    @property
    def names(self) -> Collection[str]:
        return self.signatures.keys()

    def run(self, signature: str, **inputs: np.ndarray) -> Arrays:
        outputs = self.signatures[signature].call(**{name: tf.constant(value) for name, value in inputs.items()})
        return {name: value.numpy() for name, value in outputs.items()}


class SavedModel:
    """A SavedModel in a version folder."""

    name = "SavedModel"

    def __init__(self, folder: PathLike) -> None:
        self.loaded = tf.saved_model.load(str(folder))

    @property
    def names(self) -> Collection[str]:
        return self.loaded.signatures.keys()

    def run(self, signature: str, **inputs: np.ndarray) -> Arrays:
        inputs = {name: tf.constant(value) for name, value in inputs.items()}
        return {name: value.numpy() for name, value in self.loaded.signatures[signature](**inputs).items()}


class LiteRT:
    """A `.tflite` file, on one thread, in batches of the file's own size."""

    name = "LiteRT"

    def __init__(self, path: PathLike) -> None:
        from ai_edge_litert.interpreter import Interpreter  # imported here, as `import zoo` does not need it

        self.interpreter = Interpreter(model_path=str(path), num_threads=1)

    @property
    def names(self) -> Collection[str]:
        return self.interpreter.get_signature_list().keys()

    def run(self, signature: str, **inputs: np.ndarray) -> Arrays:
        runner = self.interpreter.get_signature_runner(signature)
        size = next(iter(runner.get_input_details().values()))["shape"][0]
        rows = len(next(iter(inputs.values())))
        parts = []
        for start in range(0, rows, size):
            # The last batch is filled up with its first row.
            chosen = [start + i if start + i < rows else start for i in range(size)]
            outputs = runner(**{name: value[chosen] for name, value in inputs.items()})
            parts.append({name: np.array(value) for name, value in outputs.items()})
        return {name: np.concatenate([part[name] for part in parts])[:rows] for name in parts[0]}


class ONNX:
    """A folder of ONNX files, on one thread."""

    name = "ONNX"

    def __init__(self, folder: pathlib.Path) -> None:
        onnx.require_packages()
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self.sessions = {
            path.stem: onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
            for path in sorted(folder.glob("*.onnx"))
        }

    @property
    def names(self) -> Collection[str]:
        return self.sessions.keys()

    def run(self, signature: str, **inputs: np.ndarray) -> Arrays:
        session = self.sessions[signature]
        names = [output.name for output in session.get_outputs()]
        own = {onnx.output_name(name, inputs): name for name in inputs}  # an output that has the name of an input
        return {own.get(name, name): value for name, value in zip(names, session.run(names, inputs), strict=True)}


def in_float32(model: keras.Model) -> keras.Model:
    """The model itself if all of it computes in float32, else a copy that does."""
    # Not always a copy, as a float32 model may be one that Keras cannot save.
    if all(layer.compute_dtype == "float32" for layer in keras_compat.layers_of(model)):
        return model
    changed = float32_config(keras.saving.serialize_keras_object(model))
    changed.pop("compile_config", None)
    # Safe mode is off, as the model's code has already run in this process.
    copy = keras.saving.deserialize_keras_object(changed, safe_mode=False)
    copy.set_weights(model.get_weights())
    return copy


def float32_config(config: Config) -> Config:
    """The configuration of an object, as Keras serializes it, with float32 for each policy of another precision."""
    return {key: _in_float32(value) for key, value in config.items()}


def _in_float32(value):
    if isinstance(value, dict):
        if value.get("class_name") == "DTypePolicy":
            return {**value, "config": {**value["config"], "name": "float32"}}
        return float32_config(value)
    return [_in_float32(each) for each in value] if isinstance(value, list) else value
