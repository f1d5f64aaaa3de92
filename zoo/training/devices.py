"""The devices of a run: its strategy, and the number of replicas and sub-batches that share a batch."""

import contextlib
import json
import os
import signal
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence

import tensorflow as tf

from zoo.runtime import cores, startup
from zoo.training.flags import UsageError


def make_strategy(name: str) -> tf.distribute.Strategy:
    """The `tf.distribute` strategy of a `--strategy` flag."""
    if name == "auto":
        name = "mirrored" if len(tf.config.list_logical_devices("GPU")) > 1 else "none"
    if name == "mirrored":
        return tf.distribute.MirroredStrategy()
    if name == "multiworker":
        return tf.distribute.MultiWorkerMirroredStrategy()
    if name == "tpu":
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver()
        tf.config.experimental_connect_to_cluster(resolver)
        tf.tpu.experimental.initialize_tpu_system(resolver)
        return tf.distribute.TPUStrategy(resolver)
    return tf.distribute.get_strategy()


def start_strategy(name: str, recipe_name: str) -> tf.distribute.Strategy:
    """The strategy of a `--strategy` flag; waits for the other workers that TF_CONFIG names.

    Raises:
        UsageError: if the machine or TF_CONFIG does not allow it.
    """
    try:
        workers = json.loads(os.environ.get("TF_CONFIG") or "{}").get("cluster", {})
    except (ValueError, AttributeError):
        received = os.environ["TF_CONFIG"][:200]
        raise UsageError(f"Expected TF_CONFIG to be a JSON object. Received: {received!r}") from None
    if not isinstance(workers, dict) or not all(isinstance(addresses, list) for addresses in workers.values()):
        raise UsageError(
            f"Expected the cluster in TF_CONFIG to have lists of addresses. Received: {str(workers)[:200]}"
        )
    number = sum(len(workers.get(kind, ())) for kind in ("chief", "worker"))
    if not number and name == "multiworker":
        raise UsageError("Expected workers in TF_CONFIG, as --strategy is multiworker. Received: none")
    if number > 1 and name != "multiworker":
        raise UsageError(
            f"Expected `--strategy` to be multiworker, as TF_CONFIG names {number} workers. Received: {name}"
        )
    if number > 1:
        print(f"{recipe_name}: waiting for {number} workers", flush=True)
    try:
        with startup.quiet(), _ended_by_ctrl_c() if number > 1 else contextlib.nullcontext():
            strategy = make_strategy(name)  # before TensorFlow starts its devices, or workers cannot join
            tf.config.list_logical_devices()  # starts them, which prints log lines
        return strategy
    except (ValueError, RuntimeError, tf.errors.OpError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UsageError(
            f"Expected `--strategy` to be one that this machine allows. Received: {name} ({reason})"
        ) from error


@contextlib.contextmanager
def _ended_by_ctrl_c():
    """A context in which Ctrl-C ends the process at once: TensorFlow waits without letting Python handle it.

    SIGTERM has no effect meanwhile, as TensorFlow handles it itself.
    """
    before = signal.getsignal(signal.SIGINT)
    if before is not signal.default_int_handler or threading.current_thread() is not threading.main_thread():
        yield
        return
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def best_parts(strategy_name: str, batch_sizes: Iterable[int]) -> int:
    """The number of sub-batches that suits the batch sizes of all stages."""
    with startup.quiet():
        gpus = tf.config.list_physical_devices("GPU")
    if gpus or strategy_name not in ("auto", "none"):
        return 1
    return min(map(cores.sub_batches_for, batch_sizes))


def require_whole_shares(batch_sizes: Mapping[str, int], replicas: int, sizes: Sequence[int] = ()) -> None:
    """Raises `UsageError` unless replicas get equal shares of a batch, and at least one image of each last batch.

    Args:
        batch_sizes: dict of batch sizes by the options that set them.
        replicas: int, the number of replicas.
        sizes: ints, the number of images in each split.
    """
    for flag, size in batch_sizes.items():
        if size % replicas:
            expected, left = f"a multiple of the {replicas} replicas", f"which leaves {size % replicas} over"
            raise UsageError(f"Expected `{flag}` to be {expected}. Received: {size}, {left}")
        for number in sizes:
            if 0 < number % size < replicas:  # on some devices TensorFlow's convolutions fail on an empty batch
                expected = f"one whose last batch has an image for each of the {replicas} replicas"
                left = f"which leaves {number % size} of {number}"
                raise UsageError(f"Expected `{flag}` to be {expected}. Received: {size}, {left}")


@contextlib.contextmanager
def only_chief_prints(chief: bool) -> Iterator[None]:
    """A context in which only the chief prints, as all workers would print the same lines."""
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(sys.stdout if chief else nowhere):
        yield
