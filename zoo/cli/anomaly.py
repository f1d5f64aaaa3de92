"""Finds anomalies: a score for each image, and whether it lies beyond the threshold.

python -m zoo anomaly mnist_vae --data pictures/ --output scores.csv
python -m zoo anomaly model.keras --data strange.npy --normal normal.npy --output scores.csv --heat-maps errors/
python -m zoo anomaly mnist_vae --data mnist --sample --score elbo --output scores.csv --export detector.tflite

The threshold comes from normal images that the model was not trained on, --normal, so that a new normal image is called
anomalous with a chance of at most --false-positive-rate. By default they are the validation split of the dataset on the
preset's card.
"""

import argparse
import contextlib
import sys

from zoo.cli import _data, _models, _options, _output


def add_arguments(parser: argparse.ArgumentParser) -> None:
    _models.add_argument(parser)
    _data.add_arguments(parser)
    _output.add_argument(parser, "a .csv file: name, score (higher for anomalies) and anomaly (0 or 1) of each image")
    parser.add_argument(
        "--normal", nargs="+", metavar="DATA", help="normal images, as --data; of a dataset, its validation split"
    )
    parser.add_argument(
        "--normal-limit", type=_data.positive, default=2000, metavar="N", help="use the first N of them (default: 2000)"
    )
    parser.add_argument("--score", default="density_of_states", help="see zoo.applications.AnomalyDetector")
    parser.add_argument("--false-positive-rate", type=float, default=0.05, metavar="RATE", help="default: 0.05")
    parser.add_argument(
        "--smoothing",
        type=float,
        metavar="PIXELS",
        help="of the difference from the reconstruction (default: 0)",
    )
    parser.add_argument(
        "--export", metavar="PATH", help="also the model with the signature `anomaly`: a .tflite file, or a folder"
    )
    parser.add_argument(
        "--heat-maps", metavar="FOLDER", help="a new folder of pictures, white where images are unusual"
    )
    parser.add_argument("--seed", type=int, default=0)


def run(args: argparse.Namespace) -> None:
    path = _output.check_file(args.output, (".csv",))
    _options.check_seed(args)
    folder = None if args.heat_maps is None else _output.check_folder(args.heat_maps, "--heat-maps")
    exported = None if args.export is None else _output.place(args.export, "--export")
    _output.require_different(args.output, args.heat_maps, args.export)
    from zoo import applications
    from zoo.applications.anomaly import OF_ERRORS
    from zoo.runtime import files

    if args.score not in OF_ERRORS and folder is None:
        _options.refuse(args, f"with --score {args.score}, unless --heat-maps are drawn", "smoothing")
    _options.fill(args, smoothing=0.0)
    model = _models.load(args.model)

    detector = applications.AnomalyDetector(
        model,
        args.score,
        false_positive_rate=args.false_positive_rate,
        smoothing=args.smoothing,
        seed=args.seed,
    )
    # Options of datasets may be about the normal images alone.
    judged = args if _data.are_files(args.normal) else _data.with_data(args, args.data)
    data = _data.load(judged, model, need_labels=False)
    x = data.floats()
    detector.fit(_normal(args, model).floats())
    if exported is not None:
        exported = _export(detector, exported)
    scores = -detector.score_samples(x)
    anomalous = scores > -detector.offset_
    written = [path]
    if exported is not None:
        written.append(exported)
    if folder is not None:
        _write_heat_maps(folder, detector.heat_map(x), data.file_names())
        written.append(folder)
    rows = zip(data.names, map(float, scores), map(int, anomalous))
    files.write_csv(path, [dict(zip(("name", "score", "anomaly"), row)) for row in rows])
    _output.report(
        "anomaly",
        written,
        num=len(x),
        anomalies=int(anomalous.sum()),
        threshold=-detector.offset_,
        score=args.score,
        false_positive_rate=args.false_positive_rate,
    )


def _export(detector, path):
    with contextlib.redirect_stdout(sys.stderr):  # the table of the comparison
        try:
            return detector.export(path)
        except RuntimeError as error:  # of the comparison with the detector
            raise ValueError(str(error)) from error


def _normal(args, model):
    """The normal images: files as they are; of a dataset, or of the card's, the validation split."""
    normal = _data.with_data(args, args.normal, data_labels=None, limit=args.normal_limit, split=None)
    split = None if _data.are_files(args.normal) else "validation"
    return _data.load(normal, model, split, need_labels=False, option="--normal")


def _write_heat_maps(folder, maps, names):
    """Grey pictures, white where the error is among the largest thousandth of all images."""
    import numpy as np

    from zoo import applications

    if maps.ndim != 3:
        raise ValueError(f"Expected --heat-maps with a model of images. Received: maps of shape {maps.shape[1:]}")
    white = max(float(np.quantile(maps, 0.999)), np.finfo(np.float32).tiny)
    applications.save_images(folder, np.minimum(maps[..., None] / white, 1.0), names)
