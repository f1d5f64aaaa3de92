"""Samples from a model behind MLServer, over the Open Inference Protocol (KServe v2), with NumPy alone.

    python client.py mnist_cvae --label 3 --url http://localhost:8080

README.md beside this file says how to start the server.
"""

import pathlib
import sys

import numpy as np

sys.path.append(str(pathlib.Path(__file__).parents[1]))
import common  # noqa: E402

# What the protocol calls the types in the exported signatures.
DATATYPES = {"int32": "INT32", "float32": "FP32"}


def sample(url, model, inputs):
    """Images [N,H,W,C], and what they were decoded from: z [N,D] or codes [N,h,w]."""
    tensors = [
        {"name": name, "shape": list(value.shape), "datatype": DATATYPES[value.dtype.name], "data": value.tolist()}
        for name, value in inputs.items()
    ]
    body = {"parameters": {"signature_name": "sample"}, "inputs": tensors}
    answer = common.post_json(f"{url}/v2/models/{model}/infer", body)
    return {item["name"]: np.reshape(item["data"], item["shape"]) for item in answer["outputs"]}


def main(argv=None):
    parser = common.make_parser(__doc__)
    parser.add_argument("model", help="its name in model-settings.json")
    parser.add_argument("--url", default="http://localhost:8080", help="default: %(default)s")
    flags = parser.parse_args(argv)
    outputs = sample(flags.url, flags.model, common.make_inputs(flags))
    common.save_png(flags.output, outputs["image"])


if __name__ == "__main__":
    main()
