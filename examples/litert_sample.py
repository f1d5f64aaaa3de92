"""Samples from a .tflite of this project with LiteRT and NumPy alone.

    pip install ai-edge-litert numpy
    python litert_sample.py ../saved_models/cifar10_vqvae/model_int8.tflite --seed 0 --number 16
    python litert_sample.py ../saved_models/mnist_cvae/model_int8.tflite --label 3

A float32 file and its int8 version may differ in a code here and there, and so in the picture.
"""

import sys

import common
import numpy as np
from ai_edge_litert.interpreter import Interpreter


def sample(path, inputs):
    """Images [N,H,W,C], and what they were decoded from: z [N,D] or codes [N,h,w]."""
    try:
        # A second thread costs more than it brings for models of this size.
        runner = Interpreter(path, num_threads=1).get_signature_runner("sample")
    except ValueError as error:
        sys.exit(f"{path}: expected a .tflite with the signature sample. Received: {error}")
    common.check_inputs(inputs, runner.get_input_details())
    # These models have a batch of one: an image a call.
    rows = [runner(**{name: value[i : i + 1] for name, value in inputs.items()}) for i in range(len(inputs["seed"]))]
    return {name: np.concatenate([row[name] for row in rows]) for name in rows[0]}


def main(argv=None):
    parser = common.make_parser(__doc__)
    parser.add_argument("model", help=".tflite file")
    flags = parser.parse_args(argv)
    common.save_png(flags.output, sample(flags.model, common.make_inputs(flags))["image"])


if __name__ == "__main__":
    main()
