"""Moves one latent at a time: a row of images for each latent, those with the largest KL first.

python -m zoo traverse mnist_cvae --data mnist --sample --output traversal.png
python -m zoo traverse mnist_cvae --data mnist --sample --example 4 --latents 5 --span 2 --output traversal.gif

The data rank the latents and give their standard deviations. The middle of a row is the example, or a sample
at temperature 0; of a VQ-VAE, the mean of the data.
"""

import argparse

from zoo.cli import _data, _labels, _models, _options, _output


def add_arguments(parser: argparse.ArgumentParser) -> None:
    _models.add_argument(parser)
    _data.add_arguments(parser)
    _output.add_argument(parser, "a picture such as .png; or an animation, .gif or .webp")
    parser.add_argument(
        "--example", type=int, metavar="I", help="start from this image (default: a sample at temperature 0)"
    )
    parser.add_argument("--label", metavar="LABEL", help="of the start (default: that of the first image)")
    parser.add_argument("--latents", type=int, default=8, metavar="N", help="the number of latents (default: 8)")
    parser.add_argument("--steps", type=int, default=11, metavar="N", help="images in a row (default: 11)")
    parser.add_argument("--span", type=float, default=3.0, help="standard deviations to each side (default: 3)")
    parser.add_argument("--scale", type=int, default=2, metavar="N", help="draw each pixel as N×N pixels (default: 2)")
    parser.add_argument("--fps", type=float, help="frames a second of an animation (default: 10)")


def run(args: argparse.Namespace) -> None:
    from zoo.runtime import checks

    path = _output.check_file(args.output, (*_output.PICTURES, ".gif"))
    checks.positive_int("--latents", args.latents)
    checks.integer("--steps", args.steps, 2)
    checks.number("--span", args.span, 0.0, open_low=True)
    checks.positive_int("--scale", args.scale)
    _options.check_fps(args, path.suffix.lower() in _output.ANIMATIONS)
    if args.example is not None:
        checks.integer("--example", args.example, 0)
        if args.label is not None:
            checks.fail("--label", "without --example, which has a label of its own", args.label)
    model = _models.load_of_pictures(args.model)
    from zoo import applications  # imports TensorFlow, of which `load` hides the log lines

    if args.label is not None and not model.conditional:
        checks.fail("--label", f"left out, as a {type(model).__name__} decodes without labels", args.label)
    label = None if args.label is None else _labels.one("--label", args.label, model)
    data = _data.load(args, model, need_labels=model.conditional)
    x, labels = data.floats(), data.labels if model.conditional else None
    start = None
    if args.example is not None:
        if args.example >= len(x):
            checks.fail("--example", f"below {len(x)}, the number of images", args.example)
        start, label = x[args.example], None if labels is None else labels[args.example : args.example + 1]
    start_label = None if label is None else label[0]
    found = applications.traverse(
        model, x, labels, start, start_label, num_latents=args.latents, num_steps=args.steps, span=args.span
    )
    _output.write_rows(path, found.images, args.fps, args.scale)
    kl = None if found.kl is None else [round(float(value), 4) for value in found.kl]
    _output.report("traverse", path, latents=found.latents.tolist(), kl=kl, data=data.description)
