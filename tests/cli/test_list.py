"""The command line as a whole, and `list`."""

import argparse
import importlib
import json
import os
import re
import subprocess
import sys

import pytest

import zoo
from zoo import cli


def test_list_names_all_presets(capsys):
    assert cli.main(["list", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == zoo.list_presets()
    assert cli.main(["list"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == len(zoo.list_presets())


@pytest.mark.parametrize("argv", [["list"], ["--help"], *([name, "--help"] for name in cli.COMMANDS)])
def test_answers_without_tensorflow(argv):
    """As a process of its own: `python -m zoo` decides what it imports before anything else."""
    command = [sys.executable, "-X", "importtime", "-m", "zoo", *argv]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "COLUMNS": "100"}, check=True)
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "zoo.cli" in imported and not {"tensorflow", "keras", "sklearn", "PIL", "numpy"} & imported
    assert ("usage" in done.stdout) == ("--help" in argv)


@pytest.mark.parametrize("command", cli.COMMANDS)
def test_the_number_that_the_help_names_as_the_default_is_the_default(command):
    """Where the parser has it; other defaults depend on further options, and `_options.fill` sets them."""
    parser = argparse.ArgumentParser()
    importlib.import_module(f"zoo.cli.{command}").add_arguments(parser)
    for action in parser._actions:
        named = re.search(r"\(default: ([\d.]+)\)", action.help or "")
        if named and action.default is not None:
            assert action.default == float(named[1]), action.option_strings
    if command == "traverse":
        assert "(default: 3)" in parser.format_help()


def test_usage_errors_have_status_2(capsys):
    for argv in ([], ["lists"], ["list", "--what"]):
        with pytest.raises(SystemExit) as raised:
            cli.main(argv)
        assert raised.value.code == 2
    assert "usage: vae-zoo" in capsys.readouterr().err


def test_errors_are_one_line(monkeypatch, capsys):
    def fail():
        raise ValueError("Expected `x` to be\n  a. Received: x='b'")

    monkeypatch.setattr("zoo.presets.list_presets", fail)
    assert cli.main(["list"]) == 2
    assert capsys.readouterr().err == "vae-zoo list: Expected `x` to be a. Received: x='b'\n"
    with pytest.raises(ValueError):
        cli.main(["list", "--traceback"])
