"""Measures a model on held-out images: likelihood, reconstructions, samples, representation, predictive checks.

python -m zoo evaluate mnist_cvae
python -m zoo evaluate mnist_cvae --limit 1000 --num-samples 5000 --metrics likelihood
python -m zoo evaluate model.keras --data pictures/ --split test --html report.html
python -m zoo evaluate model.keras --data test.npz --training-data train.npz --json report.json

A table goes to standard error, and one line of JSON to standard output. Each figure has its standard error over the
images, the split, the number of images, the seed and the time. The last lines say which figures do not apply, and why.
"""

import argparse
import json
import sys
from typing import TYPE_CHECKING, Any

from zoo.cli import _data, _models, _options, _output, _progress

if TYPE_CHECKING:
    import keras

    from zoo.evaluation import Part

METRICS = ("likelihood", "reconstruction", "samples", "representation", "criticism", "disentanglement")
JUDGES = (
    *("mnist_classifier", "fashion_mnist_classifier", "cifar10_classifier", "sprites_classifier"),
    *("cifar10_vgg_classifier", "keras_inception_v3"),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    _models.add_argument(parser)
    _data.add_arguments(parser)
    parser.add_argument(
        "--metrics", nargs="+", choices=METRICS, metavar="METRIC", help=f"default: all of {', '.join(METRICS)}"
    )
    parser.add_argument("--num-samples", type=int, default=100, metavar="K", help="importance samples (default: 100)")
    parser.add_argument("--seed", type=int, default=0, help="of all noise (default: 0)")
    parser.add_argument(
        "--training-data", metavar="FILE", help="the images that the model was trained on, where --data is an array"
    )
    parser.add_argument(
        "--binarize",
        action=argparse.BooleanOptionalAction,
        help="draw each pixel as 0 or 1, as for a model of binary data; default: as the card's `binarization` says",
    )
    parser.add_argument("--judge", choices=JUDGES, help="judges samples; default: the classifier of the dataset")
    parser.add_argument("--json", metavar="FILE", help="write the figures to this file")
    parser.add_argument("--html", metavar="FILE", help="write a page with figures and pictures to this file")
    parser.add_argument(
        "--update-card",
        action="store_true",
        help="write the figures into the preset's card and README, and into saved_models/results.csv",
    )


def run(args: argparse.Namespace) -> None:
    folder = _checked(args)
    model = _models.load(args.model)
    from zoo import evaluation
    from zoo.runtime import files

    card = _models.read_card(args.model)
    test, training = _parts(args, model, card)
    with _progress.Progress() as progress:
        report = evaluation.evaluate(
            model,
            test,
            training,
            args.metrics,
            args.num_samples,
            args.seed,
            judge=_judge(args) if "samples" in (args.metrics or METRICS) else None,
            factors=_factors(args, model) if "disentanglement" in (args.metrics or METRICS) else None,
            card=card,
            about=_about(args, card),
            with_pictures=args.html is not None,
            progress=progress,
        )
    print(report.table(), file=sys.stderr)
    content = report.as_json()
    try:
        if args.json:
            files.write_json(args.json, content)
        if folder is not None:
            _update(folder, card, report, content["about"])
        if args.html:
            files.write_text(args.html, report.html())
    finally:
        print(json.dumps(content, allow_nan=False))  # also if a file cannot be written


def _checked(args):
    """Checks the arguments before TensorFlow is imported; the folder of the preset whose card is to be updated."""
    if args.num_samples < 1:
        raise ValueError(f"Expected --num-samples to be an integer >= 1. Received: {args.num_samples}")
    _options.check_seed(args)
    for name in ("json", "html"):
        _output.check_report(getattr(args, name), f"--{name}")
    _output.require_different(args.json, args.html)
    if not args.update_card:
        return None
    folder = _models.preset_folder(args.model)
    if folder is None:
        raise ValueError(f"Expected MODEL to be a preset, as --update-card is given. Received: {args.model}")
    return folder


def _parts(args: argparse.Namespace, model: "keras.Model", card: dict[str, Any]) -> tuple["Part", "Part | None"]:
    """The test images, and the training images if there are any."""
    test = _data.load(args, model)
    rest = argparse.Namespace(**{**vars(args), "limit": None, "data_labels": None})
    training = None
    if args.training_data is not None:
        rest = _data.with_data(rest, [args.training_data])
        training = _data.load(rest, model, need_labels=False, option="--training-data")
    elif _data.has_splits(args) and test.split != "given":
        training = _data.load(rest, model, split="train", need_labels=False)
    binary = args.binarize
    if binary is None:
        binary = card.get("binarization") in ("static", "dynamic")
    if not binary and type(model.likelihood).__name__ == "Bernoulli" and _has_grey(test.images):
        print("the likelihood is that of binary pixels, and the images have greys: see --binarize", file=sys.stderr)
    parts = [None if each is None else _part(each, binary, args.seed) for each in (test, training)]
    assert parts[0] is not None
    return parts[0], parts[1]


def _part(found, binary, seed):
    from zoo import evaluation

    if not binary:
        return evaluation.Part(found.images, found.labels, found.split)
    drawn = _data.binarized(found, seed)
    return evaluation.Part(drawn.images, found.labels, found.split, grey=found.images)


def _has_grey(images):
    import numpy as np

    some = np.asarray(images[:100])
    return bool(((some > 0) & (some < some.max())).any())


def _judge(args):
    from zoo.evaluation import features

    dataset = _data.dataset(args)
    name = args.judge or f"{dataset}_classifier"
    if name not in JUDGES:
        return None
    try:
        return features.load(name)
    except (ValueError, RuntimeError) as error:
        if args.judge:
            raise ValueError(str(error)) from error
        print(f"no judge of samples: {' '.join(str(error).split())}", file=sys.stderr)
        return None


def _factors(args, model):
    from zoo.cli import _sources

    dataset = _data.dataset(args)
    return None if dataset is None else _sources.load_factors(dataset, model, args.data_dir)


def _about(args, card):
    command = " ".join(["python -m zoo evaluate", args.model, *_given(args)])
    return {"name": card.get("name", args.model), "command": command}


def _given(args):
    """The options that change the figures, as they would be typed."""
    given = []
    for name in ("data", "split", "data_labels", "limit", "training_data", "judge"):
        value = getattr(args, name)
        if value is not None:
            given += [f"--{name.replace('_', '-')}", *([*value] if isinstance(value, list) else [str(value)])]
    given += ["--sample"] if args.sample else []
    given += [] if args.binarize is None else ["--binarize" if args.binarize else "--no-binarize"]
    given += ["--metrics", *args.metrics] if args.metrics else []
    return [*given, "--num-samples", str(args.num_samples), "--seed", str(args.seed)]


def _update(folder, card, report, about):
    from zoo.presets import results
    from zoo.runtime import shipped

    results.update(folder, card, report.figures, {"command": about["command"], "date": about["date"]})
    print(f"updated {folder}", file=sys.stderr)
    if shipped.holds(folder):
        print(f"updated {results.write()}", file=sys.stderr)
