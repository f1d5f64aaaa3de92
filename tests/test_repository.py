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


def test_the_files_that_contributors_are_sent_to_exist():
    """Names in capitals, as in `zoo/models/NAME.py`, are the contributor's own."""
    text = (ROOT / "CONTRIBUTING.md").read_text()
    paths = set(re.findall(r"(?:zoo|tests|tools|recipes)/[\w./]+\w", text))
    fixed = {path for path in paths if path == path.lower()}
    assert len(fixed) >= 25
    assert [path for path in sorted(fixed) if not (ROOT / path).exists()] == []


def test_the_checklists_name_tables_and_tests_that_exist():
    text = (ROOT / "CONTRIBUTING.md").read_text()
    sources = "".join(path.read_text() for path in (ROOT / "tests").rglob("*.py"))
    names = set(re.findall(r"`(test_\w+|[A-Z]{6,}|[A-Z]+_[A-Z]+)`", text)) - {"DATASET_MODEL"}
    assert len(names) >= 12
    for path in ("zoo/data/sources.py", "zoo/training/priors.py", "zoo/training/quantizers.py"):
        sources += (ROOT / path).read_text()
    assert [name for name in sorted(names) if name not in sources] == []


def test_files_of_tests_have_different_names():
    """pytest imports them by their names alone."""
    names = sorted(path.name for path in (ROOT / "tests").rglob("test_*.py"))
    assert names == sorted(set(names))
