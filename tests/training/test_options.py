"""Fields of a dataclass become options: their names, types, defaults, help, and what a run notes of them."""

import argparse
import dataclasses
import pathlib

import pytest

from zoo.training import options
from zoo.training.options import flag


@dataclasses.dataclass(frozen=True)
class Base:
    folder: pathlib.Path = flag(help="of pictures")
    num_codes: int = flag(512, "K")
    levels: tuple[int, ...] = flag((8, 8), "of fsq")


@dataclasses.dataclass(frozen=True)
class Choice:
    sample: bool = flag(False)
    kind: str = flag("a", choices=("a", "b", "none"))
    path: str | None = flag(None)
    of_b: int = flag(1, only={"kind": ("b",)})
    of_any: tuple[int, ...] = flag((1, 2), sample=(3,), only={"kind": None})
    of_path: bool = flag(False, only={"path": None})


@dataclasses.dataclass(frozen=True)
class Flags(Base):
    num_codes: int = 128
    prior: str = flag("standard", "over z", choices=("standard", "flow"))
    labels: tuple[int, ...] | None = flag(None, "to plot (default: all)", free=True)
    decay: float | None = flag(0.5, sample=0.25)
    quick: bool = flag(False, "no figures")
    precision: str = flag("none", const="half")
    rate: float = flag(1, name="other_rate")
    plain: int = 3


def parse(*argv, **changes):
    parser = argparse.ArgumentParser()
    parser.add_argument("--sample", action="store_true")
    group = options.of(Flags, **changes)
    options.add(parser, group)
    (pairs,) = options.parse(parser, [group], ["--folder", "a", *argv])
    return Flags(**{option.field: value for option, value in pairs})


def test_defaults_are_those_of_the_fields():
    assert parse() == Flags(pathlib.Path("a"))


def test_each_type_is_read():
    argv = "--num-codes 5 --levels 4 3 --prior flow --labels 7 --decay 0.75 --quick --precision half --other-rate 2"
    read = parse(*argv.split(), "--plain", "4")
    assert read == Flags(pathlib.Path("a"), 5, (4, 3), "flow", (7,), 0.75, True, "half", 2.0, 4)
    assert isinstance(read.rate, float) and isinstance(read.folder, pathlib.Path)


def test_option_without_its_value_is_the_constant():
    assert parse("--precision").precision == "half"


def test_default_under_sample_gives_way_to_the_command_line():
    assert parse("--sample").decay == 0.25
    assert parse("--sample", "--decay", "0.75").decay == 0.75


def test_subclass_that_changes_a_default_keeps_the_help():
    found = {option.name: option for option in options.of(Flags)}
    assert (found["num_codes"].default, found["num_codes"].help) == (128, "K")


@pytest.mark.parametrize(
    "argv, said",
    [
        ("--of-b 2", "`--of-b` to be left out, as --kind is a. Received: 2"),
        ("--of-b 1", None),
        ("--kind b --of-b 2", None),
        ("--kind none --of-any 5", "`--of-any` to be left out, as --kind is none. Received: [5]"),
        ("--kind none --sample", None),
        ("--kind b --of-any 5", None),
        ("--of-path", "`--of-path` to be left out, as --path is not given. Received: True"),
        ("--path x --of-path", None),
    ],
)
def test_an_option_that_does_not_count_is_refused(argv, said, capsys):
    parser = argparse.ArgumentParser()
    found = options.of(Choice)
    options.add(parser, found)
    if said is None:
        options.parse(parser, [found[:3], found[3:]], argv.split())
        return
    with pytest.raises(SystemExit):
        options.parse(parser, [found[:3], found[3:]], argv.split())
    assert f"Expected {said}\n" in capsys.readouterr().err


@pytest.mark.parametrize("argv", [["--prior", "x"], ["--num-codes", "x"], ["--levels"], ["--rate", "1"]])
def test_other_values_are_usage_errors(argv):
    with pytest.raises(SystemExit) as caught:
        parse(*argv)
    assert caught.value.code == 2


def test_field_without_a_default_is_required(capsys):
    parser = argparse.ArgumentParser()
    options.add(parser, options.of(Base))
    with pytest.raises(SystemExit):
        parser.parse_args([])
    assert "the following arguments are required: --folder" in capsys.readouterr().err


def test_help_says_the_default():
    parser = argparse.ArgumentParser()
    options.add(parser, options.of(Flags))
    shown = " ".join(parser.format_help().split())
    for text in (
        "--folder FOLDER of pictures --num-codes NUM_CODES K (default: 128)",
        "of fsq (default: [8, 8])",
        "over z (default: standard)",
        "to plot (default: all) --decay DECAY default: 0.5, with --sample 0.25 --quick no figures --precision",
    ):
        assert text in shown


def test_changes_and_fields_left_out_are_for_one_use():
    (codes,) = options.of(Base, ("folder", "levels"), num_codes={"default": 7, "help": "more"})
    assert (codes.field, codes.default, codes.help) == ("num_codes", 7, "more")
    assert options.of(Base)[1].default == 512


@pytest.mark.parametrize(
    "value, text",
    [(None, None), (dataclasses.MISSING, None), (2e-3, "0.002"), ((5, 5), "[5, 5]"), (pathlib.Path("a/b"), "a/b")],
)
def test_value_as_text(value, text):
    assert options.text(value) == text
