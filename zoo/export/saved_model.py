"""SavedModels in the layout of TensorFlow Serving."""

import errno
import os
import pathlib
import re
from collections.abc import Mapping

import keras
import tensorflow as tf

from zoo.export import signatures
from zoo.runtime import checks
from zoo.runtime.types import Cases, PathLike


def write(
    model: keras.Model,
    folder: PathLike,
    batch_size: int | None = None,
    observe: bool = False,
    more: Mapping[str, signatures.Signature] | None = None,
) -> list[str]:
    """Writes the model's signatures, and `more`, to `folder`, without Keras objects: TensorFlow alone can load it.

    Returns:
        list of str, the names of the signatures without the aliases.
    """
    further = {name: signature.of_batch(batch_size) for name, signature in (more or {}).items()}
    found = {**signatures.of(model, batch_size, observe), **further}
    traced = {name: signature.trace() for name, signature in found.items()}
    module = tf.Module()
    # Only the weights that the signatures read: no optimizer, no metrics, no moving averages of a codebook.
    module.weights = list({id(weight): weight for call in traced.values() for weight in call.variables}.values())
    aliases = {alias: traced[name] for alias, name in signatures.ALIASES.items()}
    options = tf.saved_model.SaveOptions(experimental_debug_stripper=True)
    try:
        tf.saved_model.save(module, str(folder), traced | aliases, options)
    except (tf.errors.OutOfRangeError, tf.errors.ResourceExhaustedError, tf.errors.PermissionDeniedError) as error:
        raise OSError(error.message.splitlines()[0]) from error  # such as a full disk
    return list(traced)


def write_warmup(folder: PathLike, name: str, requests: Cases) -> None:
    """Writes the warm-up requests that TensorFlow Serving runs before it reports that it is ready.

    The records come from the `tensorflow-serving-api` package: 30 KB, maintained by the authors of TensorFlow Serving,
    and gRPC clients need it anyway.

    Args:
        folder: path of the version folder.
        name: str, the name of the model.
        requests: dict of signatures' names to dicts of arrays.
    """
    from tensorflow_serving.apis import predict_pb2, prediction_log_pb2  # `import zoo` does not need it

    path = pathlib.Path(folder, "assets.extra", "tf_serving_warmup_requests")
    path.parent.mkdir(exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for signature, inputs in requests.items():
            request = predict_pb2.PredictRequest()
            request.model_spec.name = name
            request.model_spec.signature_name = signature
            for key, value in inputs.items():
                request.inputs[key].CopyFrom(tf.make_tensor_proto(value))
            log = prediction_log_pb2.PredictLog(request=request)
            writer.write(prediction_log_pb2.PredictionLog(predict_log=log).SerializeToString())


def place(scratch: pathlib.Path, path: pathlib.Path) -> pathlib.Path:
    """Renames a finished SavedModel to its version folder, and returns the folder.

    If the name of `path` is a number, it is the version folder. Otherwise it is the model's folder, and the version
    gets the next free number in it.
    """
    if is_version(path):
        os.rename(scratch, path)
        return path
    while True:
        newest = [0, *(int(version.name) for version in versions(path))][-1]
        target = path / str(newest + 1)
        try:
            os.rename(scratch, target)
            return target
        except OSError as error:  # another export took the number
            if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
                raise


def is_version(path: pathlib.Path) -> bool:
    """Whether the name of a folder is a version number."""
    return re.fullmatch("0|[1-9][0-9]{0,17}", path.name) is not None  # of 64 bits, for servers


def versions(folder: pathlib.Path) -> list[pathlib.Path]:
    """The version folders of a model's folder, oldest first."""
    found = [path for path in folder.iterdir() if is_version(path) and path.is_dir()]
    return sorted(found, key=lambda path: int(path.name))


def check_free(path: pathlib.Path) -> None:
    """Raises ValueError for a version that exists already, as a server may be reading it, and for an ONNX export."""
    if path.is_file() or (is_version(path) and path.exists()):
        checks.fail("path", "the folder of a model, or of a version that does not exist yet", str(path))
    within = next((above for above in path.absolute().parents if (above / "saved_model.pb").exists()), None)
    if within is not None:
        checks.fail("path", f"a place outside of {within}, which is a version of a model", str(path))
    if path.is_dir() and any(path.glob("*.onnx")):
        checks.fail("path", "another folder than that of an ONNX export", str(path))
