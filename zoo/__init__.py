"""Variational autoencoders for Keras: train them, trust them, ship them."""

__version__ = "0.2.0.dev0"

import importlib
from typing import TYPE_CHECKING, Any

from zoo.runtime import startup

if TYPE_CHECKING:
    from zoo import (
        applications,
        callbacks,
        codec,
        data,
        distributions,
        evaluation,
        export,
        layers,
        likelihoods,
        networks,
        presets,
        priors,
        quantizers,
        random,
        spectra,
        training,
    )
    from zoo.models import (
        CVAE,
        IWAE,
        VAE,
        VAEAC,
        VQVAE,
        BetaTCVAE,
        BetaVAE,
        FactorVAE,
        FutureVAE,
        HierarchicalVAE,
        InfoVAE,
        Sharpening,
        TextVAE,
    )
    from zoo.presets import from_preset, list_presets, save_preset
    from zoo.runtime import cores, optimizers

# Where the public names are: modules first, then the objects of a module.
_MODULES = (
    *("applications", "callbacks", "codec", "data", "distributions", "evaluation", "export", "layers", "likelihoods"),
    *("networks", "presets", "priors", "quantizers", "random", "spectra", "training"),
)
_OBJECTS = {
    "zoo.models": (
        *("BetaTCVAE", "BetaVAE", "CVAE", "FactorVAE", "FutureVAE", "HierarchicalVAE", "IWAE", "InfoVAE"),
        *("Sharpening", "TextVAE", "VAE", "VAEAC", "VQVAE"),
    ),
    "zoo.presets": ("from_preset", "list_presets", "save_preset"),
    "zoo.runtime": ("cores", "optimizers"),
}
_HOME = {name: module for module, names in _OBJECTS.items() for name in names}


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"zoo.{name}")
    if name in _HOME:
        home = importlib.import_module(_HOME[name])
        found = getattr(home, name, None)
        return importlib.import_module(f"{_HOME[name]}.{name}") if found is None else found
    raise AttributeError(f"module 'zoo' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])


startup.require_tensorflow_backend()
startup.turn_onednn_on()
if not startup.runs_command_line():
    with startup.quiet():
        import keras  # noqa: F401  (also imports TensorFlow)
    # Keras finds the classes of a saved model only once they are registered.
    importlib.import_module("zoo.models")

__all__ = [
    "VAE",
    "VAEAC",
    "BetaTCVAE",
    "BetaVAE",
    "CVAE",
    "FactorVAE",
    "FutureVAE",
    "HierarchicalVAE",
    "IWAE",
    "InfoVAE",
    "Sharpening",
    "TextVAE",
    "VQVAE",
    "applications",
    "callbacks",
    "codec",
    "cores",
    "data",
    "distributions",
    "evaluation",
    "export",
    "from_preset",
    "layers",
    "likelihoods",
    "list_presets",
    "networks",
    "optimizers",
    "presets",
    "priors",
    "quantizers",
    "random",
    "save_preset",
    "spectra",
    "training",
]
