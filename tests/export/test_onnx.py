"""ONNX files: run by ONNX Runtime alone, for any batch, right where the converter knows no operator."""

import json
import os
import subprocess
import sys
import textwrap

import conformance
import exports
import keras
import numpy as np
import onnx
import pytest
import tensorflow as tf
from keras import layers
from test_golden import arrays
from test_signatures import contract

import zoo
from zoo import networks
from zoo.export import onnx as onnx_files
from zoo.export import parity, runtimes, signatures

ALONE = """
    import json, sys
    for name in ("tensorflow", "keras", "zoo", "onnx"):
        sys.modules[name] = None  # importing it fails
    import numpy as np
    import onnxruntime

    for path, inputs, outputs in json.loads(sys.argv[1]):
        session = onnxruntime.InferenceSession(path + "/sample.onnx", providers=["CPUExecutionProvider"])
        names = [output.name for output in session.get_outputs()]
        np.savez(outputs, **dict(zip(names, session.run(names, dict(np.load(inputs))))))
"""
# Models of other operators each: dense layers, labels, and a loop that draws code by code.
QUICK = {"vae", "cvae", "vq_vae_labels"}
PARAMS = conformance.params(exports.NAMES, QUICK)
TYPES = {onnx.TensorProto.FLOAT: "float32", onnx.TensorProto.INT32: "int32"}


def of_onnx(path):
    """The inputs and outputs of each file: dicts of names to types and shapes."""

    def read(ends):
        found = {}
        for end in ends:
            shape = tuple(dim.dim_param or dim.dim_value for dim in end.type.tensor_type.shape.dim)
            found[end.name] = (TYPES[end.type.tensor_type.elem_type], shape)
        return found

    files = {one.stem: onnx.load(one).graph for one in path.glob("*.onnx")}
    return {name: (read(graph.input), read(graph.output)) for name, graph in files.items()}


def run(path, signature, inputs):
    """The outputs by the names of the contract."""
    outputs = exports.run_onnx(path, signature, inputs)
    return {"image": outputs["image_out"]} if signature == "reconstruct" else outputs


@pytest.mark.parametrize("name", PARAMS)
def test_every_signature_agrees_with_keras(name, exported):
    path = exported(name, "onnx")
    for signature, (inputs, outputs) in exports.expected(name).items():
        received = run(path, signature, inputs)
        assert set(received) == set(outputs)
        for output, wanted in outputs.items():
            if wanted is None:
                own = {"labels": inputs["labels"]} if "labels" in inputs else {}
                wanted, output = exports.decode(name, received["z"], own), "image"
            exports.assert_agree(received[output], wanted, f"{output} of {signature}")


@pytest.mark.parametrize("name", PARAMS)
def test_files_have_the_signatures_of_the_contract_for_any_batch(name, exported):
    wanted = contract(name, "batch")
    del wanted["serving_default"]
    for signature in {"reconstruct", "impute"} & set(wanted):
        inputs, outputs = wanted[signature]
        wanted[signature] = (inputs, {"image_out": outputs["image"]})  # one name is one tensor
    assert of_onnx(exported(name, "onnx")) == wanted


@pytest.mark.parametrize("name", PARAMS)
def test_a_row_does_not_depend_on_its_batch(name, exported):
    path = exported(name, "onnx")
    for signature, (inputs, _) in exports.expected(name).items():
        together = run(path, signature, inputs)
        for rows in ([3], [6, 0, 3, 1, 2]):
            apart = run(path, signature, {key: value[rows] for key, value in inputs.items()})
            for output, values in apart.items():
                exports.assert_agree(values, together[output][rows], f"{output} of {signature}, rows {rows}")


def test_samples_in_onnx_runtime_alone(exported, tmp_path):
    jobs = []
    for name in ("vae", "vq_vae_labels"):
        np.savez(tmp_path / f"{name}_in.npz", **exports.expected(name)["sample"][0])
        jobs.append([str(exported(name, "onnx")), f"{tmp_path}/{name}_in.npz", f"{tmp_path}/{name}_out.npz"])
    argv = [sys.executable, "-c", textwrap.dedent(ALONE), json.dumps(jobs)]
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    for name in ("vae", "vq_vae_labels"):
        wanted, received = exports.expected(name)["sample"][1], np.load(tmp_path / f"{name}_out.npz")
        assert set(received) == set(wanted)
        exports.assert_agree(received["image"], wanted["image"], name)


def test_images_of_another_size_are_an_error(exported):
    session = exports.session(exported("vae", "onnx") / "reconstruct.onnx")
    with pytest.raises(Exception, match="invalid dimensions for input: image"):
        session.run(None, {"image": np.zeros((1, 9, 8, 1), np.float32)})


# What lies beside the files


def test_report_golden_vectors_and_properties(exported):
    path = exported("cvae", "onnx")
    names = {f"{name}.onnx" for name in exports.expected("cvae")} | {"export.json", "golden.json"}
    assert {one.name for one in path.iterdir()} == names
    report = json.loads((path / "export.json").read_text())
    assert report["metadata"]["model"] == "CVAE" and all(row["passed"] for row in report["parity"])
    vectors = json.loads((path / "golden.json").read_text())
    tensors = arrays(vectors)
    for signature, sides in vectors["signatures"].items():
        received = exports.run_onnx(path, signature, {key: tensors[value] for key, value in sides["inputs"].items()})
        assert set(received) == set(sides["outputs"])
        for output, tensor in sides["outputs"].items():
            exports.assert_agree(received[output], tensors[tensor], f"{output} of {signature}")
    properties = {one.key: one.value for one in onnx.load(path / "sample.onnx").metadata_props}
    assert properties["name"] == exports.trained("cvae").name
    assert json.loads(properties["vae_zoo"])["signature"] == "sample"


def test_check_accepts_the_folder_and_sees_weights_that_changed(exported, capsys):
    path = exported("vae", "onnx")
    rows = zoo.export.check(path, exports.trained("vae"))
    assert len(rows) == 7 and all(row["passed"] and row["largest"] <= row["allowed"] == 1e-4 for row in rows)
    x, _ = exports.images("vae", 8)
    rows = zoo.export.check(path, exports.make("vae"), images=x)
    assert {"log_prob", "image"} <= {row["output"] for row in rows if not row["passed"]}
    assert "too large" in capsys.readouterr().out


@pytest.mark.long
def test_mixed_model_is_exported_in_float32(tmp_path):
    keras.mixed_precision.set_dtype_policy("mixed_bfloat16")
    try:
        model = exports.make("vae")
        x, _ = exports.images("vae")
        model(x)
    finally:
        keras.mixed_precision.set_dtype_policy("float32")
    path = model.export(tmp_path / "m", format="onnx")
    exports.assert_agree(
        run(path, "reconstruct", {"image": x})["image"], runtimes.in_float32(model).reconstruct(x).numpy()
    )


# The place of the folder


@pytest.mark.long
def test_an_earlier_export_is_replaced_whole_and_nothing_else_is(tmp_path):
    path = tmp_path / "new" / "m"
    model = exports.trained("vae")
    assert model.export(str(path), format="onnx") == path
    (path / "sample.onnx").write_bytes(b"old")
    (path / "log_prob.onnx").unlink()
    assert model.export(path, format="onnx") == path
    assert len(list(path.iterdir())) == 7 and [one.name for one in path.parent.iterdir()] == ["m"]
    assert (path / "sample.onnx").read_bytes() != b"old"
    (path / "mine.txt").write_text("mine")
    before = {one: one.stat().st_mtime_ns for one in tmp_path.rglob("*")}
    with pytest.raises(ValueError, match="Expected `path` to be a folder of ONNX files alone, not one with 'mine.txt'"):
        model.export(path, format="onnx")
    assert {one: one.stat().st_mtime_ns for one in tmp_path.rglob("*")} == before


def test_file_in_the_place_of_the_folder(tmp_path):
    (tmp_path / "m").write_text("mine")
    with pytest.raises(ValueError, match="Expected `path` to be a folder. Received: path=.*m'"):
        exports.trained("vae").export(tmp_path / "m", format="onnx")
    assert (tmp_path / "m").read_text() == "mine"


def test_what_disagrees_is_not_put_in_place(tmp_path, monkeypatch):
    write = onnx_files.write
    monkeypatch.setattr(onnx_files, "write", lambda model, *args: write(exports.make("vae"), *args))
    with pytest.raises(parity.ParityError, match=r"Expected the ONNX to agree .* Received: .* in image of reconstruct"):
        exports.trained("vae").export(tmp_path / "m", format="onnx")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("package", ("tf2onnx", "onnx", "onnxruntime"))
def test_missing_package_is_named_with_the_command_that_installs_it(package, exported, tmp_path, monkeypatch):
    path = exported("vae", "onnx")
    monkeypatch.setitem(sys.modules, package, None)  # as if it were not installed
    match = rf"Received: no {package}. Install them with: pip install 'vae-zoo\[onnx\]'"
    with pytest.raises(ImportError, match=match):
        exports.trained("vae").export(tmp_path / "m", format="onnx")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ImportError, match=match):
        zoo.export.check(path, exports.trained("vae"))


# Operators


@pytest.mark.parametrize(
    "function, wanted, low",
    [(tf.math.log1p, np.log1p, -0.999), (tf.math.expm1, np.expm1, -100.0)],
)
def test_operators_that_the_converter_does_not_know_keep_their_digits(function, wanted, low, tmp_path):
    sizes = np.geomspace(1e-30, 80, 2000)
    x = np.concatenate([sizes, -sizes[sizes < -low], [0.0]]).astype(np.float32)
    spec = {"x": tf.TensorSpec((None,), "float32", "x")}
    file = onnx_files._convert("one", signatures.Signature(lambda x: {"y": function(x)}, spec))
    (tmp_path / "one.onnx").write_bytes(file.SerializeToString())
    received = exports.run_onnx(tmp_path, "one", {"x": x})["y"]
    np.testing.assert_allclose(received, wanted(x.astype(np.float64)), rtol=4e-7, atol=0)
    with np.errstate(all="ignore"):
        ends = np.float32([np.inf, np.nan, -1.0, -np.inf])
        np.testing.assert_allclose(exports.run_onnx(tmp_path, "one", {"x": ends})["y"], wanted(ends), rtol=1e-6)


@keras.saving.register_keras_serializable("tests")
def inverse(x):
    return tf.linalg.inv(x + 20 * tf.eye(8))


def test_operator_that_onnx_has_not_is_named_with_its_layer(tmp_path, capfd):
    odd = layers.Lambda(inverse, output_shape=(8, 8), name="odd_one")
    decoder = keras.Sequential(
        [layers.Input((3,)), layers.Dense(64), layers.Reshape((8, 8)), odd, layers.Reshape((8, 8, 1))]
    )
    model = zoo.VAE(networks.mlp_encoder(conformance.SHAPE, 3, hidden=(8,)), decoder, "bernoulli")
    with pytest.raises(
        ValueError, match="Expected a model of operators that ONNX has. Received: MatrixInverse of .*odd_"
    ):
        model.export(tmp_path / "m", format="onnx")
    assert list(tmp_path.iterdir()) == []


def file_of(node, taken, given):
    """A file of one operator, from an input `x` to an output `y`, of ONNX's types."""
    ends = [onnx.helper.make_tensor_value_info(name, of, ("batch",)) for name, of in (("x", taken), ("y", given))]
    graph = onnx.helper.make_graph([node], "one", ends[:1], ends[1:])
    return onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", onnx_files.OPSET)], ir_version=8)


def test_operator_that_onnx_has_not_is_found_within_loops():
    node = onnx.helper.make_node("Odd", ["x"], ["y"], name="odd_one")
    for _ in range(3):
        with pytest.raises(ValueError, match="operators that ONNX has. Received: Odd of odd_one"):
            onnx_files._check(file_of(node, onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT))
        y = onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, None)
        branches = [onnx.helper.make_graph([node], name, [], [y]) for name in ("then", "else")]
        node = onnx.helper.make_node("If", ["x"], ["y"], then_branch=branches[0], else_branch=branches[1])


def test_inputs_and_outputs_of_other_types_than_the_contracts_are_refused():
    types = onnx.TensorProto
    for taken, given, wrong in (
        (types.FLOAT, types.INT32, None), (types.FLOAT, types.INT64, "y"), (types.INT64, types.FLOAT, "x"),
    ):  # fmt: skip
        file = file_of(onnx.helper.make_node("Cast", ["x"], ["y"], to=given), taken, given)
        if wrong is None:
            onnx_files._check(file)
            continue
        with pytest.raises(ValueError, match=f"Expected float32 or int32. Received: another type of {wrong} in one"):
            onnx_files._check(file)
