"""The records under a dataset of TensorFlow Datasets, which need not be imported for this."""


def single_record_file(builder, split):
    """The path of the one TFRecord file that holds a split's images in their order, or None for any other split.

    Private: `builder.info.splits[…].filepaths`, `builder.info.file_format` and `tfds.core.FileFormat`, as of
        TensorFlow Datasets 4.9.10; and the layout of an example, an encoded image under the feature's name.
    Why: TFDS passes examples from thread to thread one by one, which takes longer than to decode a small image; records
        can be read and parsed in batches, at a third of the time.
    Upstream: https://github.com/tensorflow/tensorflow/issues/390 is on the parsing of single examples (closed),
        https://github.com/tensorflow/datasets/issues/1093 on the overhead for each example (closed).
    Once mended: read all datasets by `as_dataset`; the caller is `zoo.data.sources`.
    """
    import tensorflow_datasets as tfds  # here, so that `import zoo` need not

    info, feature = builder.info, builder.info.features["image"]
    if split not in info.splits or type(feature) is not tfds.features.Image or None in feature.shape:
        return None
    files, tfrecord = info.splits[split].filepaths, tfds.core.FileFormat.TFRECORD
    if len(files) != 1 or info.file_format is not tfrecord or not files[0].exists():
        return None
    return str(files[0])
