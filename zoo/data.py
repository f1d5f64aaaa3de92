"""Images by dataset name, from a folder, or as arrays; and the batches that a model is fed.

Images are uint8, `[N,H,W,C]`, in memory or on disk, and become float32 in [0, 1] in the batch. What a batch holds is a
function of the seed and of the number of the training step alone, so that a run can start in the middle of an epoch
with what it would have seen.
"""

import dataclasses
import hashlib
import logging
import os
import pathlib
import sys

import numpy as np
import tensorflow as tf

from zoo import _startup, checks, decoding, disk, folders

SAMPLE_DIR = pathlib.Path(__file__).parent / "sample_data"
SAMPLES = ("mnist", "fashion_mnist", "cifar10")
_SPLIT_SEED = 20140514  # what is validation does not depend on a run's seed, so that runs compare


class DataError(RuntimeError):
    """Data that cannot be had. The message says in one paragraph what came and names the ways on."""


@dataclasses.dataclass(frozen=True)
class Source:
    """How a TFDS dataset becomes images: its splits, and what its pixels need."""

    train: str = "train"
    test: str = "test"
    top: int = 255  # the largest pixel value
    crop: int | None = None  # side of the central square that is kept
    label: str | None = "label"


SOURCES = {
    # dSprites has one split and binary pixels; its test images are the last tenth of a fixed shuffle.
    "dsprites": Source(test="", top=1, label="label_shape"),
    # The usual central square (Larsen et al. 2016) leaves out most of the background.
    "celeb_a": Source(crop=148, label=None),
}


@dataclasses.dataclass(frozen=True)
class Images:
    """uint8 images `[N,H,W,C]`, in memory or a `zoo.disk.DiskArray`, and int32 labels `[N]` or None."""

    images: np.ndarray | disk.DiskArray
    labels: np.ndarray | None = None

    def __post_init__(self):
        if self.images.dtype != np.uint8 or self.images.ndim != 4:
            received = f"{self.images.dtype} of shape {self.images.shape}"
            checks.fail("images", "a uint8 array of shape [N,H,W,C]", received)
        if self.labels is not None and self.labels.shape != self.images.shape[:1]:
            checks.fail("labels", f"an array of shape [{len(self.images)}]", self.labels.shape)

    def __len__(self):
        return len(self.images)

    def take(self, indices):
        return Images(disk.take(self.images, indices), None if self.labels is None else self.labels[indices])


@dataclasses.dataclass(frozen=True)
class Splits:
    """The three parts of a dataset. `validation` is cut from the training images; `test` is for the end."""

    train: Images
    validation: Images
    test: Images


def load(name, data_dir=None, image_size=None, sample=False, disk_folder=None):
    """A TFDS dataset by name, split.

    Args:
        name: str, of TFDS: "mnist", "cifar10", "svhn_cropped", …
        data_dir: path where TFDS looks for the dataset, and puts it. None: the environment variable TFDS_DATA_DIR,
            else TFDS's default.
        image_size: (H, W), or an int for squares, or None to leave the size.
        sample: bool, whether to read the small subset that ships with the package instead.
        disk_folder: path of a folder on whose disk the images are kept, while they are used, rather than in memory.

    Returns:
        `Splits`.

    Raises:
        ValueError: for an `image_size` of another form.
        DataError: if the dataset cannot be had.
        zoo.disk.NoRoom: if the disk cannot hold the images.
    """
    if image_size is not None:
        image_size = checks.image_size("image_size", image_size)
    if sample:
        if name not in SAMPLES:
            raise DataError(f"There is no bundled sample of {name!r}; there is one of {', '.join(SAMPLES)}.")
        data_dir = SAMPLE_DIR
    source = SOURCES.get(name, Source())
    builder = _prepared(name, data_dir)
    train = _read(builder, source.train, source, image_size, disk_folder)
    if source.test:
        test = _read(builder, source.test, source, image_size, disk_folder)
    else:
        train, test = cut(train, len(train) // 10)
    return Splits(*cut(train, validation_size(len(train))), test)


def load_folder(directory, image_size, disk_folder=None, background=(255, 255, 255)):
    """The pictures of a folder and its subfolders, split; no labels.

    Reads every picture format that Pillow opens, by file ending in either case: .png, .jpg, .webp, .tif, .gif, .bmp,
    .avif and rarer ones, but no documents or films. Of several frames or pages it takes the first. Names that begin
    with a dot are left out. Links are followed.

    Each picture is turned upright by its EXIF orientation, put on `background` where it is transparent, and converted
    to 8-bit RGB: 16-bit values keep their upper byte, and colour profiles are not applied. Then it is cut around its
    centre to the aspect ratio of `image_size` and resized with antialiasing. A picture that already has that size is
    left to the bit.

    A picture counts once, however many links lead to it and however many copies have the same pixels after resizing,
    so no picture is in two parts of the split. The order is that of the paths relative to the folder.

    stderr names each file that cannot be read, with the reason, and counts the files that are left out. A tenth of the
    pictures is for validation and a tenth for testing, at least one each; a single picture serves for all three.

    Args:
        directory: path.
        image_size: (H, W), or an int for squares, at least 1.
        disk_folder: as in `load`.
        background: (red, green, blue), ints from 0 to 255, the colour behind transparent pixels. White by default.

    Returns:
        `Splits` of colour images, uint8 `[N,H,W,3]`.

    Raises:
        ValueError: for an `image_size` or a `background` of another form.
        DataError: if there is no such folder, or no picture in it that can be read.
        zoo.disk.NoRoom: if the disk cannot hold the images.
    """
    image_size = checks.image_size("image_size", image_size)
    background = checks.colour("background", background)
    directory = pathlib.Path(directory).expanduser()
    if not directory.is_dir():
        raise DataError(f"Expected a folder of images. Received: {str(directory)!r}, which is no folder.")
    found = folders.find(directory, decoding.endings())
    for line in found.messages():
        print(line, file=sys.stderr)
    if not found.pictures:
        kinds = f"{decoding.usual_endings()} or another format of pictures that Pillow reads"
        raise DataError(f"There is no image in {str(directory)!r}, nor in its subfolders. Expected files of {kinds}.")
    images = _pictures(found.pictures, image_size, background, disk_folder)
    if not len(images):
        raise DataError(f"None of the {len(found.pictures)} images in {str(directory)!r} can be read.")
    if len(images) == 1:
        return Splits(images, images, images)
    train, test = cut(images, max(1, len(images) // 10))
    if len(train) == 1:
        return Splits(train, test, test)
    return Splits(*cut(train, validation_size(len(train))), test)


def _pictures(paths, image_size, background, disk_folder):
    """`Images` of picture files, in their order. Broken files and copies are left out, and named on stderr."""
    images = disk.empty((len(paths), *image_size, 3), np.uint8, disk_folder)
    firsts, copies, told = {}, [], set()
    for path in paths:
        try:
            pixels, warnings = decoding.read(path, image_size, background)
        except decoding.Unreadable as error:
            print(f"skipped {path}: {error}", file=sys.stderr)
            continue
        for warning in sorted(set(warnings) - told):  # once each: the same one may hold for every file
            print(f"read {path}, with a warning: {warning}", file=sys.stderr)
        told.update(warnings)
        # Pixels rather than file bytes: the same picture in two formats must not be in two parts of the split either.
        first = firsts.setdefault(hashlib.sha256(pixels).digest(), path)
        if first is not path:
            copies.append(f"{path} of {first}")
            continue
        images[len(firsts) - 1 : len(firsts)] = pixels[None]
    if copies:
        print(f"left out {len(copies)} × copied, with the same pixels: {folders.some(copies, 1)}", file=sys.stderr)
    return Images(images).take(slice(len(firsts)))


def validation_size(number):
    """How many of `number` training images are held out: a tenth, at least 1, at most 5,000."""
    return min(max(1, number // 10), 5000)


def cut(images, number):
    """Splits off `number` images, the same ones at each call: (rest, cut)."""
    order = np.random.default_rng(_SPLIT_SEED).permutation(len(images))
    return images.take(np.sort(order[number:])), images.take(np.sort(order[:number]))


def binarize(images, seed):
    """Static binarisation: each pixel becomes 0 or 255 for good, 255 with the probability of its grey level."""
    binary = disk.empty_like(images.images)
    for number, part in enumerate(disk.parts(images.images)):
        grey = images.images[part]
        draws = np.random.default_rng((seed, number)).integers(0, 255, grey.shape, dtype=np.uint8)
        binary[part] = np.where(draws < grey, np.uint8(255), np.uint8(0))
    return Images(binary, images.labels)


def pixel_variance(images):
    """The variance of all values of `images`, scaled to [0, 1]: float."""
    pixels = images.images
    counts = sum(np.bincount(pixels[part].ravel(), minlength=256) for part in disk.parts(pixels))
    levels = np.arange(256) / 255.0
    mean = np.average(levels, weights=counts)
    return float(np.average(np.square(levels - mean), weights=counts))


def batches(
    images, batch_size, *, seed=0, shuffle=False, dynamic=False, labels=False, first_step=0, epochs=1, context=None
):
    """A `tf.data.Dataset` of float32 images in [0, 1], with int32 labels where asked for.

    Args:
        images: `Images`.
        batch_size: int >= 1; the last batch of an epoch may be smaller.
        seed: int, of the order and of the binarisation.
        shuffle: bool, whether each epoch has an order of its own, over the whole set.
        dynamic: bool, whether pixels are drawn as 0 or 1 with the probability of their grey level, anew at each step.
        labels: bool, whether to give pairs.
        first_step: int >= 0, the number of batches to leave out.
        epochs: int >= 1, counted from step 0, or None for no end.
        context: the `tf.distribute.InputContext` of a worker, whose dataset has, in the place of each batch, the shares
            of that worker's replicas, one after the other; see `zoo.replica.distribute`. Or None.

    Returns:
        dataset of `[B,H,W,C]`, or of (`[B,H,W,C]`, `[B]`).

    Raises:
        ValueError: for arguments out of range, and for labels of images that have none.
    """
    batch_size = checks.positive_int("batch_size", batch_size)
    if not len(images):
        raise ValueError("Expected `images` to hold at least one. Received: none")
    if labels and images.labels is None:
        raise ValueError("Expected labelled images, as labels=True. Received: images without labels")
    pixels = _reader(images.images, tf.uint8)
    with tf.device("CPU"):
        classes = tf.constant(images.labels, tf.int32) if labels else None

    def batch(rows, step, places, size):
        x = tf.cast(pixels(rows), tf.float32) / 255.0
        if dynamic:
            key = tf.stack([tf.cast(seed, tf.int64), step])
            # Of the whole batch, so that it does not matter how that is spread.
            draws = tf.random.stateless_uniform(tf.concat([[size], tf.shape(x)[1:]], axis=0), seed=key)
            x = tf.cast(draws[places[0] : places[1]] < x, tf.float32)
        x = tf.ensure_shape(x, (None, *images.images.shape[1:]))
        return (x, tf.gather(classes, rows)) if labels else x

    return _by_step(batch, len(images), batch_size, seed, shuffle, first_step, epochs, context)


def code_batches(codes, batch_size, *, seed=0, shuffle=False, first_step=0, epochs=1, context=None):
    """A `tf.data.Dataset` of codes.

    Args:
        codes: integers `[N,h,w]`, in memory or a `zoo.disk.DiskArray`.
        batch_size, seed, shuffle, first_step, epochs, context: as in `batches`.

    Returns:
        dataset of int32 `[B,h,w]`.

    Raises:
        ValueError: for arguments out of range.
    """
    batch_size = checks.positive_int("batch_size", batch_size)
    if not len(codes):
        raise ValueError("Expected `codes` to hold at least those of one image. Received: none")
    table = _reader(codes, tf.int32)

    def batch(rows, *_):
        return tf.ensure_shape(table(rows), (None, *codes.shape[1:]))

    return _by_step(batch, len(codes), batch_size, seed, shuffle, first_step, epochs, context)


def _reader(array, dtype):
    """Function of the numbers of rows, int64 `[B]`, that gives these rows of an array in a graph."""
    if isinstance(array, disk.DiskArray):
        return lambda rows: tf.cast(tf.numpy_function(array.__getitem__, [rows], array.dtype, stateful=False), dtype)
    with tf.device("CPU"):
        # A variable, for tf.data copies a captured constant several times over.
        table = tf.Variable(array, trainable=False, dtype=dtype)
    return lambda rows: tf.gather(table, rows)


def _by_step(batch, number, batch_size, seed, shuffle, first_step, epochs, context):
    """The dataset of `batch(rows, step, places, size)`.

    The rows are those of a step among `number`, or a replica's share of them: those from places[0] to places[1] of the
    `size` that the whole batch has.
    """
    per_epoch = steps_per_epoch(number, batch_size)
    replicas, first_replica, local_replicas = _replicas(context)

    def of_share(share):
        step, replica = share // local_replicas, first_replica + share % local_replicas
        epoch, position = step // per_epoch, step % per_epoch * batch_size
        size = tf.minimum(tf.cast(batch_size, tf.int64), number - position)
        places = size * replica // replicas, size * (replica + 1) // replicas
        rows = tf.range(position, position + size)
        if shuffle:
            key = tf.stack([tf.cast(seed, tf.int64), epoch])
            rows = tf.random.experimental.index_shuffle(rows, seed=key, max_index=number - 1)
        return batch(rows[places[0] : places[1]], step, places, tf.cast(size, tf.int32))

    end = np.iinfo(np.int64).max // local_replicas if epochs is None else epochs * per_epoch
    shares = tf.data.Dataset.range(first_step * local_replicas, end * local_replicas)
    dataset = shares.map(of_share, num_parallel_calls=2, deterministic=True)
    options = tf.data.Options()
    # The numbers of steps are no examples: a strategy must split the batches, not the range.
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
    # There is nothing to tune, and the thread that would do it can hold up the end of a `fit` for a second.
    options.autotune.enabled = False
    return dataset.with_options(options).prefetch(4)


def _replicas(context):
    """How many replicas there are, the first of them that a worker has, and how many it has."""
    if context is None:
        return 1, 0, 1
    local = context.num_replicas_in_sync // context.num_input_pipelines
    return context.num_replicas_in_sync, context.input_pipeline_id * local, local


def steps_per_epoch(number, batch_size):
    return -(-number // batch_size)


def _prepared(name, data_dir):
    """The TFDS builder of a dataset that lies prepared on disk, after a download where it must be."""
    import tensorflow_datasets as tfds

    where = data_dir or os.environ.get("TFDS_DATA_DIR") or None
    if not sys.stderr.isatty():
        tfds.disable_progress_bar()
    # It would print each of its ten attempts; the last one's error says all.
    logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)
    try:
        builder = tfds.builder(name, data_dir=where)
        if not builder.is_prepared():
            print(
                f"{name} is not in {builder.data_dir_root} yet: fetching it; without a network, TFDS tries for minutes"
            )
        builder.download_and_prepare()
    except Exception as error:  # whatever the network, the disk or a server far away may bring
        ways = "pass --data-dir (or set TFDS_DATA_DIR) to a folder that holds it, prepared by TFDS"
        if name in SAMPLES:
            ways += ", or pass --sample for the small real subset that ships with the package"
        reason = " ".join(str(error).split())[:300]
        raise DataError(
            f"The dataset {name!r} cannot be had: it is not prepared in {where or 'the default TFDS folder'}, and "
            f"fetching it failed ({type(error).__name__}: {reason}). Ways on: try again with a network, {ways}."
        ) from error
    return builder


def _read(builder, split, source, image_size, disk_folder):
    """A whole split, each image written once into its place."""
    import tensorflow_datasets as tfds

    info = builder.info
    keep_labels = source.label is not None and source.label in info.features

    def picture(example):
        image = example["image"] * (255 // source.top)
        if source.crop:
            image = tf.image.resize_with_crop_or_pad(image, source.crop, source.crop)
        if image_size and image_size != tuple(image.shape[:2]):
            image = tf.image.resize(image, image_size, method="area" if source.crop else "bilinear", antialias=True)
            image = tf.cast(tf.clip_by_value(tf.round(image), 0, 255), tf.uint8)
        label = example[source.label] if keep_labels else tf.constant(0, tf.int64)
        return image, tf.cast(label, tf.int32)

    dataset = _pictures_of_records(builder, split, picture, source.label if keep_labels else None)
    if dataset is None:
        once = tfds.ReadConfig(try_autocache=False)  # TFDS would keep small datasets in memory
        dataset = builder.as_dataset(split=split, shuffle_files=False, read_config=once)
        dataset = dataset.map(picture, num_parallel_calls=2)
        image_shape = dataset.element_spec[0].shape
        if None in image_shape:
            checks.fail("image_size", f"(H, W), as the images of {builder.name} are of several sizes", image_size)
        dataset = dataset.batch(disk.rows_at_once((0, *image_shape), np.uint8))
    number = info.splits[split].num_examples
    shape = (number, *dataset.element_spec[0].shape[1:])
    images, labels = disk.empty(shape, np.uint8, disk_folder), np.empty(number, np.int32)
    start = 0
    with _startup.quiet():
        for chunk, chunk_labels in dataset.as_numpy_iterator():
            images[start : start + len(chunk)] = chunk
            labels[start : start + len(chunk)] = chunk_labels
            start += len(chunk)
    return Images(images, labels if keep_labels else None).take(slice(start))


def _pictures_of_records(builder, split, picture, label):
    """Batches of what `picture` makes of a split's examples, in the order of TFDS, at a third of its time.

    TFDS passes examples from thread to thread one by one, which takes longer than to decode a small image. A single
    file of records holds them in their order, and can be read in batches. None for any other split.
    """
    import tensorflow_datasets as tfds

    info, feature = builder.info, builder.info.features["image"]
    if split not in info.splits or type(feature) is not tfds.features.Image or None in feature.shape:
        return None
    files, tfrecord = info.splits[split].filepaths, tfds.core.FileFormat.TFRECORD
    if len(files) != 1 or info.file_format is not tfrecord or feature.np_dtype != np.uint8 or not files[0].exists():
        return None
    columns = {"image": tf.io.FixedLenFeature((), tf.string)}
    columns |= {label: tf.io.FixedLenFeature((), tf.int64)} if label else {}

    def decoded(example):
        image = tf.io.decode_image(example["image"], feature.shape[-1], expand_animations=False)
        return picture(example | {"image": tf.ensure_shape(image, feature.shape)})

    def batch(records):
        return tf.map_fn(decoded, tf.io.parse_example(records, columns), fn_output_signature=(tf.uint8, tf.int32))

    records = tf.data.TFRecordDataset(str(files[0]))
    return records.batch(disk.rows_at_once((0, *feature.shape), np.uint8)).map(batch, num_parallel_calls=2)
