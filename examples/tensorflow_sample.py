"""Samples from a SavedModel of this project with TensorFlow alone.

    pip install tensorflow
    python tensorflow_sample.py ../saved_models/cifar10_vqvae --seed 0 --number 16
    python tensorflow_sample.py ../saved_models/mnist_cvae --label 3

Neither Keras nor this package is imported: the SavedModel holds all that is needed.
"""

import pathlib
import sys

import common
import tensorflow as tf


def find_version(folder):
    """The folder itself if it holds the SavedModel, else its subfolder with the highest number, as servers choose."""
    folder = pathlib.Path(folder)
    if (folder / "saved_model.pb").exists():
        return folder
    versions = [path.parent for path in folder.glob("*/saved_model.pb") if path.parent.name.isdecimal()]
    if not versions:
        sys.exit(f"{folder}: expected saved_model.pb there, or in a subfolder named by a number")
    return max(versions, key=lambda path: int(path.name))


def sample(folder, inputs):
    """Images [N,H,W,C], and what they were decoded from: z [N,D] or codes [N,h,w]."""
    model = tf.saved_model.load(find_version(folder))
    signature = model.signatures["sample"]
    common.check_inputs(inputs, signature.structured_input_signature[1])
    # One call for all rows: the SavedModel takes any batch, and a row is the same image in each.
    outputs = signature(**{name: tf.constant(value) for name, value in inputs.items()})
    return {name: value.numpy() for name, value in outputs.items()}


def main(argv=None):
    parser = common.make_parser(__doc__)
    parser.add_argument("model", help="the model's folder, or that of one version")
    flags = parser.parse_args(argv)
    common.save_png(flags.output, sample(flags.model, common.make_inputs(flags))["image"])


if __name__ == "__main__":
    main()
