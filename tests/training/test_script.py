"""A recipe's script: named after its file, run where Python was called with it."""

import runpy
import sys

import pytest

from zoo import training

SCRIPT = '''"""A script."""

from zoo import training

main = training.script(__name__, __file__, __doc__, image_shape=(2, 2, 1), build=None, dataset="mnist", epochs=7)
print("the end")
'''


def test_recipe_is_what_the_script_says(tmp_path):
    main = training.script("a.module", str(tmp_path / "some_vae.py"), "Words.", image_shape=(2, 2, 1), build=None)
    assert main.recipe == training.Recipe("some_vae", "Words.", (2, 2, 1), None)


def test_main_is_called_with_arguments_and_imports_run_nothing(tmp_path, capsys):
    file = str(tmp_path / "some_vae.py")
    main = training.script("a.module", file, "Words.", image_shape=(2, 2, 1), build=None)
    with pytest.raises(SystemExit) as caught:
        main(["--help"])
    assert caught.value.code == 0
    assert capsys.readouterr().out.startswith("usage: some_vae.py [-h]")


def test_script_runs_with_the_arguments_of_its_command(tmp_path, monkeypatch, capsys):
    path = tmp_path / "other_vae.py"
    path.write_text(SCRIPT)
    main = runpy.run_path(str(path), run_name="other_vae")["main"]  # as an import does
    assert main.recipe.name == "other_vae" and capsys.readouterr().out == "the end\n"
    monkeypatch.setattr(sys, "argv", ["other_vae.py", "--epochs", "0"])
    with pytest.raises(SystemExit) as caught:
        runpy.run_path(str(path), run_name="__main__")
    assert caught.value.code == 2
    written = capsys.readouterr()
    assert written.out == ""
    assert written.err.splitlines()[-1].startswith("other_vae.py: error: Expected `--epochs` to be an integer >= 1")
