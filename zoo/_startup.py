"""What happens before TensorFlow is there: the backend is checked, and its chatter kept back."""

import contextlib
import os
import re
import sys
import tempfile

# Level and source of a log line: I0000 00:00:1795191041.751470 1872 port.cc:153] …
_LOG_LINE = re.compile(r"^([IWEF])\d{4} [\d:.]+\s+\d+ (\S+)\]")
# What TensorFlow prints on machines where nothing is amiss.
_HARMLESS = re.compile(
    r"All log messages before absl::InitializeLog|^To enable the following instructions|failed call to cuInit"
    r"|Created TensorFlow Lite XNNPACK delegate"
)


def require_tensorflow_backend():
    """Raises ImportError where Keras is set to another backend than TensorFlow."""
    backend = os.environ.get("KERAS_BACKEND") or "tensorflow"
    if "keras" in sys.modules:
        backend = sys.modules["keras"].config.backend()
    if backend != "tensorflow":
        raise ImportError(
            f"Expected the Keras backend to be 'tensorflow'. Received: KERAS_BACKEND={backend!r}. "
            "Unset KERAS_BACKEND, or set it to 'tensorflow', before keras is imported."
        )


@contextlib.contextmanager
def quiet():
    """Keeps back what TensorFlow's C++ side writes to stderr within, unless something is wrong.

    TensorFlow 2.21 logs before it reads TF_CPP_MIN_LOG_LEVEL, so the lines are caught at the file descriptor. Errors
    are passed on, and everything if the block raises.
    """
    try:
        stderr = os.dup(2)
    except OSError:  # no stderr at all: a service, a GUI
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
            for line in lines if failed else filter(_matters, lines):
                os.write(2, line.encode())


def _matters(line):
    level = _LOG_LINE.match(line)
    return not _HARMLESS.search(line) and (level is None or level[1] in "EF")
