"""Trained models by name: listed, loaded with checksums, and saved with a card.

`list_presets` needs neither TensorFlow nor Keras, which the rest imports at its first use.
"""

import importlib
from typing import TYPE_CHECKING, Any

from zoo.presets.manifest import PresetError
from zoo.presets.names import find, list_presets

if TYPE_CHECKING:
    from zoo.presets.loading import from_preset
    from zoo.presets.saving import add_manifest, save_preset

_LAZY = {"from_preset": "loading", "save_preset": "saving", "add_manifest": "saving"}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(importlib.import_module(f"zoo.presets.{_LAZY[name]}"), name)
    raise AttributeError(f"module 'zoo.presets' has no attribute {name!r}")


__all__ = ["PresetError", "add_manifest", "find", "from_preset", "list_presets", "save_preset"]
