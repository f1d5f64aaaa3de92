"""Says in plain words what is wrong with a trained model, and what to do.

python -m zoo diagnose mnist_cvae --data mnist
python -m zoo diagnose model.keras --data pictures/ --json findings.json
python -m zoo diagnose model.keras --data train.npy --validation validation.npy

Looks for posterior collapse, a KL weight that is too high or too low, unused codes, a decoder variance that is stuck,
over-fitting, data outside the likelihood's range, and more latents than the data need. Give the data that the model was
trained on: the training part is compared with the validation part.
"""

import argparse
import pathlib
from typing import TYPE_CHECKING, Any

from zoo.cli import _data, _models, _options, _output
from zoo.runtime import checks

if TYPE_CHECKING:
    import numpy as np


def add_arguments(parser: argparse.ArgumentParser) -> None:
    _models.add_argument(parser)
    parser.add_argument(
        "--data",
        required=True,
        help="a TFDS dataset, a folder of pictures, or a .npy or .npz file (`images` and `labels`)",
    )
    parser.add_argument("--validation", help="a .npy or .npz file; by default the validation part of --data")
    parser.add_argument("--data-dir", help="the folder where TFDS keeps its datasets")
    parser.add_argument("--sample", action="store_true", help="use the small sample of --data that is in the package")
    parser.add_argument(
        "--binarize", action="store_true", help="draw each pixel as 0 or 1, as for a model of binary data"
    )
    parser.add_argument("--examples", type=int, default=2000, help="examples of each part to measure (default: 2000)")
    parser.add_argument("--seed", type=int, default=0, help="of the samples of the posterior (default: 0)")
    parser.add_argument("--json", metavar="FILE", help="write the findings to this file")


def run(args: argparse.Namespace) -> None:
    checks.positive_int("--examples", args.examples)
    _options.check_seed(args)
    report = _output.check_report(args.json, "--json")
    if args.binarize and args.data.lower().endswith(_data.ARRAYS):
        checks.fail("--data", "a dataset or a folder, as --binarize is given", args.data)
    _data.require_one_place(args)
    if not _data.is_dataset(args.data, pathlib.Path(args.data).expanduser()):
        _data.require_no_dataset_options(args, "--data", args.data)
    model = _models.load(args.model)
    from zoo import evaluation
    from zoo.data import DataError
    from zoo.evaluation.diagnosis.diagnosis import LEAST_EXAMPLES
    from zoo.runtime import files

    try:
        (x, labels), (validation, validation_labels) = _parts(args, model)
    except DataError as error:
        raise ValueError(str(error)) from error
    left_out = ""
    if validation is None:
        left_out = " Over-fitting needs --validation."
    elif args.validation is None and len(validation) < LEAST_EXAMPLES:
        left_out = f" Over-fitting needs {LEAST_EXAMPLES} validation examples, of which there are {len(validation)}."
        validation = validation_labels = None
    if model.label_source() is None:
        labels = validation_labels = None
    findings = evaluation.diagnose(model, x, validation, labels, validation_labels, args.seed)
    if report is not None:
        content = [finding.as_dict() for finding in findings]
        files.write_json(report, {"model": args.model, "data": args.data, "findings": content})
    for finding in findings:
        print(f"{finding.title} ({finding.severity})\n  {finding.evidence}\n  {finding.advice}")
    if not findings:
        print(f"Nothing found in {len(x)} examples.{left_out}")


def _parts(args: argparse.Namespace, model: Any) -> tuple[tuple["np.ndarray", Any], tuple[Any, Any]]:
    """Examples and labels of the training part and of the validation part."""
    from zoo import data
    from zoo.cli import _files

    def arrays(path, option):
        return _few(*_files.read_arrays(pathlib.Path(path).expanduser(), option), args.examples)

    held_out = (None, None) if args.validation is None else arrays(args.validation, "--validation")
    if args.data.lower().endswith(_data.ARRAYS):
        return arrays(args.data, "--data"), held_out
    folder = pathlib.Path(args.data).expanduser()
    if folder.is_dir():
        splits = data.load_folder(folder, model.image_shape[:2])
    elif not _data.is_dataset(args.data, folder):
        checks.fail("--data", "a dataset, a folder of pictures, or a .npy or .npz file", args.data)
    else:
        splits = data.load(args.data, args.data_dir, model.image_shape[:2], args.sample)
    parts = []
    for part in (splits.train, splits.validation):
        images, labels = _few(part.images, part.labels, args.examples)
        part = data.Images(_files.in_channels(images, model.image_shape[-1]), labels)
        part = data.binarize(part, args.seed) if args.binarize else part
        parts.append((part.images[:], part.labels))
    return parts[0], parts[1] if args.validation is None else held_out


def _few(x: Any, labels: Any, number: int) -> tuple["np.ndarray", Any]:
    """At most `number` examples, evenly spaced."""
    import numpy as np

    from zoo.evaluation.rows import evenly_spaced

    rows = evenly_spaced(len(x), number)
    return np.asarray(x[rows]), None if labels is None else labels[rows]
