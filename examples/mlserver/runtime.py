"""A runtime for MLServer that serves a SavedModel: `parameters.signature_name` of a request picks the endpoint."""

import asyncio

import numpy as np
import tensorflow as tf
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.errors import InferenceError
from mlserver.types import InferenceRequest, InferenceResponse
from mlserver.utils import get_model_uri


class SavedModelRuntime(MLModel):
    """`parameters.uri` of model-settings.json is the version folder, the one that holds saved_model.pb."""

    async def load(self):
        # Kept whole: the signatures alone would not keep the weights alive.
        self.saved_model = tf.saved_model.load(await get_model_uri(self.settings))
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        signature = self._get_signature(payload)
        specs = signature.structured_input_signature[1]
        inputs = {item.name: NumpyCodec.decode_input(item) for item in payload.inputs}
        _check_inputs(inputs, specs)
        # In a thread, for the server to answer health checks meanwhile.
        outputs = await asyncio.to_thread(signature, **{name: tf.constant(value) for name, value in inputs.items()})
        return InferenceResponse(
            id=payload.id,
            model_name=self.name,
            model_version=self.version,
            outputs=[NumpyCodec.encode_output(name, value.numpy()) for name, value in outputs.items()],
        )

    def _get_signature(self, payload):
        # MLServer keeps parameters that it does not know as attributes of the message's own.
        name = getattr(payload.parameters, "signature_name", None) or "serving_default"
        if name not in self.saved_model.signatures:
            names = sorted(self.saved_model.signatures)
            raise InferenceError(f"signature_name: expected one of {names}. Received: {name}")
        return self.saved_model.signatures[name]


def _check_inputs(inputs, specs):
    """Says what a request gets wrong; TensorFlow's own message would come as an error of the server."""
    if inputs.keys() != specs.keys():
        raise InferenceError(f"Expected the inputs {sorted(specs)}. Received: {sorted(inputs)}")
    for name, value in inputs.items():
        spec = specs[name]
        if value.dtype != spec.dtype.as_numpy_dtype or not spec.shape.is_compatible_with(value.shape):
            expected, received = f"{spec.dtype.name} {spec.shape}", f"{np.dtype(value.dtype).name} {value.shape}"
            raise InferenceError(f"{name}: expected {expected}. Received: {received}")
    if len({len(value) for value in inputs.values()}) != 1:
        raise InferenceError("Expected as many rows in each input")
