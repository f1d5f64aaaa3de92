"""Steps before TensorFlow is imported: check the backend, turn oneDNN on, hide log lines."""

import contextlib
import os
import pathlib
import re
import sys
import tempfile
import warnings
from collections.abc import Iterator

from zoo._compat.startup import log_line_matters, turns_onednn_on_itself

CPUINFO = pathlib.Path("/proc/cpuinfo")
ONEDNN = "TF_ENABLE_ONEDNN_OPTS"


def require_tensorflow_backend() -> None:
    """Raises ImportError if Keras is set to another backend than TensorFlow."""
    backend = os.environ.get("KERAS_BACKEND") or "tensorflow"
    if "keras" in sys.modules:
        backend = sys.modules["keras"].config.backend()
    if backend != "tensorflow":
        raise ImportError(
            f"Expected the Keras backend to be 'tensorflow'. Received: KERAS_BACKEND={backend!r}. "
            "Unset KERAS_BACKEND, or set it to 'tensorflow', before keras is imported."
        )


def print_all_characters() -> None:
    """Has standard output write "\\u03b2" where its encoding lacks a character, which would end the program."""
    reconfigure = getattr(sys.stdout, "reconfigure", None)  # a replaced stream may have none
    if reconfigure is not None:
        reconfigure(errors="backslashreplace")


def runs_command_line() -> bool:
    """Whether this process is `python -m zoo` or `vae-zoo`, which must answer before TensorFlow is imported."""
    if sys.argv[0] == "-m":
        return re.search(r" -m ?zoo( |$)", " ".join(sys.orig_argv)) is not None
    return pathlib.Path(sys.argv[0]).stem == "vae-zoo"


def cpu_flags() -> set[str]:
    """The instruction sets of an x86 CPU, by their names in Linux; an empty set if they cannot be read."""
    return set(_cpu_entry("flags").split())


def cpu_model() -> str:
    """The model of an x86 CPU, such as "AMD EPYC"; an empty str if it cannot be read."""
    return _cpu_entry("model name")


def _cpu_entry(name):
    """The first entry of this name in `CPUINFO`; an empty str if there is none."""
    try:
        found = re.search(rf"^{name}\s*:(.*)$", CPUINFO.read_text(), re.MULTILINE)
    except OSError:
        return ""
    return found[1].strip() if found else ""


def turn_onednn_on() -> None:
    """Sets TF_ENABLE_ONEDNN_OPTS=1 on x86 CPUs with AVX2, unless the environment has a value already.

    TensorFlow itself leaves oneDNN off on CPUs without instructions for neural networks, although convolutions train
    1.5 times as fast with AVX2 alone (benchmarks/training.md). It reads the variable only during its import. If it is
    imported already, this function warns instead.

    Where the CPU's flags cannot be read, TensorFlow decides: on Windows it turns oneDNN on anyway, for macOS on x86 it
    has no release, on ARM the variable controls another library, and elsewhere there may be no AVX2.
    """
    flags = cpu_flags()
    if "avx2" not in flags or ONEDNN in os.environ:
        return
    if "tensorflow" not in sys.modules:
        os.environ[ONEDNN] = "1"
    elif not turns_onednn_on_itself(flags):
        warnings.warn(
            "TensorFlow was imported before zoo, too late to turn on its oneDNN kernels, with which convolutions train "
            f"1.5 times as fast on this CPU. Import zoo before keras and tensorflow, or set {ONEDNN}=1 in the "
            "environment; 0 leaves them off without this warning.",
            stacklevel=3,
        )


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """A context that hides what TensorFlow's C++ code writes to stderr, except errors.

    If the block raises, all lines are printed. TensorFlow 2.21 logs before it reads TF_CPP_MIN_LOG_LEVEL, and the lines
    are therefore caught at the file descriptor.
    """
    try:
        stderr = os.dup(2)
    except OSError:  # no stderr: a service or a GUI
        yield
        return
    sys.stderr and sys.stderr.flush()
    with tempfile.TemporaryFile() as kept:
        os.dup2(kept.fileno(), 2)
        failed = True
        try:
            yield
            failed = False
        finally:
            sys.stderr and sys.stderr.flush()
            os.dup2(stderr, 2)
            os.close(stderr)
            kept.seek(0)
            lines = kept.read().decode(errors="replace").splitlines(keepends=True)
            for line in lines if failed else filter(log_line_matters, lines):
                os.write(2, line.encode())
