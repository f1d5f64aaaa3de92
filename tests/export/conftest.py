import functools

import exports
import pytest


@pytest.fixture(scope="session")
def exported(tmp_path_factory):
    """Function of (name, format) that gives the exported model of that name, the same one to all tests."""
    folder = tmp_path_factory.mktemp("exported")

    @functools.cache
    def export(name, format="tf_saved_model", **kwargs):
        path = folder / "-".join(map(str, [name, *kwargs.values()]))
        path = path.with_name(path.name + {"tf_saved_model": "", "litert": ".tflite", "onnx": "_onnx"}[format])
        return exports.trained(name).export(path, format, **kwargs)

    return export
