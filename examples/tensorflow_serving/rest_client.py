"""Samples from a model behind TensorFlow Serving, over its REST API, with NumPy alone.

    python rest_client.py cifar10_vqvae --seed 0 --number 16
    python rest_client.py mnist_cvae --label 3 --url http://localhost:8501

README.md beside this file says how to start the server.
"""

import pathlib
import sys

import numpy as np

sys.path.append(str(pathlib.Path(__file__).parents[1]))
import common  # noqa: E402


def sample(url, model, version, inputs):
    """Images [N,H,W,C], and what they were decoded from: z [N,D] or codes [N,h,w]."""
    path = f"/v1/models/{model}" + (f"/versions/{version}" if version else "")
    columns = {name: value.tolist() for name, value in inputs.items()}
    # "inputs" is the format by columns. With several outputs, "outputs" holds an array for each.
    answer = common.post_json(f"{url}{path}:predict", {"signature_name": "sample", "inputs": columns})
    return {name: np.array(value) for name, value in answer["outputs"].items()}


def main(argv=None):
    parser = common.make_parser(__doc__)
    parser.add_argument("model", help="its name in the server")
    parser.add_argument("--version", type=int, help="of the model (default: the one that the server prefers)")
    parser.add_argument("--url", default="http://localhost:8501", help="default: %(default)s")
    flags = parser.parse_args(argv)
    outputs = sample(flags.url, flags.model, flags.version, common.make_inputs(flags))
    common.save_png(flags.output, outputs["image"])


if __name__ == "__main__":
    main()
