"""The files beside the package agree with it."""

import pathlib
import re

import zoo

ROOT = pathlib.Path(zoo.__file__).parents[1]


def test_the_citation_has_the_version_of_the_package():
    assert re.findall(r"^version: (.+)$", (ROOT / "CITATION.cff").read_text(), re.M) == [zoo.__version__]


def test_the_changelog_has_a_section_for_the_work_in_progress_first():
    sections = re.findall(r"^## \[(.+?)\]", (ROOT / "CHANGELOG.md").read_text(), re.M)
    assert sections[0] == "Unreleased" and len(sections) == len(set(sections))


def test_the_workflow_runs_what_contributors_run_on_the_oldest_and_newest_python():
    workflow = (ROOT / ".github/workflows/ci.yml").read_text()
    supported = re.findall(r"Programming Language :: Python :: (3\.\d+)", (ROOT / "setup.cfg").read_text())
    assert "run: .ci/run" in workflow
    assert f'python: ["{supported[0]}", "{supported[-1]}"]' in workflow
