"""SavedModels, as TensorFlow Serving loads them."""

import errno
import os
import pathlib

import keras
import tensorflow as tf

from zoo.export import signatures
from zoo.runtime import checks
from zoo.runtime.types import Cases, PathLike


def write(model: keras.Model, folder: PathLike, batch_size: int | None = None) -> list[str]:
    """Writes the model's signatures to `folder`, without Keras's objects: TensorFlow alone loads it.

    Gives the names of the signatures, without the aliases.
    """
    traced = {name: signature.trace() for name, signature in signatures.of(model, batch_size).items()}
    module = tf.Module()
    # The weights that the signatures read, and no others: no optimizer, no metrics, no averages of a codebook.
    module.weights = list({id(weight): weight for call in traced.values() for weight in call.variables}.values())
    aliases = {alias: traced[name] for alias, name in signatures.ALIASES.items()}
    options = tf.saved_model.SaveOptions(experimental_debug_stripper=True)
    tf.saved_model.save(module, str(folder), traced | aliases, options)
    return list(traced)


def write_warmup(folder: PathLike, name: str, requests: Cases) -> None:
    """Writes the requests that TensorFlow Serving makes before it says that it is ready.

    The records are those of the `tensorflow-serving-api` package: 30 KB, kept by TensorFlow Serving's authors, and a
    client needs it anyway.

    Args:
        folder: path, of the version.
        name: str, the model's.
        requests: dict of signatures' names to dicts of arrays.
    """
    from tensorflow_serving.apis import predict_pb2, prediction_log_pb2  # here, so that `import zoo` need not

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
    """Renames a finished SavedModel into its version folder, and gives that.

    `path` is the version's folder where its name is a number, else the model's, in which the next free number is taken.
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
        except OSError as error:  # another export was faster
            if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
                raise


def is_version(path: pathlib.Path) -> bool:
    return path.name.isdecimal()


def versions(folder: pathlib.Path) -> list[pathlib.Path]:
    """The version folders of a model's folder, oldest first."""
    found = [path for path in folder.iterdir() if is_version(path) and path.is_dir()]
    return sorted(found, key=lambda path: int(path.name))


def check_free(path: pathlib.Path) -> None:
    """Raises ValueError if `path` is a version that exists already, as a server may be reading it."""
    if path.is_file() or (is_version(path) and path.exists()):
        checks.fail("path", "the folder of a model, or of a version that does not exist yet", str(path))
