"""The command line: `python -m zoo COMMAND`, also installed as `vae-zoo`.

A command is a file of this folder. Its docstring is its help, `add_arguments(parser)` declares its arguments, and
`run(args)` does the work. Only `run` imports what takes long, and `--help` therefore answers at once.
"""

import argparse
import contextlib
import importlib
import os
import signal
import sys
import threading
from collections.abc import Sequence
from types import ModuleType

from zoo.cli import _output
from zoo.runtime import startup

# In the order of `--help`.
COMMANDS = (
    *("list", "sample", "reconstruct", "interpolate", "traverse", "explore", "anomaly", "impute", "denoise"),
    *("compress", "decompress", "evaluate", "diagnose", "tune", "export", "train"),
)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command. Results go to files or standard output, messages to standard error.

    Returns:
        int, the exit status: 0; 2 for wrong input, with one line on standard error; 130 after Ctrl-C.

    Raises:
        SystemExit: after SIGTERM, with status 143. What was half written is removed.
    """
    startup.print_all_characters()
    argv = sys.argv[1:] if argv is None else [*argv]  # `list` is a command here
    chosen = argv[:1] if argv[:1] and argv[0] in COMMANDS else COMMANDS
    args = _parser({name: importlib.import_module(f"zoo.cli.{name}") for name in chosen}).parse_args(argv)
    try:
        _output.require_apart(args)
        with _ended_by_sigterm():
            args.run(args)
        print(end="", flush=True)  # an output that was closed is seen here; without one, nothing is done
    except (ValueError, OSError, ImportError, MemoryError) as error:
        if isinstance(error, BrokenPipeError):  # `| head` has read enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0
        if args.traceback:
            raise
        print(f"vae-zoo {args.command}: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"vae-zoo {args.command}: stopped", file=sys.stderr)
        return 130
    return 0


@contextlib.contextmanager
def _ended_by_sigterm():
    if threading.current_thread() is not threading.main_thread():  # the only one that may handle signals
        yield
        return
    before = signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _parser(modules: dict[str, ModuleType]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="vae-zoo",
        description="Uses trained variational autoencoders. `vae-zoo COMMAND --help` explains a command.",
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, module in modules.items():
        text = module.__doc__ or ""
        command = commands.add_parser(
            name,
            help=text.splitlines()[0],
            description=text,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        module.add_arguments(command)
        command.add_argument("--traceback", action="store_true", help="show where an error comes from")
        command.set_defaults(run=module.run)
    return parser
