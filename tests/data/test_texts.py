"""Lines of a text, and vocabularies."""

import json
import pathlib

import numpy as np
import pytest

from zoo import data

LINES = [f"Line {number} of the text." for number in range(300)]


def test_a_text_is_a_list_of_its_lines():
    text = data.Text(["ab", " c "])
    np.testing.assert_array_equal(data.Vocabulary(5).encode(text), data.Vocabulary(5).encode(["ab", "c"]))


def test_lines_lose_white_space_and_empty_ones_are_left_out():
    text = data.Text(["  one ", "", "two\t", "   "])
    assert text.lines == ("one", "two") and text.numbers == (1, 3) and len(text) == 2
    assert text.take([1]).numbers == (3,)


def test_a_file_is_read_with_its_mark_and_its_line_ends(tmp_path):
    (tmp_path / "text.txt").write_bytes("\ufeffBäume\r\n\nTrees".encode())
    text = data.Text.from_file(tmp_path / "text.txt")
    assert text.lines == ("Bäume", "Trees") and text.numbers == (1, 3)


@pytest.mark.parametrize(
    "content, message",
    [
        (
            b"good\nb\xc3\xa4d\n\xff\nba\xfe",
            "to be UTF-8. Received: 2 lines .* not, first line 3, where byte 1 is 0xff",
        ),
        (b" \n\n", "to be a text of one line or more"),
        ("one\ntwo\n".encode("utf-16-le"), "to be UTF-8. Received: bytes of 0, as UTF-16 has them"),
        (None, "to be a text file. Received: No such file"),
    ],
)
def test_a_file_that_is_no_text_is_refused_by_line_and_byte(content, message, tmp_path):
    if content is not None:
        (tmp_path / "text.txt").write_bytes(content)
    with pytest.raises(data.DataError, match=message):
        data.Text.from_file(tmp_path / "text.txt")


def test_parts_have_no_line_in_common_and_more_text_moves_none():
    parts = data.Text([*LINES, *LINES]).split()
    assert sorted(line for part in parts for line in part.lines) == sorted(LINES)
    assert len(parts[1]) in range(15, 46) and len(parts[2]) in range(15, 46)
    fewer = data.Text(LINES[:200]).split()
    assert all(set(few.lines) <= set(many.lines) for few, many in zip(fewer, parts))
    assert data.Text(LINES).split(seed=1)[2].lines != parts[2].lines
    with pytest.raises(ValueError, match="enough different lines for three parts. Received: lines='1 lines'"):
        data.Text(["one", "one"]).split()


def test_of_equal_lines_the_first_is_kept():
    lines = [f"line {number}" for number in range(60)]
    assert sorted(number for part in data.Text(lines + lines).split() for number in part.numbers) == [*range(1, 61)]


def test_bytes_are_shifted_by_the_special_tokens():
    vocabulary = data.Vocabulary(length=5)
    assert vocabulary.size == 259
    tokens = vocabulary.encode(["Az", "ä", ""])
    np.testing.assert_array_equal(tokens, [[68, 125, 2, 0, 0], [198, 167, 2, 0, 0], [2, 0, 0, 0, 0]])
    assert tokens.dtype == np.int32 and vocabulary.decode(tokens) == ["Az", "ä", ""]
    # What follows the end does not count, a line may have no end, and half a character is no UTF-8.
    assert vocabulary.decode([[68, 2, 69, 2, 0], [68, 68, 68, 68, 68], [198, 2, 0, 0, 0]]) == ["A", "AAAAA", "\ufffd"]


def test_lines_that_are_too_long_are_named():
    vocabulary = data.Vocabulary(length=5)
    assert vocabulary.encode(["four"]).tolist() == [[105, 114, 120, 117, 2]]
    with pytest.raises(ValueError, match=r"at most 4 tokens. Received: .*2 longer ones, first lines\[1\] of 5: 'sev"):
        vocabulary.encode(["one", "seven", "äää"])
    kept, too_long = data.Text(["one", "", "seven", "six", "eleven"]).fitting(vocabulary)
    assert kept.lines == ("one", "six") and too_long == [3, 5]
    with pytest.raises(ValueError, match="larger than 5, the tokens of the shortest line"):
        data.Text(["seven"]).fitting(vocabulary)
    with pytest.raises(ValueError, match="Expected `lines` to be a list of lines"):
        vocabulary.encode("line")


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: data.Text("line"), "Expected `lines` to be a list of lines"),
        (lambda: data.Text(["line", 2]), "Expected `lines` to be a list of strs. Received: .*1 of 2 that are none"),
        (lambda: data.Text(None), "Expected `lines` to be a list of lines"),
        (lambda: data.Vocabulary(5).encode(5), "Expected `lines` to be a list of lines"),
        (lambda: data.Vocabulary(5).encode(["a", "\ud800"]), "Expected `lines` to be texts that UTF-8.* in lines.1."),
        (lambda: data.Text(["a", "b"], [1]), "Expected `numbers` to be one for each of 2 lines"),
        (lambda: data.Vocabulary(5).encode([b"line"]), "Expected `lines` to be a list of strs"),
        (lambda: data.Vocabulary(5).decode([68, 2]), r"Expected `tokens` to be integers of shape \[N, T\]"),
        (lambda: data.Vocabulary(5).decode([[68.0, 2.0]]), "Expected `tokens` to be integers"),
        (lambda: data.Vocabulary(5).decode([[259, 2]]), "Expected `tokens` to be from 0 to 258. Received: .*2 to 259"),
    ],
)
def test_what_are_no_lines_and_no_tokens_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_sub_words_are_frequent_sequences_and_give_any_line_back():
    pytest.importorskip("tokenizers")
    vocabulary = data.Vocabulary.learn(LINES, size=300, length=40)
    assert vocabulary.size <= 300
    (tokens,) = vocabulary.tokens(["Line 7 of the text."])
    assert len(tokens) <= 8 and min(tokens) >= 3
    others = ["Line 7 of the text.", "Žluťoučký 漢字", "  two  spaces"]
    again = data.Vocabulary.from_config(json.loads(json.dumps(vocabulary.get_config())))
    np.testing.assert_array_equal(again.encode(others), vocabulary.encode(others))
    assert again.decode(again.encode(others)) == others


def test_sub_words_without_their_package_name_the_way_to_it(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"pip install 'vae-zoo\[text\]'"):
        data.Vocabulary.learn(LINES, size=300, length=40)


MODULE = '''"""A first sentence is here. Another one, of (five) words! No

>>> example. Of code is none.

lower case begins this one. Wrapped
is over two lines.
"""

class Other:
    """Short one. A first sentence is here."""

    async def method(self):
        "A method's 'docstring' counts too; twice."
'''


def test_sentences_of_docstrings(tmp_path):
    (tmp_path / "b.py").write_text(MODULE)
    (tmp_path / "a.py").write_text("def broken(:")
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "c.py").write_text('"""A sentence of a test."""')
    found = ("A first sentence is here.", "Wrapped is over two lines.", "A method's 'docstring' counts too; twice.")
    assert data.docstring_sentences([tmp_path]).lines == found
    assert data.docstring_sentences([tmp_path], longest=25).lines == found[:1]
    assert data.docstring_sentences([tmp_path], at_most=1).lines == found[:1]
    with pytest.raises(ValueError, match="Expected `folders` to be folders of Python files"):
        data.docstring_sentences([pathlib.Path(tmp_path, "none")])
