"""What is put into a TFLite file, and what is refused of one."""

import exports
import numpy as np
import pytest
from flatbuffers import encode, packer, table

from zoo._compat import flatbuffer as files
from zoo.export import flatbuffer

METADATA = {
    "name": "digits",
    "version": "7",
    "description": "Ziffern, 8·8 Pixel",
    "author": "me",
    "license": "Apache-2.0",
    "training_data": "blobs",
    "classes": ["a", "b"],
}


@pytest.fixture(scope="module")
def described(tmp_path_factory):
    path = tmp_path_factory.mktemp("described") / "model.tflite"
    return exports.trained("vae").export(path, format="litert", metadata=METADATA)


@pytest.fixture
def file(exported):
    return files.read(exported("vae", "litert").read_bytes())


def buffer(path, name):
    file = exports.read(path)
    (entry,) = [entry for entry in file.metadata if entry.name == name.encode()]
    return bytes(bytearray(file.buffers[entry.buffer].data))


def test_metadata_comes_back_with_types_and_shapes_of_every_signature(described):
    metadata = flatbuffer.read_metadata(described)
    assert METADATA.items() <= metadata.items()
    assert (metadata["model"], metadata["batch_size"], metadata["quantization"]) == ("VAE", 1, None)
    assert metadata["value_range"] == {"image": [0.0, 1.0]} and metadata["producer"].startswith("vae-zoo ")
    assert metadata["signatures"]["sample"] == {
        "inputs": {
            "seed": {"dtype": "int32", "shape": [1]},
            "temperature": {"dtype": "float32", "shape": [1]},
        },
        "outputs": {
            "image": {"dtype": "float32", "shape": [1, 8, 8, 1]},
            "z": {"dtype": "float32", "shape": [1, 3]},
        },
    }
    assert set(metadata["signatures"]) == {"serving_default", "reconstruct", "encode", "decode", "sample", "log_prob"}


def test_standard_metadata_after_its_schema(described):
    content = buffer(described, "TFLITE_METADATA")
    assert content[4:8] == b"M001"
    root = table.Table(content, encode.Get(packer.uoffset, content, 0))

    def text(field):  # by its place in table ModelMetadata of metadata_schema.fbs
        offset = root.Offset(4 + 2 * field)
        return offset and root.String(offset + root.Pos).decode()

    assert [text(field) for field in (0, 1, 2, 4, 5)] == ["digits", "Ziffern, 8·8 Pixel", "7", "me", "Apache-2.0"]
    assert not root.Offset(4 + 2 * 3) and not root.Offset(4 + 2 * 6)  # subgraph_metadata, associated_files


def test_without_metadata_a_file_has_the_name_of_its_model_and_version_1(exported):
    metadata = flatbuffer.read_metadata(exported("vae", "litert"))
    assert (metadata["name"], metadata["version"]) == ("other", "1")


def test_file_of_another_producer_has_no_metadata(file, tmp_path):
    file.metadata = None
    (tmp_path / "other.tflite").write_bytes(files.write(file))
    assert flatbuffer.read_metadata(tmp_path / "other.tflite") == {}


def test_description_is_that_of_the_runtime(exported):
    described = flatbuffer.read_metadata(exported("cvae", "litert"))["signatures"]
    interpreter = exports.load(exported("cvae", "litert"))
    assert set(described) == set(interpreter.get_signature_list())
    for name, sides in described.items():
        runner = interpreter.get_signature_runner(name)
        for side, details in (("inputs", runner.get_input_details()), ("outputs", runner.get_output_details())):
            assert sides[side] == {
                end: {"dtype": np.dtype(detail["dtype"]).name, "shape": detail["shape"].tolist()}
                for end, detail in details.items()
            }


# What `check` refuses


def test_what_was_exported_passes(file):
    flatbuffer.check(file)


def test_custom_operator(file):
    file.operatorCodes[file.subgraphs[0].operators[0].opcodeIndex].customCode = b"FlexErf"
    with pytest.raises(ValueError, match="operators that TFLite has built in. Received: FlexErf of "):
        flatbuffer.check(file)


def test_unknown_shape(file):
    tensor = file.subgraphs[1].tensors[2]
    tensor.shapeSignature = np.int32([-1, 8])
    with pytest.raises(ValueError, match=r"Expected every shape to be known. Received: \[-1, 8\] of "):
        flatbuffer.check(file)


def test_input_of_another_type(file):
    signature = next(one for one in file.signatureDefs if one.signatureKey == b"sample")
    end = next(end for end in signature.inputs if end.name == b"seed")
    file.subgraphs[signature.subgraphIndex].tensors[end.tensorIndex].type = files.schema.TensorType.INT64
    with pytest.raises(ValueError, match="Expected float32 or int32. Received: another type of seed in sample"):
        flatbuffer.check(file)


def test_aliases_share_the_graph_and_the_rest_stays(file):
    before = {one.signatureKey: one.subgraphIndex for one in file.signatureDefs}
    flatbuffer.add_aliases(file, {"again": "decode"})
    after = {one.signatureKey: one.subgraphIndex for one in file.signatureDefs}
    assert after == {**before, b"again": before[b"decode"]}


def test_a_file_that_is_read_and_written_is_the_same(file):
    again = files.read(files.write(file))
    assert flatbuffer.describe(again) == flatbuffer.describe(file)
    assert [len(graph.operators) for graph in again.subgraphs] == [len(graph.operators) for graph in file.subgraphs]
