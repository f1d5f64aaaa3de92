"""Export of models: SavedModels for servers, TFLite files for devices, ONNX files, and the check that they agree."""

from zoo.export.exporter import export
from zoo.export.parity import check

__all__ = ["check", "export"]
