"""Golden vectors: what a port to another runtime is checked with."""

import base64
import json

import conformance
import exports
import numpy as np
import pytest

from zoo.export import golden

TYPES = {"float32": "f4", "int32": "i4"}


def read(path):
    place = path / "assets.extra" / "golden.json" if path.is_dir() else path.with_suffix(".golden.json")
    return json.loads(place.read_text())


def arrays(vectors):
    return {
        name: np.frombuffer(base64.b64decode(tensor["base64"]), "<" + TYPES[tensor["dtype"]]).reshape(tensor["shape"])
        for name, tensor in vectors["tensors"].items()
    }


@pytest.mark.parametrize("format", exports.FORMATS)
@pytest.mark.parametrize(
    "name", ("cvae", *(pytest.param(name, marks=pytest.mark.slow) for name in ("vae", "vq_vae", "vq_vae_labels")))
)
def test_inputs_give_the_outputs_again(name, format, exported):
    path = exported(name, format)
    vectors = read(path)
    tensors = arrays(vectors)
    assert vectors["tolerance"] == 1e-4
    assert set(vectors["signatures"]) == set(exports.expected(name))
    for signature, sides in vectors["signatures"].items():
        inputs, outputs = exports.expected(name)[signature]
        assert set(sides["inputs"]) == set(inputs) and set(sides["outputs"]) == set(outputs)
        received = exports.run(path, signature, {key: tensors[value] for key, value in sides["inputs"].items()})
        for output, tensor in sides["outputs"].items():
            exports.assert_agree(received[output], tensors[tensor], f"{output} of {signature}")


def test_rows_shapes_and_types(exported):
    vectors = read(exported("vae"))
    described = {name: (tensor["dtype"], tensor["shape"]) for name, tensor in vectors["tensors"].items()}
    image = ("float32", [2, *conformance.SHAPE])
    assert described == {
        "image": image,
        "seed": ("int32", [2]),
        "temperature": ("float32", [2]),
        "z": ("float32", [2, 3]),
        "reconstruct/image": image,
        "encode/mean": ("float32", [2, 3]),
        "encode/log_var": ("float32", [2, 3]),
        "decode/image": image,
        "log_prob/log_prob": ("float32", [2]),
    }
    # What is drawn is what is decoded, and so is its image: kept once.
    sides = vectors["signatures"]["sample"]["outputs"]
    assert sides == {"image": "decode/image", "z": "z"}
    assert arrays(vectors)["seed"].tolist() == [0, 1]


def test_of_a_quantized_file_they_are_its_own(exported):
    path = exported("transposed", "litert", quantization="int8")
    vectors = read(path)
    tensors = arrays(vectors)
    received = exports.run(path, "decode", {"z": tensors["z"]})["image"]
    exports.assert_agree(received, tensors["decode/image"])


def test_first_rows_four_bytes_each_and_what_is_alike_once():
    class Runtime:
        def run(self, signature, image):
            return {"half": image / 2, "number": np.int32([[256], [-1], [0]])}

    image = np.float32([[2.0], [4.0], [3.0]])  # 0x40000000 and 0x40800000; their halves 0x3f800000 and 0x40000000
    vectors = golden.vectors(Runtime(), {"one": {"image": image}, "two": {"image": image}})
    assert vectors == {
        "tolerance": 1e-4,
        "tensors": {
            "image": {"dtype": "float32", "shape": [2, 1], "base64": "AAAAQAAAgEA="},
            "one/half": {"dtype": "float32", "shape": [2, 1], "base64": "AACAPwAAAEA="},
            "one/number": {"dtype": "int32", "shape": [2, 1], "base64": "AAEAAP////8="},
        },
        "signatures": {
            name: {"inputs": {"image": "image"}, "outputs": {"half": "one/half", "number": "one/number"}}
            for name in ("one", "two")
        },
    }
