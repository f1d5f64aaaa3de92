"""Golden vectors: inputs and outputs that check a port to another runtime, as JSON.

    {"tolerance": 1e-4,
     "tensors": {"sample/image": {"dtype": "float32", "shape": [2, 28, 28, 1], "base64": "AAAAAA…"}, …},
     "signatures": {"sample": {"inputs": {"seed": "seed", …}, "outputs": {"image": "sample/image", …}}, …}}

A signature refers to tensors by name; equal tensors are stored once. `base64` holds the numbers row by row, four bytes
each, little-endian. Each row is a separate example: runtimes of batch 1 take one row after the other.
"""

import base64
from typing import Any

from zoo.export.parity import TOLERANCE
from zoo.export.runtimes import Runtime
from zoo.runtime.types import Cases

ROWS = 2


def vectors(runtime: Runtime, cases: Cases) -> dict[str, Any]:
    """The golden vectors of a runtime for the first rows of `cases`, ready for JSON."""
    tensors: dict[str, dict] = {}
    signatures = {}

    def keep(name, values):
        tensor = {
            "dtype": values.dtype.name,
            "shape": [min(ROWS, len(values)), *values.shape[1:]],
            "base64": base64.b64encode(values[:ROWS].astype(values.dtype.newbyteorder("<")).tobytes()).decode(),
        }
        name = next((known for known, other in tensors.items() if other == tensor), name)
        tensors[name] = tensor
        return name

    for signature, inputs in cases.items():
        outputs = runtime.run(signature, **inputs)
        signatures[signature] = {
            "inputs": {name: keep(name, value) for name, value in inputs.items()},
            "outputs": {name: keep(f"{signature}/{name}", value) for name, value in outputs.items()},
        }
    return {"tolerance": TOLERANCE, "tensors": tensors, "signatures": signatures}
