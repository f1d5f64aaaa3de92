"""`--start`: a run that begins with the weights of a trained model."""

import pathlib
import zipfile

import keras

from zoo import presets
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
    own, others = (_weights(each) for each in (model, trained))
    if len(own) != len(others):
        checks.fail("--start", f"a model of {len(own)} weights, as these flags make it", f"{start}, of {len(others)}")
    for weight, other in zip(own, others):
        if weight.shape != other.shape:
            expected = f"a model whose weight {weight.path} has the shape {tuple(weight.shape)}, as these flags make it"
            checks.fail("--start", expected, f"{start}, where it has {tuple(other.shape)}")
    for weight, other in zip(own, others):
        weight.assign(other)


def _weights(model):
    apart = {id(weight) for layer in model.apart() for weight in layer.weights}
    return [weight for weight in model.weights if id(weight) not in apart]


def _load(start):
    path = pathlib.Path(start).expanduser()
    if path.suffix != ".keras":
        return presets.from_preset(start)
    if not zipfile.is_zipfile(path):
        checks.fail(
            "--start", "a preset's name or folder, or a .keras file", f"{start}, no such file, or a damaged one"
        )
    return keras.saving.load_model(path, compile=False)
