"""Command-line options from the fields of a dataclass: each is declared once, with its type, default and help."""

import dataclasses
import types
import typing
from collections.abc import Callable

_MISSING = dataclasses.MISSING


def flag(default=_MISSING, help="", *, choices=None, sample=None, free=False, name=None, const=None):
    """A field of a dataclass of flags.

    `latent_dim: int = flag(32, "numbers in z")` is the option `--latent-dim`. The field's type is int, float, str,
    `pathlib.Path`, or bool for an option without a value; `X | None` where the default is None; `tuple[X, ...]` for
    one or more values. A subclass changes a default with `latent_dim: int = 64` and keeps all else.

    Args:
        default: the value where the option is not given; left out, the option is required.
        help: str; the default is added to it, unless it says one itself.
        choices: what the value may be.
        sample: the default under `--sample`, where it differs.
        free: bool, whether a run may go on with another value than the one that it began with.
        name: str, of the option and in the records of a run, where it is not the field's.
        const: the value of an option that is given without one.

    Returns:
        a `dataclasses.Field`.
    """
    metadata = {"help": help, "choices": choices, "sample": sample, "free": free, "name": name, "const": const}
    return dataclasses.field(default=default, metadata=metadata)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Option:
    """An option of the command line, and the field that it fills; see `flag`."""

    field: str
    name: str
    type: Callable
    several: bool
    default: object
    help: str = ""
    choices: tuple | None = None
    sample: object = None
    free: bool = False
    const: object = None

    def add_to(self, parser):
        settings = {"dest": self.name, "help": self._full_help()}
        if self.default is _MISSING:
            settings["required"] = True
        else:
            settings["default"] = _plain(self.default)
        if self.type is bool:
            settings["action"] = "store_true"
        else:
            settings |= {"type": self.type, "choices": self.choices, "const": self.const}
            settings["nargs"] = "+" if self.several else None if self.const is None else "?"
        parser.add_argument(typed(self.name), **settings)

    def of_field(self, value):
        """A value as its field holds it, from what argparse gives."""
        return tuple(value) if self.several and value is not None else value

    def _full_help(self):
        if self.type is bool or self.default in (None, _MISSING) or "default" in self.help:
            return self.help
        default = "default: %(default)s" + ("" if self.sample is None else f", with --sample {self.sample}")
        return f"{self.help} ({default})" if self.help else default


def typed(name):
    """An option as it is typed: "batch_size" is "--batch-size"."""
    return "--" + name.replace("_", "-")


def of(cls, leave_out=(), **changes):
    """The `Option`s of a dataclass; `changes` maps fields to dicts of what `flag` takes, for this use alone."""
    hints = typing.get_type_hints(cls)
    found = []
    for field in dataclasses.fields(cls):
        if field.name not in leave_out:
            kind, several = _kind(hints[field.name])
            settings = {"default": field.default, **_metadata(cls, field), **changes.get(field.name, {})}
            name = settings.pop("name", None) or field.name
            found.append(Option(field=field.name, name=name, type=kind, several=several, **settings))
    return found


def add(parser, options):
    """Adds options to an argument parser."""
    for option in options:
        option.add_to(parser)


def parse(parser, groups, argv=None):
    """Parses a command line; of each group of options a list of pairs (option, value)."""
    given = vars(parser.parse_args(argv))
    if given.get("sample"):
        options = (option for group in groups for option in group)
        parser.set_defaults(**{option.name: option.sample for option in options if option.sample is not None})
        given = vars(parser.parse_args(argv))
    return [[(option, option.of_field(given[option.name])) for option in group] for group in groups]


def text(value):
    """A value, or the lack of a default, as the records of a run hold it."""
    return None if value is None or value is _MISSING else str(_plain(value))


def _plain(value):
    return list(value) if isinstance(value, tuple) else value  # as several values are written since the first version


def _kind(annotation):
    """The type of a single value, and whether there may be several."""
    inner = [argument for argument in typing.get_args(annotation) if argument not in (type(None), ...)]
    if typing.get_origin(annotation) in (types.UnionType, typing.Union):
        return _kind(inner[0])
    if typing.get_origin(annotation) is tuple:
        return inner[0], True
    return annotation, False


def _metadata(cls, field):
    """What `flag` noted about a field; that of a base class, where a subclass changes no more than the default."""
    declared = (getattr(base, "__dataclass_fields__", {}).get(field.name) for base in cls.__mro__)
    return next((dict(base.metadata) for base in declared if base is not None and base.metadata), {})
