"""Golden vectors: inputs and outputs to check a port to another runtime with, as JSON.

    {"tolerance": 1e-4,
     "tensors": {"sample/image": {"dtype": "float32", "shape": [2, 28, 28, 1], "data": [0.0132, …]}, …},
     "signatures": {"sample": {"inputs": {"seed": "seed", …}, "outputs": {"image": "sample/image", …}}, …}}

A signature names tensors; `data` is flat, row by row, of six digits. Each row is an example of its own, for runtimes
of batch 1 take one after the other.
"""

from zoo.export.parity import TOLERANCE

ROWS = 2


def vectors(runtime, cases):
    """The golden vectors of a runtime for the first rows of `cases`, ready for JSON."""
    tensors, signatures = {}, {}

    def keep(name, values):
        tensors.setdefault(name, _as_json(values[:ROWS]))
        return name

    for signature, inputs in cases.items():
        outputs = runtime.run(signature, **{name: value[:ROWS] for name, value in inputs.items()})
        signatures[signature] = {
            "inputs": {name: keep(name, value) for name, value in inputs.items()},
            "outputs": {name: keep(f"{signature}/{name}", value) for name, value in outputs.items()},
        }
    return {"tolerance": TOLERANCE, "tensors": tensors, "signatures": signatures}


def _as_json(values):
    data = values.ravel().tolist()
    if values.dtype.kind == "f":
        data = [float(f"{number:.6g}") for number in data]
    return {"dtype": values.dtype.name, "shape": list(values.shape), "data": data}
