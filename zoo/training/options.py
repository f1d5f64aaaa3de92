"""Command-line options from the fields of a dataclass. A field declares its type, default and help."""

import argparse
import dataclasses
import pathlib
import types
import typing
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

_MISSING = dataclasses.MISSING


def flag(
    default: object = _MISSING,
    help: str = "",
    *,
    choices: Sequence[object] | None = None,
    sample: object = None,
    free: bool = False,
    name: str | None = None,
    const: object = None,
    only: Mapping[str, Collection[object] | None] | None = None,
) -> Any:
    """Declares a field of a dataclass of flags.

    `latent_dim: int = flag(32, "dimensions of z")` is the option `--latent-dim`. The field's type is int, float, str,
    `pathlib.Path`, or bool for an option without a value; `X | None` where the default is None; `tuple[X, ...]` for
    one or more values; `X | tuple[X, ...]` for one value, which stays an X, or several. A subclass changes a default
    with `latent_dim: int = 64` and keeps the rest.

    Args:
        default: the value if the option is not given. Without a default the option is required.
        help: str. The default is appended, unless the text contains the word "default".
        choices: the values that are allowed, or None for all.
        sample: the default under `--sample`, or None if it is the same.
        free: bool, whether the value may change when a run resumes.
        name: str, the name of the option and in the records of a run, or None for the field's name.
        const: the value if the option is given without one.
        only: dict of another option's name to the values with which this one counts; None for any value but None, False
            and "none". With others, another value than the default is refused.

    Returns:
        a `dataclasses.Field`.
    """
    metadata = {
        "help": help, "choices": choices, "sample": sample, "free": free, "name": name, "const": const, "only": only,
    }  # fmt: skip
    return dataclasses.field(default=default, metadata=metadata)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Option:
    """An option of the command line and the field that it fills; see `flag`."""

    field: str
    name: str
    type: Callable
    several: bool
    default: object
    single: bool = False
    help: str = ""
    choices: Sequence[object] | None = None
    sample: object = None
    free: bool = False
    const: object = None
    only: Mapping[str, Collection[object] | None] | None = None

    def add_to(self, parser: argparse.ArgumentParser) -> None:
        """Adds the option to an argument parser."""
        settings: dict[str, Any] = {"dest": self.name, "help": self._full_help()}
        if self.default is _MISSING:
            settings["required"] = True
        else:
            settings["default"] = _plain(self.default)
        if self.type is bool:
            settings["action"] = "store_true"
        else:
            kind = _path if self.type is pathlib.Path else self.type
            settings |= {"type": kind, "choices": self.choices, "const": self.const}
            settings["nargs"] = "+" if self.several else None if self.const is None else "?"
        parser.add_argument(typed(self.name), **settings)

    def of_field(self, value: object) -> object:
        """Converts a value from argparse to the one for the field: a list becomes a tuple, or its one value."""
        if self.single and isinstance(value, list) and len(value) == 1:
            return value[0]
        return tuple(value) if self.several and isinstance(value, list) else value

    def _full_help(self):
        if self.type is bool or self.default in (None, _MISSING) or "default" in self.help:
            return self.help
        default = "default: %(default)s" + ("" if self.sample is None else f", with --sample {self.sample}")
        return f"{self.help} ({default})" if self.help else default


def typed(name: str) -> str:
    """An option as a user types it: "--batch-size" for "batch_size"."""
    return "--" + name.replace("_", "-")


def _path(text):
    """A path; the empty text, as of a variable of the shell that is not set, would be the present folder."""
    if not text:
        raise argparse.ArgumentTypeError("Expected a path. Received: ''")
    return pathlib.Path(text)


def of(cls: type, leave_out: Collection[str] = (), **changes: dict[str, Any]) -> list[Option]:
    """The options of a dataclass, without the fields `leave_out`.

    `changes` maps a field to a dict of arguments of `flag` that replace those of the field.
    """
    hints = typing.get_type_hints(cls)
    found = []
    for field in dataclasses.fields(cls):
        if field.name not in leave_out:
            kind, several, single = _kind(hints[field.name])
            settings = {"default": field.default, **_metadata(cls, field), **changes.get(field.name, {})}
            name = settings.pop("name", None) or field.name
            found.append(Option(field=field.name, name=name, type=kind, several=several, single=single, **settings))
    return found


def add(parser: argparse.ArgumentParser, options: Iterable[Option]) -> None:
    """Adds options to an argument parser."""
    for option in options:
        option.add_to(parser)


def parse(
    parser: argparse.ArgumentParser, groups: Iterable[Sequence[Option]], argv: Sequence[str] | None = None
) -> list[list[tuple[Option, Any]]]:
    """Parses a command line: a list of pairs (option, value) for each group of options.

    An option that does not count beside the others, as its `only` says, is a usage error.
    """
    given = vars(parser.parse_args(argv))
    if given.get("sample"):
        options = (option for group in groups for option in group)
        parser.set_defaults(**{option.name: option.sample for option in options if option.sample is not None})
        given = vars(parser.parse_args(argv))
    found = [[(option, option.of_field(given[option.name])) for option in group] for group in groups]
    values = {option.name: value for group in found for option, value in group}
    for option in (option for group in groups for option in group):
        value, other = values[option.name], excluded_by(option, values)
        if other is not None and value != option.of_field(parser.get_default(option.name)):
            way = f"is {values[other]}" if values[other] else "is not given"
            about = f"to be left out, as {typed(other)} {way}. Received: {text(value)}"
            parser.error(f"Expected `{typed(option.name)}` {about}")
    return found


def excluded_by(option: Option, values: Mapping[str, object]) -> str | None:
    """The name of the option among `values`, by name, beside whose value this one does not count; None for none."""
    for name, allowed in (option.only or {}).items():
        value = values.get(name)
        counts = value not in (None, False, "none") if allowed is None else value in allowed
        if name in values and not counts:
            return name
    return None


def data_paths(flags: object) -> list[tuple[str, pathlib.Path]]:
    """The paths that the flags of a recipe name as data, with their options: those that may not change on resuming."""
    given = [(typed(option.name), getattr(flags, option.field)) for option in of(type(flags)) if not option.free]
    return [(name, value) for name, value in given if isinstance(value, pathlib.Path)]


def text(value: object) -> str | None:
    """A value as the records of a run hold it; None for None and for a missing default."""
    return None if value is None or value is _MISSING else str(_plain(value))


def _plain(value):
    return list(value) if isinstance(value, tuple) else value  # the first version recorded lists


def _kind(annotation):
    """The type of a single value, whether there may be several, and whether a single one is no tuple."""
    inner = [argument for argument in typing.get_args(annotation) if argument not in (type(None), ...)]
    if typing.get_origin(annotation) in (types.UnionType, typing.Union):
        return (*_kind(inner[-1])[:2], len(inner) > 1)
    if typing.get_origin(annotation) is tuple:
        return inner[0], True, False
    return annotation, False, False


def _metadata(cls, field):
    """The metadata that `flag` gave a field; from a base class if the subclass changes only the default."""
    declared = (getattr(base, "__dataclass_fields__", {}).get(field.name) for base in cls.__mro__)
    return next((dict(base.metadata) for base in declared if base is not None and base.metadata), {})
