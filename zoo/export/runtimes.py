"""The runtimes that an exported model is compared in: each runs a signature on arrays of any number of rows."""

import numpy as np
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

from zoo.export import signatures


class Keras:
    """The model itself, step by step."""

    name = "Keras"

    def __init__(self, model):
        self.signatures = signatures.of(model)

    def run(self, signature, **inputs):
        outputs = self.signatures[signature].call(**{name: tf.constant(value) for name, value in inputs.items()})
        return {name: value.numpy() for name, value in outputs.items()}


class SavedModel:
    """A version folder."""

    name = "SavedModel"

    def __init__(self, folder):
        self.loaded = tf.saved_model.load(str(folder))
        self.signatures = set(self.loaded.signatures)

    def run(self, signature, **inputs):
        inputs = {name: tf.constant(value) for name, value in inputs.items()}
        return {name: value.numpy() for name, value in self.loaded.signatures[signature](**inputs).items()}


class LiteRT:
    """A `.tflite` file, on one thread: batch after batch of its own size."""

    name = "LiteRT"

    def __init__(self, path):
        self.interpreter = Interpreter(model_path=str(path), num_threads=1)
        self.signatures = set(self.interpreter.get_signature_list())

    def run(self, signature, **inputs):
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
