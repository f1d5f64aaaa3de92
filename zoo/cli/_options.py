"""Options that count only beside another, or not beside another: None where they were not given."""

import argparse

from zoo.runtime import checks


def refuse(args: argparse.Namespace, when: str, *names: str) -> None:
    """Raises ValueError if one of the options `names` was given, which the command would leave out.

    Args:
        args: whose options are None, or False for a flag, where they were not given.
        when: str, for the error: the circumstance in which the option does not count, such as "without --walk".
        names: strs, attributes of `args`.
    """
    for name in names:
        given = getattr(args, name)
        if given is not None and given is not False:
            checks.fail(f"--{name.replace('_', '-')}", f"left out {when}", given)


def fill(args: argparse.Namespace, **defaults: object) -> None:
    """Sets the options that were not given to their defaults."""
    for name, default in defaults.items():
        if getattr(args, name) is None:
            setattr(args, name, default)


def check_seed(args: argparse.Namespace) -> None:
    """Raises ValueError unless --seed is one that all generators take, NumPy's too."""
    if not 0 <= args.seed < 2**31:
        checks.fail("--seed", "an integer >= 0 and < 2**31", args.seed)


def check_fps(args: argparse.Namespace, is_animation: bool) -> None:
    """Sets --fps to 10 where it was not given; ValueError for other rates than animations have, and for a picture."""
    if not is_animation:
        refuse(args, "unless --output is an animation", "fps")
    fill(args, fps=10.0)
    checks.number("--fps", args.fps, 0.01, 50.0)
