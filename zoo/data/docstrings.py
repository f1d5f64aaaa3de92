"""The sentences of Python's documentation: a text that is there wherever Python is."""

import ast
import pathlib
import re
import sysconfig
import warnings
from collections.abc import Iterator, Sequence

from zoo.data.texts import Text
from zoo.runtime import checks
from zoo.runtime.types import PathLike

STANDARD_LIBRARY = pathlib.Path(sysconfig.get_path("stdlib"))
_LEFT_OUT = {"test", "tests", "testing", "site-packages", "dist-packages", "idlelib", "lib2to3", "__pycache__"}
_BETWEEN_SENTENCES = re.compile(r"(?<=[.!?])\s+(?=[A-Z])")
_SENTENCE = re.compile(r"""[A-Z][a-z]*(?: [('"]?[A-Za-z0-9][A-Za-z0-9_'-]*[)'"]?[,;:]?){2,}\.""")


def docstring_sentences(
    folders: Sequence[PathLike] | None = None, shortest: int = 20, longest: int = 80, at_most: int | None = None
) -> Text:
    """The different sentences of the docstrings below folders of Python files, in the order of the files' names.

    A sentence begins with a capital, ends with a full stop, has at least three words of ASCII letters, digits, hyphens,
    underscores and apostrophes, and no other signs than commas, colons, semicolons, quotes and brackets around words.
    Folders of tests, and those of other packages, are left out. A docstring is cut into paragraphs at empty lines, and
    a paragraph into sentences at a space between ".", "!" or "?" and a capital.

    Args:
        folders: paths; None for Python's standard library (PSF licence). The text depends on its version.
        shortest, longest: ints, characters of a sentence.
        at_most: int >= 1, the number of sentences to stop at, or None for all.

    Raises:
        ValueError: for arguments out of range, and for a path that is not a folder.

    Example:
        >>> text = zoo.data.docstring_sentences(at_most=100)
        >>> len(text)
        100
    """
    if at_most is not None:
        checks.positive_int("at_most", at_most)
    found: dict[str, None] = {}
    for folder in folders or [STANDARD_LIBRARY]:
        folder = pathlib.Path(folder)
        if not folder.is_dir():
            checks.fail("folders", "folders of Python files", str(folder))
        for sentence in _sentences(folder):
            if shortest <= len(sentence) <= longest:
                found[sentence] = None
            if len(found) == at_most:
                return Text(list(found))
    return Text(list(found))


def _sentences(folder: pathlib.Path) -> Iterator[str]:
    for path in sorted(folder.rglob("*.py")):
        if _LEFT_OUT.isdisjoint(path.relative_to(folder).parts):
            for docstring in _docstrings(path):
                for paragraph in re.split(r"\n\s*\n", docstring):
                    whole = " ".join(paragraph.split())
                    yield from (each for each in _BETWEEN_SENTENCES.split(whole) if _SENTENCE.fullmatch(each))


def _docstrings(path: pathlib.Path) -> Iterator[str]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of escapes in strings
            tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):
        return
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            yield ast.get_docstring(node) or ""
