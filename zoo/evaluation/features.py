"""Named networks whose features judge samples. A figure that is computed with one is named after it.

The classifiers were trained by this project with `recipes/classifier.py`; they ship with it and load offline. The name
FID is left to the network of Heusel et al. 2017, which is not among them: the weights of Keras's InceptionV3 are
others, and give other figures than the literature's.
"""

import dataclasses
import functools
import json
import pathlib
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from zoo.evaluation.rows import as_float, require_levels
from zoo.runtime import checks, files, shipped
from zoo.runtime.types import Shape

_OF_DATASETS = ("mnist", "fashion_mnist", "cifar10", "sprites")
CLASSIFIERS = (*(f"{name}_classifier" for name in _OF_DATASETS), "cifar10_vgg_classifier")
INCEPTION = "keras_inception_v3"
_BATCH_SIZE = 500
_LARGE_BATCH_SIZE = 32


@dataclasses.dataclass(frozen=True)
class Features:
    """A named feature network.

    Args:
        name: str, as `load` takes it.
        label: str, what figures are named after: "cifar10_classifier features".
        network: function of float32 images `[B,H,W,C]` in [0, 1] that returns features `[B,F]` and logits `[B,K]`; the
            logits are None for a network without classes. Of a Keras classifier it is
            `keras.Model(classifier.inputs, [classifier.layers[-2].output, classifier.outputs[0]])`.
        image_shape: (H, W, C) of the images that it takes.
        batch_size: int, images at once.
    """

    name: str
    label: str
    network: Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor | None]]
    image_shape: Shape
    batch_size: int = _BATCH_SIZE

    def embed(self, images: np.ndarray) -> np.ndarray:
        """The features of images, in batches.

        Args:
            images: `[N,H,W,C]`, uint8 or float in [0, 1]; an array, or a `zoo.runtime.disk.DiskArray`.

        Returns:
            float32 `[N,F]`.

        Raises:
            ValueError: for images of another shape, type or range.
        """
        return np.concatenate([features for features, _ in self._run(images)])

    def predict_classes(self, images: np.ndarray) -> np.ndarray:
        """The most probable class of each image: int32 `[N]`; arguments as in `embed`."""
        parts = []
        for _, logits in self._run(images):
            if logits is None:
                raise ValueError(f"Expected a network with classes. Received: {self.name}, which has features alone")
            parts.append(np.argmax(logits, axis=-1).astype(np.int32))
        return np.concatenate(parts)

    def _run(self, images):
        if tuple(images.shape[1:]) != tuple(self.image_shape) or not len(images):
            checks.fail("images", f"an array [N,{','.join(map(str, self.image_shape))}], N >= 1", images.shape)
        require_levels("images", images)
        for start in range(0, len(images), self.batch_size):
            batch = as_floats(images[start : start + self.batch_size])
            found = self.network(tf.constant(batch))
            if not isinstance(found, (tuple, list)) or len(found) != 2 or len(found[0].shape) != 2:
                received = keras.tree.map_structure(lambda each: getattr(each, "shape", each), found)
                checks.fail("network", "a function to the pair of features [B, F] and logits, or None", received)
            features, logits = np.asarray(found[0]), None if found[1] is None else np.asarray(found[1])
            checks.per_example("network", features[:, 0], len(batch))
            yield features, logits


def as_floats(images: np.ndarray) -> np.ndarray:
    """Images, uint8 or float in [0, 1], as float32 in [0, 1]."""
    images = checks.numpy_array("images", images)
    if images.dtype == np.uint8:
        return as_float(images)
    if images.dtype.kind != "f":
        checks.fail("images", "uint8 images, or float images in [0, 1]", images.dtype)
    low, high = (float(images.min()), float(images.max())) if images.size else (0.0, 0.0)
    if not (low >= -1e-3 and high <= 1.0 + 1e-3):  # NaN fails as well
        checks.fail("images", "float images in [0, 1]", f"values from {low:g} to {high:g}")
    return as_float(images)


def require_features_of(training: np.ndarray, training_features: np.ndarray) -> None:
    """Raises ValueError unless there is a row of `training_features` for each of the training images."""
    if len(training_features) != len(training):
        checks.fail("training_features", f"those of the {len(training)} training images", len(training_features))


def load(name: str, image_shape: Shape = (32, 32, 3)) -> Features:
    """A feature network by name.

    Args:
        name: one of `CLASSIFIERS`, which ship with the project; or "keras_inception_v3", with ImageNet weights that
            Keras fetches.
        image_shape: (H, W, C) of the images, for "keras_inception_v3" alone, which resizes them.

    Returns:
        `Features`.

    Raises:
        ValueError: for another name, or a file that is missing or damaged.
        RuntimeError: if the weights of InceptionV3 cannot be had.

    Example:
        >>> judge = zoo.evaluation.features.load("mnist_classifier")
        >>> judge.embed(images).shape, judge.label
        ((32, 128), 'mnist_classifier features')
    """
    checks.one_of("name", name, (*CLASSIFIERS, INCEPTION))
    return _inception(tuple(image_shape)) if name == INCEPTION else _classifier(name)


def for_dataset(name: str) -> Features:
    """The shipped classifier of a dataset, given by its name: "mnist" has the one called "mnist_classifier".

    Example:
        >>> zoo.evaluation.features.for_dataset("mnist").name
        'mnist_classifier'
    """
    checks.one_of("name", name, _OF_DATASETS)
    return load(f"{name}_classifier")


def require_independent(card: Mapping[str, object], features: Features) -> None:
    """Raises ValueError if `features` took part in the training of a model: it must not judge that model's samples.

    Args:
        card: the model's card; its entry `trained_with` lists the names of such networks, and may be missing.
        features: `Features`.
    """
    trained_with: Any = card.get("trained_with") or ()
    if features.name in ((trained_with,) if isinstance(trained_with, str) else trained_with):
        raise ValueError(
            f"Expected `features` to be a network that took no part in the training of {card.get('name', 'the model')}."
            f" Received: features={features.name!r}, which its card lists in `trained_with`"
        )


def classifier(folder_name: str) -> keras.Model:
    """A shipped classifier as a Keras model, by the name of its folder: "mnist", "cifar10_vgg".

    Raises:
        ValueError: for a file that is missing or damaged.
    """
    folder = shipped.folder() / "classifiers" / folder_name
    _check(folder)
    return keras.saving.load_model(folder / "classifier.keras", compile=False)


@functools.cache
def _classifier(name):
    own = classifier(name.removesuffix("_classifier"))
    network = keras.Model(own.inputs, [own.get_layer("features").output, own.outputs[0]])
    image_shape = own.input_shape[1:]
    return Features(name, f"{name} features", _compiled(network, image_shape), image_shape)


def _check(folder: pathlib.Path) -> None:
    """Raises ValueError unless the classifier is there, and is the file that its card describes."""
    path = folder / "classifier.keras"
    if not path.exists() or not (folder / "card.json").exists():
        checks.fail("name", f"a classifier with its card in {folder}", f"no {path.name} or card.json there")
    card = json.loads((folder / "card.json").read_text(encoding="utf-8"))
    if files.sha256(path) != card["files"][path.name]["sha256"]:
        checks.fail("name", f"a classifier whose file is the one of its card; {path} is damaged", card["name"])


def _compiled(network, image_shape):
    return tf.function(network, input_signature=[tf.TensorSpec((None, *image_shape), tf.float32)], autograph=False)


@functools.cache
def _inception(image_shape):
    try:
        network = keras.applications.InceptionV3(include_top=False, weights="imagenet", pooling="avg")
    except Exception as error:  # Keras raises a plain Exception for a failed download
        raise RuntimeError(
            "Expected the ImageNet weights of keras.applications.InceptionV3 to be at hand. Received: "
            f"{type(error).__name__}: {' '.join(str(error).split())[:200]}. Remedies: call it once with a network, or "
            "put inception_v3_weights_tf_dim_ordering_tf_kernels_notop.h5 into ~/.keras/models; or take a classifier "
            f"that ships with the project: {', '.join(CLASSIFIERS)}"
        ) from error

    def run(images):
        images = tf.image.grayscale_to_rgb(images) if image_shape[-1] == 1 else images
        return network(tf.image.resize(images, (299, 299)) * 2.0 - 1.0), None

    compiled = _compiled(run, image_shape)
    return Features(INCEPTION, "keras InceptionV3 features", compiled, image_shape, _LARGE_BATCH_SIZE)
