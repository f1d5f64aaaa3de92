"""The contract: names, inputs, outputs, types and shapes."""

import conformance
import exports
import numpy as np
import pytest
import tensorflow as tf

from zoo.export import signatures


def contract(name, batch):
    """Names to inputs and outputs: dicts of names to types and shapes, after DESIGN.md's table."""
    latents, posterior = (batch, exports.latent_width(name)), ("mean", "log_var")
    image = {"image": ("float32", (batch, *conformance.SHAPE))}
    key, z = "z", {"z": ("float32", latents)}
    encoded = {part: ("float32", latents) for part in posterior}
    if exports.is_discrete(name):
        key, z = "codes", {"codes": ("int32", (batch, *exports.ENTRIES[name].codes_shape))}
        encoded = z
    seed, temperature = {"seed": ("int32", (batch,))}, {"temperature": ("float32", (batch,))}
    found = {
        "serving_default": (image, image),
        "reconstruct": (image, image),
        "encode": (image, encoded),
        "decode": ({key: z[key]}, image),
        "sample": (seed | temperature, image | z),
        "log_prob": (image | seed, {"log_prob": ("float32", (batch,))}),
    }
    if name == "vaeac":
        found["impute"] = (image | {"mask": image["image"]} | seed | temperature, image)
    if not exports.has_prior(name):
        del found["sample"], found["log_prob"]
    labels = {"labels": ("int32", (batch,)) if exports.ENTRIES[name].labels is None else ("float32", (batch, 2))}
    return {
        signature: (inputs | labels if exports.takes_labels(name, signature) else inputs, outputs)
        for signature, (inputs, outputs) in found.items()
    }


def of_saved_model(path):
    def read(specs):
        return {name: (spec.dtype.name, tuple(spec.shape)) for name, spec in specs.items()}

    return {
        name: (read(function.structured_input_signature[1]), read(function.structured_outputs))
        for name, function in exports.load(path).signatures.items()
    }


def of_litert(path):
    def read(details):
        return {name: (np.dtype(end["dtype"]).name, tuple(end["shape"].tolist())) for name, end in details.items()}

    # One of its own, as that of `exports.run` keeps the shapes of whatever it was last given.
    interpreter, found = exports.Interpreter(str(path), num_threads=1), {}
    for name in interpreter.get_signature_list():
        runner = interpreter.get_signature_runner(name)
        found[name] = (read(runner.get_input_details()), read(runner.get_output_details()))
    return found


@pytest.mark.parametrize("name", exports.PARAMS)
def test_saved_model_has_the_signatures_of_the_contract_for_any_batch(name, exported):
    assert of_saved_model(exported(name)) == contract(name, None)


@pytest.mark.parametrize("name", exports.PARAMS)
def test_tflite_has_the_signatures_of_the_contract_for_one_row(name, exported):
    assert of_litert(exported(name, "litert")) == contract(name, 1)


@pytest.mark.parametrize("name", ("cvae", pytest.param("vq_vae_labels", marks=pytest.mark.slow)))
def test_tflite_of_another_batch_size(name, exported):
    path = exported(name, "litert", batch_size=3)
    assert of_litert(path) == contract(name, 3)
    for signature, (inputs, outputs) in exports.expected(name).items():
        runner = exports.load(path).get_signature_runner(signature)
        received = runner(**{key: value[-3:] for key, value in inputs.items()})
        for output in set(outputs) - {"z"}:
            exports.assert_agree(received[output], outputs[output][-3:], f"{output} of {signature}")


@pytest.mark.parametrize("format", exports.FORMATS)
def test_serving_default_is_reconstruct(format, exported):
    inputs, outputs = exports.expected("cvae")["reconstruct"]
    received = [
        exports.run(exported("cvae", format), name, inputs)["image"] for name in ("serving_default", "reconstruct")
    ]
    np.testing.assert_array_equal(*received)
    exports.assert_agree(received[0], outputs["image"])


def test_labels_matter_where_they_are_taken(exported):
    for name, signature in (("cvae", "decode"), ("cvae", "log_prob"), ("vq_vae_labels", "log_prob")):
        inputs, _ = exports.expected(name)[signature]
        (output,) = exports.run(exported(name), signature, inputs).values()
        other = {**inputs, "labels": (inputs["labels"] + 1) % 3}
        (changed,) = exports.run(exported(name), signature, other).values()
        assert np.abs(output - changed).max() > 1e-3, (name, signature)


def test_latents_of_a_hierarchical_vae_lie_behind_one_another_top_first():
    model = exports.trained("hierarchical_vae")
    flat = np.arange(2 * 19, dtype=np.float32).reshape(2, 19)  # 1·1·3 + 4·4·1
    layers = model.unflatten(flat)
    assert [tuple(layer.shape) for layer in layers] == [(2, 1, 1, 3), (2, 4, 4, 1)]
    np.testing.assert_array_equal(layers[0][1, 0, 0], [19, 20, 21])
    np.testing.assert_array_equal(layers[1][0, 0, :, 0], [3, 4, 5, 6])
    np.testing.assert_array_equal(layers[1][1, 0, :, 0], [22, 23, 24, 25])
    np.testing.assert_array_equal(model.flatten(layers), flat)


def test_batch_size_is_that_of_every_input():
    for signature in signatures.of(exports.trained("vae"), batch_size=5).values():
        assert all(spec.shape[0] == 5 for spec in signature.inputs.values())


# What a client that sends images of another size gets.


@pytest.mark.parametrize("shape", [(1, 9, 8, 1), (1, 8, 8, 3), (1, 16, 4, 1), (8, 8, 1)])
def test_saved_model_refuses_images_of_another_size(shape, exported):
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"image \[.* not compatible with .* \[\?,8,8,1\]"):
        exports.run(exported("vae"), "reconstruct", {"image": np.zeros(shape, np.float32)})
