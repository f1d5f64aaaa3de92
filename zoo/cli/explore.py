"""Shows the latent space: a page for the browser, a map coloured by label, or the manifold of a 2-D latent.

python -m zoo explore mnist_cvae --data mnist --sample --output explore.html
python -m zoo explore mnist_cvae --data mnist --sample --method pca --output map.png
python -m zoo explore mnist_cvae --data mnist --sample --output explore.html --serve 8000

The page is one file: hover over a point to see its image and its reconstruction, and move a slider to change a latent.
With --serve, sliders decode any position in the browser, by LiteRT.js (npm install @litertjs/core@2.5.3).
"""

import argparse
import pathlib
import sys

from zoo.cli import _data, _labels, _models, _options, _output

HOST = "127.0.0.1"
ENDINGS = (".html", ".htm", ".png", ".svg", ".pdf")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    _models.add_argument(parser)
    _data.add_arguments(parser)
    _output.add_argument(parser, "a page, .html; or a plot of the map, .png, .svg or .pdf")
    parser.add_argument(
        "--method",
        choices=("latents", "pca", "umap"),
        help="of the map: the two latents of the largest KL, the main axes of all, or UMAP (default: latents)",
    )
    parser.add_argument("--examples", type=int, metavar="N", help="on the map (default: 1000)")
    parser.add_argument("--latents", type=int, metavar="N", help="sliders of the page (default: 8)")
    parser.add_argument("--manifold", action="store_true", help="write the grid over a 2-D latent as a picture instead")
    parser.add_argument("--label", metavar="LABEL", help="of the manifold, for a model with labels")
    parser.add_argument("--serve", type=int, metavar="PORT", help="serve the page on this machine until Ctrl-C")
    parser.add_argument(
        "--litert", metavar="FOLDER", help="the node_modules with LiteRT.js (default: that of the working directory)"
    )


def run(args: argparse.Namespace) -> None:
    from zoo.runtime import checks

    endings = _output.PICTURES if args.manifold else ENDINGS
    path = _output.check_file(args.output, ENDINGS[:2] if args.serve is not None else endings)
    if args.manifold:
        _options.refuse(args, "with --manifold, which shows no data", *_data.OPTIONS, "method", "examples", "latents")
    else:
        _options.refuse(args, "without --manifold", "label")
    if path.suffix.lower() not in ENDINGS[:2]:
        _options.refuse(args, "unless --output is a page", "latents")
    if args.serve is None:
        _options.refuse(args, "without --serve", "litert")
    _options.fill(args, method="latents", examples=1000, latents=8)
    checks.positive_int("--examples", args.examples)
    checks.positive_int("--latents", args.latents)
    modules = None
    if args.serve is not None:
        if not 0 <= args.serve < 2**16:
            checks.fail("--serve", "a port from 0 to 65535", args.serve)
        _require_free(args.serve)
        modules = _node_modules(args.litert)
    model = _models.load_of_pictures(args.model)
    from zoo import applications  # imports TensorFlow, of which `load` hides the log lines
    from zoo.applications.exploration import page

    if args.manifold:
        one = _labels.one("--label", args.label, model) if model.conditional or args.label else None
        applications.save_image(path, applications.grid(applications.manifold(model, labels=one), gap=0), 2)
        _output.report("explore", path)
        return
    data = _data.load(args, model, need_labels=model.conditional)
    data = data.take(slice(args.examples))
    if path.suffix.lower() in ENDINGS[:2]:
        title = f"{pathlib.Path(args.model).name}: {data.description}"
        is_shown = data.labels is not None and (model.conditional or page.are_classes(data.labels))
        labels = data.labels if is_shown else None
        if data.labels is not None and not is_shown:
            some = f"{data.labels.dtype} of shape {data.labels.shape}"
            print(f"labels are not shown, as they are not a few classes: {some}", file=sys.stderr)
        applications.explore(model, data.floats(), labels, path, args.method, args.examples, args.latents, title=title)
    else:
        taken = data.labels if model.conditional else None
        points = applications.latent_map(model, data.floats(), taken, args.method)
        colours = None if data.labels is None or data.labels.ndim > 1 else data.labels
        applications.plot_map(path, points, colours)
    _output.report("explore", path, examples=len(data), data=data.description)
    if modules is not None:
        _serve(model, path, modules, args.serve)


def _require_free(port):
    """Raises ValueError for a port that is taken, before any work."""
    import socket

    with socket.socket() as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((HOST, port))
        except OSError as error:
            raise ValueError(f"Expected --serve to be a free port. Received: {port} ({error.strerror})") from error


def _node_modules(folder):
    checkout = pathlib.Path(__file__).parents[2] / "examples" / "web" / "node_modules"
    given = [pathlib.Path(folder).expanduser()] if folder else [pathlib.Path("node_modules"), checkout]
    found = next((each for each in given if (each / "@litertjs").is_dir()), None)
    if found is None:
        raise ValueError(
            f"Expected LiteRT.js in {given[0]}. Received: none. Run: npm install @litertjs/core@2.5.3, and give its "
            "node_modules by --litert"
        )
    return found


def _serve(model, page, modules, port):
    """Serves the page with the model as a TFLite file beside it, on this machine alone, until Ctrl-C."""
    import contextlib
    import functools
    import http.server
    import tempfile

    from zoo import applications

    with tempfile.TemporaryDirectory() as scratch:
        file = pathlib.Path(scratch, "model.tflite")
        with contextlib.redirect_stdout(sys.stderr):
            model.export(file)
        folder = applications.site(pathlib.Path(scratch, "site"), page, file, modules)
        handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=folder)
        with http.server.ThreadingHTTPServer((HOST, port), handler) as server:
            print(f"http://{HOST}:{server.server_port}/ until Ctrl-C", file=sys.stderr, flush=True)
            with contextlib.suppress(KeyboardInterrupt):
                server.serve_forever()
