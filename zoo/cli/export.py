"""Exports a model with all its signatures: a SavedModel, a TFLite file, or ONNX files.

python -m zoo export mnist_cvae --output digits
python -m zoo export mnist_cvae --output digits_int8.tflite --quantization int8 --data mnist --sample
python -m zoo export model.keras --output digits_onnx --format onnx

The export is compared with the model before it is put in place. Images (--data) measure the cost of a quantisation.
"""

import argparse
import contextlib
import sys

from zoo.cli import _data, _models, _options, _output

MEASURED_ON = 32


def add_arguments(parser: argparse.ArgumentParser) -> None:
    _models.add_argument(parser)
    _data.add_arguments(parser)
    _output.add_argument(
        parser, "a file that ends in .tflite; or a folder, in which a SavedModel takes the next free version number"
    )
    parser.add_argument(
        "--format", choices=("tf_saved_model", "litert", "onnx"), help="(default: by the ending of --output)"
    )
    parser.add_argument("--quantization", choices=("float16", "int8"), help="of the weights in a TFLite file")
    parser.add_argument("--batch-size", type=int, metavar="N", help="of a TFLite file (default: 1)")


def run(args: argparse.Namespace) -> None:
    from zoo.runtime import checks

    path = _output.place(args.output)
    if (args.format or ("litert" if path.suffix == ".tflite" else None)) != "litert":
        _options.refuse(args, "unless --output ends in .tflite", "batch_size", "quantization")
    _options.fill(args, batch_size=1)
    checks.positive_int("--batch-size", args.batch_size)
    model = _models.load(args.model)
    images = labels = None
    if not args.data:
        _options.refuse(args, "without --data", *_data.OPTIONS[1:])
    else:
        data = _data.load(args, model).take(slice(MEASURED_ON))
        images, labels = data.floats(), data.labels if model.label_source() is not None else None
    card = _models.read_card(args.model)
    about = {key: card[key] for key in ("name", "description", "author", "license", "training_data") if card.get(key)}
    with contextlib.redirect_stdout(sys.stderr):  # the table of the comparison
        try:
            written = model.export(
                path, args.format, quantization=args.quantization, batch_size=args.batch_size, images=images,
                labels=labels, metadata=about,
            )  # fmt: skip
        except RuntimeError as error:  # of the comparison with the model
            raise ValueError(str(error)) from error
    _output.report("export", written)
