"""Two logical CPUs for the tests of replicas, one seed for all that is drawn, and TFDS datasets that nobody fetched."""

import pathlib

import keras
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds
from tensorflow_datasets.core import splits as tfds_splits

# Possible only before TensorFlow has touched its devices, so here and not in a fixture.
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
)


@pytest.fixture(autouse=True)
def fixed_seed():
    keras.utils.set_random_seed(0)


@pytest.fixture(autouse=True)
def own_collectives():
    # Two strategies of one process give their collectives the same keys, and TensorFlow takes those of the second for
    # late ones of the first ("Shape mismatch in the collective instance"). Its own tests move this base as well.
    tf.distribute.MirroredStrategy._collective_key_base += 100


@pytest.fixture
def prepared(tmp_path):
    """Function of (name, splits) that gives a folder in which TFDS takes the dataset for prepared, its files apart."""

    def prepare(name, splits):
        info = tfds.builder(name, data_dir=tmp_path).info
        pathlib.Path(info.data_dir).mkdir(parents=True)
        template = tfds.core.ShardedFileTemplate(data_dir=info.data_dir, dataset_name=name, filetype_suffix="tfrecord")
        info.set_splits(
            tfds_splits.SplitDict(
                tfds.core.SplitInfo(name=split, shard_lengths=[number], num_bytes=0, filename_template=template)
                for split, number in splits.items()
            )
        )
        info.write_to_directory(info.data_dir)
        return tmp_path

    return prepare
