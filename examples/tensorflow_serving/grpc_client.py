"""Samples from a model behind TensorFlow Serving, over gRPC.

    pip install tensorflow-serving-api
    python grpc_client.py cifar10_vqvae --seed 0 --number 16
    python grpc_client.py mnist_cvae --label 3 --address localhost:8500

README.md beside this file says how to start the server.
"""

import pathlib
import sys

import grpc
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

sys.path.append(str(pathlib.Path(__file__).parents[1]))
import common  # noqa: E402

# gRPC refuses answers above 4 MiB unless told otherwise: 300 colour images of 64×64 are more.
CHANNEL_OPTIONS = [("grpc.max_receive_message_length", -1)]


def sample(address, model, version, inputs):
    """Images [N,H,W,C], and what they were decoded from: z [N,D] or codes [N,h,w]."""
    request = predict_pb2.PredictRequest()
    request.model_spec.name = model
    request.model_spec.signature_name = "sample"
    if version:
        request.model_spec.version.value = version
    for name, value in inputs.items():
        request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
    with grpc.insecure_channel(address, CHANNEL_OPTIONS) as channel:
        try:
            answer = prediction_service_pb2_grpc.PredictionServiceStub(channel).Predict(request, timeout=60)
        except grpc.RpcError as error:
            sys.exit(f"{address}: {error.code().name}: {error.details()}")
    return {name: tf.make_ndarray(value) for name, value in answer.outputs.items()}


def main(argv=None):
    parser = common.make_parser(__doc__)
    parser.add_argument("model", help="its name in the server")
    parser.add_argument("--version", type=int, help="of the model (default: the one that the server prefers)")
    parser.add_argument("--address", default="localhost:8500", help="default: %(default)s")
    flags = parser.parse_args(argv)
    outputs = sample(flags.address, flags.model, flags.version, common.make_inputs(flags))
    common.save_png(flags.output, outputs["image"])


if __name__ == "__main__":
    main()
