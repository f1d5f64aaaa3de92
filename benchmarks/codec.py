"""Sizes and speeds of compressed files, beside general codecs.

    python benchmarks/codec.py mnist --model mnist_vae --results runs/codec.jsonl
    python benchmarks/codec.py lossless --model cifar10_hvae --results runs/codec.jsonl
    python benchmarks/codec.py lossy --model cifar10_vqvae --results runs/codec.jsonl
    python benchmarks/codec.py memory --model mnist_vae --repeat 10 --results runs/codec.jsonl
    python benchmarks/codec.py altered --model mnist_vae --limit 40 --results runs/codec.jsonl

All on test images of TFDS (TFDS_DATA_DIR), the first --limit of them. `mnist`: binarised digits, lossless; beside one
file of 8 pixels a byte under gzip, zstd and LZMA, and one PNG and one WebP of all digits. `lossless`: colour images;
beside PNG and WebP of each. `lossy`: the codes of a VQ-VAE; beside JPEG, WebP and AVIF of one mosaic of all images, at
the quality nearest to the same size; with --rate-weight, files of fewer bytes. `memory`: binarised digits, --repeat
times. `altered`: 2,000 altered files of binarised digits whose outer checksums fit. Every file is read again and
compared. Needs pip install 'vae-zoo[codec]', and `mnist` 'vae-zoo[benchmarks]'.
"""

import argparse
import gzip
import io
import json
import lzma
import os
import pathlib
import resource
import time

import zoo
from zoo import codec, data
from zoo.cli import _models
from zoo.codec import _archive, _container, _passes
from zoo.runtime import checks

import machine
import numpy as np
import tensorflow_datasets as tfds
from PIL import Image

MOSAIC = 100  # images in a row


def images_of(name, limit):
    examples = tfds.load(name, split=f"test[:{limit}]", data_dir=os.environ.get("TFDS_DATA_DIR"))
    return np.stack([example["image"] for example in tfds.as_numpy(examples)])


class NetworkClock:
    """Within it, adds up the seconds spent in networks, without those of the entropy coder that they call."""

    def __enter__(self):
        self.seconds, self._run, self._params = 0.0, _passes._Passes._run, _passes.CodePasses.params
        clock = self

        def run(passes, graph, callback, *values):
            inside = 0.0

            def timed(*arrays):
                nonlocal inside
                began = time.monotonic()
                try:
                    return callback(*arrays)
                finally:
                    inside += time.monotonic() - began

            began = time.monotonic()
            try:
                return clock._run(passes, graph, timed, *values)
            finally:
                clock.seconds += time.monotonic() - began - inside

        def params(passes, codes):
            began = time.monotonic()
            try:
                return clock._params(passes, codes)
            finally:
                clock.seconds += time.monotonic() - began

        _passes._Passes._run, _passes.CodePasses.params = run, params
        return self

    def __exit__(self, *error):
        _passes._Passes._run, _passes.CodePasses.params = self._run, self._params


def measured(model, images, lossless=None, rate_weight=0.0):
    """The file of images, restored again, and what it cost."""
    with NetworkClock() as writing:
        clock, cpu = time.monotonic(), time.process_time()
        written = codec.compress(model, images, lossless, verify=False, rate_weight=rate_weight)
    half, half_cpu = time.monotonic(), time.process_time()
    with NetworkClock() as reading:
        restored = codec.decompress(model, written)
    seconds = {
        "share_in_networks_in": writing.seconds / (half - clock),
        "share_in_networks_out": reading.seconds / (time.monotonic() - half),
        "seconds_to_compress": half - clock,
        "seconds_to_decompress": time.monotonic() - half,
        "cpu_seconds_to_compress": half_cpu - cpu,
        "cpu_seconds_to_decompress": time.process_time() - half_cpu,
        "peak_memory_mib": peak_memory(),
    }
    header = len(written) - 4 * len(_container.unpack(written)[1])
    rates = {"images_a_second_in": len(images) / (half - clock)}
    rates["images_a_second_out"] = len(images) / seconds["seconds_to_decompress"]
    return restored, {"bytes": len(written), "bytes_of_header": header, **seconds, **rates}


def peak_memory():
    """MiB of this process, so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def elbo_bits(model, images):
    """The negative ELBO of 8-bit or binary images, bits in all."""
    x = images.astype(np.float32) / np.float32(255)
    return -float(np.sum(np.asarray(model.log_prob(x, 1)), dtype=np.float64)) / np.log(2)


def encoded(image, kind, **options):
    buffer = io.BytesIO()
    Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image).save(buffer, kind, **options)
    return buffer.getvalue()


def gathered(images, number):
    """Squares of `number` images each."""
    side, (size, channels) = round(number**0.5), images.shape[2:]
    grid = images[: len(images) // number * number].reshape(-1, side, side, size, size, channels)
    return grid.swapaxes(2, 3).reshape(-1, side * size, side * size, channels)


def scattered(squares, like):
    side = squares.shape[1] // like.shape[1]
    grid = squares.reshape(-1, side, like.shape[1], side, like.shape[2], like.shape[3])
    return grid.swapaxes(2, 3).reshape(-1, *like.shape[1:])


def mosaic(images):
    """One picture of all images, `MOSAIC` in a row; the last row is filled up with the last image."""
    missing = -len(images) % MOSAIC
    filled = np.concatenate([images, np.repeat(images[-1:], missing, axis=0)])
    height, width, channels = images.shape[1:]
    grid = filled.reshape(-1, MOSAIC, height, width, channels).swapaxes(1, 2)
    return grid.reshape(-1, MOSAIC * width, channels)


def unmosaic(picture, like):
    height, width, channels = like.shape[1:]
    grid = picture.reshape(-1, height, MOSAIC, width, channels).swapaxes(1, 2)
    return grid.reshape(-1, height, width, channels)[: len(like)]


def binary_digits(limit):
    return np.asarray(data.binarize(data.Images(images_of("mnist", limit)), 0).images[:])


def mnist(model, limit):
    checks.extra("benchmarks", "zstandard")
    import zstandard

    images = binary_digits(limit)
    restored, figures = measured(model, images)
    packed = np.packbits(images > 0).tobytes()
    whole = mosaic(images)
    one_bit = Image.fromarray(whole[..., 0]).convert("1")
    buffer = io.BytesIO()
    one_bit.save(buffer, "PNG", optimize=True)
    others = {
        "gzip": len(gzip.compress(packed, 9)),
        "lzma": len(lzma.compress(packed, preset=9)),
        "zstd": len(zstandard.ZstdCompressor(level=22).compress(packed)),
        "png": len(buffer.getvalue()),
        "webp": len(encoded(np.repeat(whole, 3, axis=-1), "WEBP", lossless=True, quality=100, method=6)),
    }
    return {
        **common(images, restored, figures, elbo_bits(model, images)),
        **{f"{name}_bits_a_value": 8 * size / images.size for name, size in others.items()},
    }


def lossless(model, limit):
    images = images_of("cifar10", limit)
    restored, figures = measured(model, images, True if isinstance(model, zoo.VQVAE) else None)
    elbo = None if isinstance(model, zoo.VQVAE) else elbo_bits(model, images)
    png = sum(len(encoded(image, "PNG", optimize=True)) for image in images)
    webp = sum(len(encoded(image, "WEBP", lossless=True, quality=100, method=6)) for image in images)
    others = {"png_bits_a_value": 8 * png / images.size, "webp_bits_a_value": 8 * webp / images.size}
    return {**common(images, restored, figures, elbo), **others}


def common(images, restored, figures, elbo):
    bits = 8 * figures["bytes"]
    about = {"num": len(images), "equal": bool(np.array_equal(images, restored)), "bits_a_value": bits / images.size}
    if elbo is not None:
        about |= {"elbo_bits_a_value": elbo / images.size, "over_elbo": bits / elbo - 1.0}
    return {**about, **figures}


def resized(images, size):
    """Images with `size` rows and columns, by Pillow's Lanczos filter."""
    if images.shape[1] == size:
        return images
    return np.stack([np.asarray(Image.fromarray(image).resize((size, size), Image.LANCZOS)) for image in images])


def memory(model, limit, repeat):
    """The peak of memory after one copy of the images, and after `repeat` copies in one file."""
    images = binary_digits(limit)
    _, once = measured(model, images)
    many = np.tile(images, (repeat, 1, 1, 1))
    restored, figures = measured(model, many)
    return {
        "num": len(many),
        "equal": bool(np.array_equal(many, restored)),
        "mib_of_the_images": many.nbytes / 2**20,
        "peak_memory_mib_once": once["peak_memory_mib"],
        **figures,
    }


def altered(model, limit, number=2000):
    """Decompresses files with a fitting outer checksum, in which header or words were changed."""
    images = binary_digits(limit)
    header, words = _container.unpack(codec.compress(model, images))
    passes = _archive.BitsBack(model)
    _archive._decompress(model, _container.pack(header, words), None, passes)
    before, random, slowest = peak_memory(), np.random.default_rng(0), 0.0
    ends = {"refused": 0, "restored": 0}
    for _ in range(number):
        began = time.monotonic()
        try:
            restored = _archive._decompress(model, changed(header, words, random), None, passes)
        except ValueError:
            ends["refused"] += 1
        else:
            ends["restored"] += 1
            if not np.array_equal(restored, images):
                raise AssertionError("wrong pixels")
        slowest = max(slowest, time.monotonic() - began)
    figures = {"peak_memory_mib": peak_memory(), "mib_more": peak_memory() - before, "slowest_seconds": slowest}
    return {"num": number, "images_in_each": limit, **ends, **figures}


def changed(header, words, random):
    """The bytes of a file with another entry in its header, other words, or fewer."""
    kind = random.integers(3)
    if kind == 0:
        words = words.copy()
        words[random.integers(len(words), size=random.integers(1, 4))] ^= np.uint32(1 << random.integers(32))
    elif kind == 1:
        words = words[: random.integers(len(words))]
    else:
        header = json.loads(json.dumps(header))
        inside, key = random.choice(np.array([*entries(header)], dtype=object))
        inside[key] = VALUES[random.integers(len(VALUES))]
    return _container.pack(header, words)


VALUES = (0, 1, -1, 7, 10**4, 10**6, 2**31, 2**62, 0.5, True, None, "", "x", [], {}, [1, 2], [[10**6, 28, 28, 1]])


def entries(value):
    """Each place within lists and dicts of JSON, as the list or dict and the index or key."""
    for key in value if isinstance(value, dict) else range(len(value)):
        yield value, key
        if isinstance(value[key], (dict, list)):
            yield from entries(value[key])


def lossy(model, limit, scale, rate_weight):
    images = images_of("cifar10", limit)
    side = images.shape[1]
    # At another resolution the same model has another rate: several images share a tile, or one has several.
    inside = resized(images, round(side * scale))
    tiled = inside if scale >= 1.0 else gathered(inside, round(1 / scale) ** 2)
    restored, figures = measured(model, tiled, rate_weight=rate_weight)
    restored = resized(restored if scale >= 1.0 else scattered(restored, inside), side)
    whole = mosaic(images)
    found = {
        "num": len(images),
        "scale": scale,
        "rate_weight": rate_weight,
        "bytes_an_image": figures["bytes"] / len(images),
        "psnr": psnr(images, restored),
    }
    for kind in ("JPEG", "WEBP", "AVIF"):
        sizes = {}
        for quality in (*range(1, 20), *range(20, 96, 3)):
            file = encoded(whole, kind, quality=quality)
            sizes[quality] = len(file), file
            if len(file) > 1.1 * figures["bytes"]:
                break
        # The two qualities around our size, and PSNR between them at it.
        ours = figures["bytes"]
        points = sorted((size, psnr(images, decoded(file, images))) for size, file in sizes.values())
        found[f"{kind.lower()}_points"] = [[round(size / len(images), 2), round(value, 3)] for size, value in points]
        reached = points[0][0] <= ours <= points[-1][0]
        found[f"{kind.lower()}_psnr"] = float(np.interp(ours, *zip(*points))) if reached else None
    return {**found, **figures}


def decoded(file, images):
    return unmosaic(np.asarray(Image.open(io.BytesIO(file)).convert("RGB")), images)


def psnr(images, restored):
    """dB, of the mean squared error over all images."""
    squared = np.mean(np.square(images.astype(np.float32) - restored.astype(np.float32)), dtype=np.float64)
    return float(10 * np.log10(255.0**2 / squared))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=("mnist", "lossless", "lossy", "memory", "altered"))
    parser.add_argument("--model", required=True, help="a preset's name or folder, or a .keras file")
    parser.add_argument("--limit", type=int, default=10_000)
    parser.add_argument(
        "--scale", type=float, default=1.0, help="of lossy: resize the images by it before (default: 1)"
    )
    parser.add_argument("--rate-weight", type=float, default=0.0, help="of lossy (default: 0)")
    parser.add_argument("--repeat", type=int, default=10, help="of memory: copies of the images (default: 10)")
    parser.add_argument("--results", type=pathlib.Path, help="a JSONL file to append to")
    flags = parser.parse_args()
    model = _models.load(flags.model)
    further = {"lossy": (flags.scale, flags.rate_weight), "memory": (flags.repeat,)}.get(flags.part, ())
    parts = {"mnist": mnist, "lossless": lossless, "lossy": lossy, "memory": memory, "altered": altered}
    found = parts[flags.part](model, flags.limit, *further)
    line = json.dumps({"part": flags.part, "model": flags.model, **found, "machine": machine.line()})
    print(line)
    if flags.results:
        flags.results.parent.mkdir(parents=True, exist_ok=True)
        with open(flags.results, "a") as file:
            file.write(line + "\n")


if __name__ == "__main__":
    main()
