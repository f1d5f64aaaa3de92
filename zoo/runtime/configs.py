"""Warnings before a model is saved: of what its configuration, which the file holds, leaves out."""

import inspect
import warnings

import keras

from zoo._compat import keras as keras_compat


def warn_of_lost(model: keras.layers.Layer) -> None:
    """Warns of arguments of a model, or of layers whose configuration it holds, that their `get_config` leaves out.

    A file holds the configuration: a loaded copy would have the defaults of such arguments, without a word.
    """
    for layer in _configured(model):
        kind = type(layer)
        if _is_known(kind) or "from_config" in vars(kind):
            continue
        try:
            lost = _arguments_of(kind) - {*layer.get_config()}
        except NotImplementedError:  # Keras's, which says what to do where the file is written
            continue
        if lost:
            names = ", ".join(sorted(lost))
            warnings.warn(
                f"{names} of {kind.__name__} will be lost, as its get_config leaves out what its constructor takes: a "
                f"loaded {kind.__name__} has the defaults. Add {names} to the dict of get_config",
                stacklevel=3,
            )


def warn_of_shared(model: keras.layers.Layer) -> None:
    """Warns of layers that the encoder and the decoder of a model share.

    Keras writes a file of such a model, and cannot load it: it makes each network anew, with layers of its own.
    """
    first, second = ({id(each): each for each in getattr(model, name).weights} for name in ("encoder", "decoder"))
    shared = [weight.path for key, weight in first.items() if key in second]
    if shared:
        warnings.warn(
            f"The encoder and the decoder share {', '.join(shared)}, and Keras loads no file of such a model. Keep the "
            "file of save_weights too, which load_weights takes in a model that is made in the same way; exports work",
            stacklevel=3,
        )


def _configured(layer):
    """A layer, and those in it that its configuration holds: a class of the user's own makes its layers itself."""
    yield layer
    if _is_known(type(layer)) or hasattr(layer, "term_names"):  # a model of the zoo
        for part in keras_compat.layers_of(layer, deep=False)[1:]:
            yield from _configured(part)


def _is_known(kind):
    return kind.__module__.split(".")[0] in ("keras", "zoo")


def _arguments_of(kind):
    """The names of the arguments that a class's own constructor adds."""
    init = vars(kind).get("__init__")
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    parameters = [] if init is None else [*inspect.signature(init).parameters.values()][1:]
    return {each.name for each in parameters if each.kind in kinds}
