"""What the Python examples have in common, on NumPy alone: command line, arrays, a JSON request, and a PNG file."""

import argparse
import json
import struct
import sys
import urllib.error
import urllib.request
import zlib

import numpy as np

INT32 = np.iinfo(np.int32)


def make_parser(description):
    """Parser with the flags of every example."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0, help="image i has the seed SEED + i (default: %(default)s)")
    parser.add_argument("--number", type=int, default=16, help="of images (default: %(default)s)")
    parser.add_argument("--temperature", type=float, default=1.0, help="below 1: less variety (default: %(default)s)")
    parser.add_argument("--label", type=int, help="the class to draw, for a conditional model")
    parser.add_argument("--output", default="samples.png", help="default: %(default)s")
    return parser


def make_inputs(flags):
    """Inputs of the signature `sample`: a row for each image, int32 and float32 alone."""
    if flags.number < 1:
        sys.exit(f"--number: expected 1 or more. Received: {flags.number}")
    if not INT32.min <= flags.seed <= INT32.max - flags.number + 1:
        sys.exit(f"--seed: expected SEED and SEED + NUMBER to be 32-bit integers. Received: {flags.seed}")
    if not 0 <= flags.temperature < np.inf:
        sys.exit(f"--temperature: expected a number from 0 up. Received: {flags.temperature}")
    inputs = {
        "seed": flags.seed + np.arange(flags.number, dtype=np.int32),
        "temperature": np.full(flags.number, flags.temperature, np.float32),
    }
    if flags.label is not None:
        if not 0 <= flags.label <= INT32.max:
            sys.exit(f"--label: expected a class from 0 up. Received: {flags.label}")
        inputs["labels"] = np.full(flags.number, flags.label, np.int32)
    return inputs


def check_inputs(inputs, names):
    """Ends the program unless these are the inputs that the model's signature names."""
    if "labels" in names and "labels" not in inputs:
        sys.exit("This model draws by class: it needs --label")
    if "labels" in inputs and "labels" not in names:
        sys.exit("This model takes no --label")


def post_json(url, body):
    """The server's answer to a JSON request; ends the program with the server's own message where there is none."""
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=60) as response:
            return json.load(response)
    except urllib.error.HTTPError as error:
        sys.exit(f"{url}: {error.code} {error.reason}: {error.read().decode(errors='replace')}")
    except urllib.error.URLError as error:
        sys.exit(f"{url}: no answer: {error.reason}")


def tile(images):
    """Images [N,H,W,C] side by side, as near to a square as they go: [rows·H, columns·W, C]."""
    number, height, width, channels = images.shape
    columns = int(np.ceil(np.sqrt(number)))
    rows = -(-number // columns)
    grid = np.zeros((rows * columns, height, width, channels), images.dtype)
    grid[:number] = images
    grid = grid.reshape(rows, columns, height, width, channels).swapaxes(1, 2)
    return grid.reshape(rows * height, columns * width, channels)


def save_png(path, images):
    """Writes images [N,H,W,C] in [0, 1], of 1 or 3 channels, as one picture."""
    images = np.asarray(images, np.float32)
    if images.ndim != 4 or images.shape[-1] not in (1, 3):
        sys.exit(f"Expected images [N,H,W,1] or [N,H,W,3]. Received: shape {images.shape}")
    pixels = tile(np.rint(255 * np.clip(images, 0, 1)).astype(np.uint8))
    height, width, channels = pixels.shape
    # A PNG is chunks, each with its length and checksum. Every row of pixels begins with its filter: 0 is none.
    rows = np.pad(pixels.reshape(height, width * channels), ((0, 0), (1, 0)))
    header = struct.pack(">IIBBBBB", width, height, 8, 2 if channels == 3 else 0, 0, 0, 0)
    with open(path, "wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n")
        for kind, content in ((b"IHDR", header), (b"IDAT", zlib.compress(rows.tobytes())), (b"IEND", b"")):
            chunk = kind + content
            file.write(struct.pack(">I", len(content)) + chunk + struct.pack(">I", zlib.crc32(chunk)))
    print(f"{len(images)} images in {path}")
