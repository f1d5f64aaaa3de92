"""Two logical CPUs for the tests of replicas, and one seed for all that is drawn."""

import keras
import pytest
import tensorflow as tf

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
