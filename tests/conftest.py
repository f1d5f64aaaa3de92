"""Two logical CPUs for the tests of replicas, one seed for all that is drawn, and TFDS datasets that nobody fetched."""

import zoo  # noqa: F401  (before TensorFlow, so that oneDNN is on as it is for users)

# isort: split
import contextlib
import functools
import gc
import itertools
import json
import os
import pathlib
import random
import socket
import subprocess
from unittest import mock

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds
from tensorflow_datasets.core import splits as tfds_splits
from xdist.scheduler import LoadFileScheduling

from zoo import data
from zoo._compat import tensorflow as tf_compat

gc.set_threshold(200_000, 50, 100)  # graphs are many objects that stay, to be looked through again and again
# Possible only before TensorFlow has touched its devices, so here and not in a fixture.
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
)
tf.config.threading.set_intra_op_parallelism_threads(1)  # two processes of tests share two cores


# Folders whose files share what takes long to make, here the exported models: one process runs all of a folder.
TOGETHER = ("tests/export",)
# What takes longest: begun last, it would keep one process busy while the other has nothing left.
LONGEST = (
    "export", "test_conformance", "test_two_stages", "test_model", "test_recipes", "test_inputs",
    "test_hierarchical_vae", "test_run", "test_kill", "test_docs", "test_examples", "test_factor_vae", "test_base",
    "test_codec", "test_fit", "test_workers", "test_data", "test_vq_vae_prior", "test_in_models",
    "test_compatibility", "test_readme", "test_use_commands",
)  # fmt: skip


FEW = (800, 100, 100)  # images of the three splits where a test needs no more


class Shared(LoadFileScheduling):
    """As `--dist loadfile`, but for the folders in `TOGETHER`."""

    def _split_scope(self, nodeid):
        file = super()._split_scope(nodeid)
        return next((folder for folder in TOGETHER if file.startswith(f"{folder}/")), file)


def pytest_xdist_make_scheduler(config, log):
    return Shared(config, log)


def pytest_collection_modifyitems(items):
    def place(path):
        return next((LONGEST.index(name) for name in (path.parent.name, path.stem) if name in LONGEST), len(LONGEST))

    def model(item):  # of the conformance suite, which keeps one trained model at a time
        return item.callspec.params.get("name", "") if "conformance" in item.path.stem and "[" in item.name else ""

    items.sort(key=lambda item: (place(item.path), model(item)))


@pytest.fixture(autouse=True)
def fixed_seed():
    random.seed(0)
    np.random.seed(0)
    tf_compat.restart_draws(0)


@pytest.fixture(autouse=True)
def own_collectives():
    tf_compat.separate_collectives()


def run_eagerly_or_in_graphs(request):
    """For tests that are not about graphs, as few steps take longer to trace than to run. The slow ones have graphs."""
    tf.config.run_functions_eagerly(request.param == "eager")
    yield
    tf.config.run_functions_eagerly(False)


MODES = ["eager", pytest.param("graphs", marks=pytest.mark.slow)]
mode = pytest.fixture(params=MODES)(run_eagerly_or_in_graphs)
mode_of_module = pytest.fixture(params=MODES, scope="module")(run_eagerly_or_in_graphs)


modules_done = itertools.count(1)


@pytest.fixture(scope="module", autouse=True)
def kept_objects_are_not_looked_through_again():
    # Models and graphs that later modules use are millions of objects, and each full collection would pass over all.
    with tf_compat.gradients_let_go():
        yield
    if next(modules_done) % 4 == 0:
        gc.collect()
        gc.freeze()


@functools.cache
def _sample(name, image_size, few, load=data.load):
    splits = load(name, image_size=image_size, sample=True)
    splits = _few(splits) if few else splits
    for part in (splits.train, splits.validation, splits.test):
        part.images.flags.writeable = False  # whoever changed it would change it for the next test
    return splits


def _few(splits):
    return data.Splits(*(part.take(slice(n)) for part, n in zip((splits.train, splits.validation, splits.test), FEW)))


def _samples(few):
    def load(name, data_dir=None, image_size=None, sample=False, disk_folder=None, load=data.load):
        if not sample or name not in data.SAMPLES:
            return load(name, data_dir, image_size, sample, disk_folder)
        if disk_folder is None:
            return _sample(name, image_size, few)
        splits = load(name, data_dir, image_size, sample, disk_folder)
        return _few(splits) if few else splits

    return mock.patch.object(data, "load", load)


@pytest.fixture(scope="module")
def samples_read_once():
    """The images that ship with the package are read by the first run that takes them into memory."""
    with _samples(few=False):
        yield


@pytest.fixture(scope="module")
def few_samples():
    """As `samples_read_once`, but of each split only the first images: `FEW` of them."""
    with _samples(few=True):
        yield


@pytest.fixture
def start_workers():
    """Function of (command, logs) that starts it as two workers of one job, which find each other by TF_CONFIG.

    What they print goes to the two paths in `logs`. Gives the processes, the chief's first; at the test's end all are
    killed.
    """
    started = []

    def start(command, logs, **variables):
        with contextlib.ExitStack() as stack:
            ports = [stack.enter_context(socket.socket()) for _ in logs]
            for port in ports:
                port.bind(("localhost", 0))
            cluster = {"worker": [f"localhost:{port.getsockname()[1]}" for port in ports]}
        processes = []
        for index, path in enumerate(logs):
            config = json.dumps({"cluster": cluster, "task": {"type": "worker", "index": index}})
            environment = {**os.environ, "TF_CONFIG": config, "TF_CPP_MIN_LOG_LEVEL": "2", **variables}
            with open(path, "a") as log:
                processes.append(subprocess.Popen(command, env=environment, stdout=log, stderr=log))
        started.extend(processes)
        return processes

    yield start
    for process in started:
        process.kill()
        process.wait()


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
