"""The clients of TensorFlow Serving say what its APIs ask for, to stand-ins that check it and run the SavedModel."""

import concurrent.futures
import http.server
import json
import re
import threading

import exported
import numpy as np
import pytest
import tensorflow as tf

FOLDER = exported.EXAMPLES / "tensorflow_serving"


class Refusal(Exception):
    """What a server answers with in place of a result: HTTP status, and message."""


class Servable:
    """One model with its version 1, as a server holds it."""

    def __init__(self, version_folder):
        self.version_folder = version_folder
        self.name = version_folder.parent.name
        self.asked = []

    def predict(self, name, version, signature, inputs):
        if name != self.name or version not in (None, 1):
            raise Refusal(404, f"Servable not found for request: {name}")
        specs = exported.load(self.version_folder).signatures[signature].structured_input_signature[1]
        if inputs.keys() != specs.keys():
            raise Refusal(400, f"input size does not match signature: {len(inputs)}!={len(specs)}")
        for key, value in inputs.items():
            # The server refuses a type that is not the signature's own, and what is no batch.
            assert value.dtype == specs[key].dtype.as_numpy_dtype and value.ndim == 1
        self.asked.append((version, signature, {key: value.tolist() for key, value in inputs.items()}))
        return exported.run_saved_model(self.version_folder, inputs, signature)


class RestHandler(http.server.BaseHTTPRequestHandler):
    """POST /v1/models/NAME[/versions/N]:predict in the format by columns, as TensorFlow Serving documents it."""

    def do_POST(self):
        try:
            status, answer = 200, self.answer()
        except Refusal as refusal:
            status, answer = refusal.args[0], {"error": refusal.args[1]}
        content = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def answer(self):
        match = re.fullmatch(r"/v1/models/([^/:]+)(?:/versions/(\d+))?:predict", self.path)
        if not match:
            raise Refusal(400, f"Malformed request: POST {self.path}")
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if body.keys() - {"signature_name"} != {"inputs"}:
            raise Refusal(400, f"Missing 'inputs' or 'instances' key, or more: {sorted(body)}")
        # Numbers without a point are integers, as in the parser of the server.
        types = {"temperature": np.float32}
        inputs = {}
        for key, column in body["inputs"].items():
            if types.get(key) is None and not all(type(value) is int for value in column):
                raise Refusal(400, f"JSON Value: {column} is not of expected type: int32")
            inputs[key] = np.array(column, types.get(key, np.int32))
        version = match[2] and int(match[2])
        outputs = self.server.servable.predict(match[1], version, body.get("signature_name", "serving_default"), inputs)
        # A single output would come without its name.
        named = {key: value.tolist() for key, value in outputs.items()}
        return {"outputs": named if len(named) > 1 else next(iter(named.values()))}

    def log_message(self, *args):
        pass


@pytest.fixture
def servable(version_folder):
    return Servable(version_folder)


@pytest.fixture
def rest_url(servable):
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), RestHandler) as server:
        server.servable = servable
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def grpc_address(servable):
    grpc = pytest.importorskip("grpc", reason="needs grpcio")
    pytest.importorskip("tensorflow_serving", reason="needs tensorflow-serving-api")
    from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

    class Service(prediction_service_pb2_grpc.PredictionServiceServicer):
        def Predict(self, request, context):
            spec = request.model_spec
            version = spec.version.value if spec.HasField("version") else None
            inputs = {key: tf.make_ndarray(value) for key, value in request.inputs.items()}
            try:
                outputs = servable.predict(spec.name, version, spec.signature_name or "serving_default", inputs)
            except Refusal as refusal:
                codes = {404: grpc.StatusCode.NOT_FOUND, 400: grpc.StatusCode.INVALID_ARGUMENT}
                context.abort(codes[refusal.args[0]], refusal.args[1])
            answer = predict_pb2.PredictResponse(model_spec=spec)
            for key, value in outputs.items():
                answer.outputs[key].CopyFrom(tf.make_tensor_proto(value))
            return answer

    server = grpc.server(concurrent.futures.ThreadPoolExecutor(1))
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(Service(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}"
    server.stop(None).wait()


@pytest.fixture(params=("rest", "grpc"))
def client(request, load_example):
    """The client's main with the server's address in place."""
    kind = request.param
    flag, address = {"rest": ("--url", "rest_url"), "grpc": ("--address", "grpc_address")}[kind]
    where = request.getfixturevalue(address)
    module = load_example(FOLDER / f"{kind}_client.py")
    return lambda *arguments: module.main([*map(str, arguments), flag, where])


@pytest.mark.parametrize("version", (None, 1))
def test_samples(client, servable, tmp_path, version):
    output = tmp_path / "samples.png"
    flags = ["--seed", 7, "--number", 3, "--temperature", 0.8, "--output", output]
    flags += ["--version", version] if version else []
    client(servable.name, *flags, *exported.label_flags(servable.version_folder))
    inputs = exported.make_inputs(servable.version_folder, [7, 8, 9], 0.8)
    expected = {name: value.tolist() for name, value in inputs.items()}
    assert servable.asked == [(version, "sample", expected)]
    exported.check_png(output, exported.run_saved_model(servable.version_folder, inputs)["image"])


def test_what_the_server_refuses(client, servable):
    with pytest.raises(SystemExit, match="(?i)not.found.*Servable not found for request: nothing"):
        client("nothing")
    flags = [] if exported.is_conditional(servable.version_folder) else ["--label", 3]
    with pytest.raises(SystemExit, match="input size does not match signature"):
        client(servable.name, *flags)


@pytest.mark.parametrize(
    ("name", "flags", "message"),
    (
        ("rest", ["--url", "http://127.0.0.1:9"], "127.0.0.1:9.*: no answer: .*refused"),
        ("grpc", ["--address", "127.0.0.1:9"], "127.0.0.1:9: UNAVAILABLE"),
    ),
)
def test_no_server(load_example, name, flags, message):
    if name == "grpc":
        pytest.importorskip("grpc")
        pytest.importorskip("tensorflow_serving")
    with pytest.raises(SystemExit, match=message):
        load_example(FOLDER / f"{name}_client.py").main(["model", *flags])
