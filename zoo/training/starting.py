"""`--start`: a run that begins with the weights of a trained model."""

import pathlib

import keras

from zoo import presets
from zoo.presets import keras_files
from zoo.runtime import checks


def begin_with(model: keras.Model, start: str) -> None:
    """Copies the weights of a trained model, such as one to train further or to fine-tune on other images.

    A prior over codes stays behind, as a stage of its own trains it; the optimizer begins anew.

    Args:
        model: a model of the zoo, not compiled, as the recipe's flags make it.
        start: the name or folder of a preset, such as the export of a run; or a `.keras` file, such as its model.

    Raises:
        ValueError: if there is no such model, or its class or the shapes of its weights differ from those of `model`.
    """
    trained = _load(start)
    if type(trained) is not type(model):
        checks.fail(
            "--start", f"a {type(model).__name__}, as the recipe trains", f"{start}, a {type(trained).__name__}"
        )
    own, others = model.weights_not_apart, trained.weights_not_apart
    if len(own) != len(others):
        checks.fail("--start", f"a model of {len(own)} weights, as these flags make it", f"{start}, of {len(others)}")
    for weight, other in zip(own, others):
        if weight.shape != other.shape:
            expected = f"a model whose weight {weight.path} has the shape {tuple(weight.shape)}, as these flags make it"
            checks.fail("--start", expected, f"{start}, where it has {tuple(other.shape)}")
    for weight, other in zip(own, others):
        weight.assign(other)


def _load(start):
    path = pathlib.Path(start).expanduser()
    try:
        return keras_files.load(path) if keras_files.is_named(path) else presets.from_preset(start)
    except presets.PresetError as error:
        raise ValueError(f"--start: {error}") from error
