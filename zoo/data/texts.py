"""Texts whose lines are examples, and vocabularies that turn lines into tokens and back."""

import hashlib
import pathlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from zoo.data.errors import DataError
from zoo.runtime import checks
from zoo.runtime.tokens import END, PADDING, SPECIAL
from zoo.runtime.types import ArrayLike, PathLike

_PARTS = 10  # a tenth of the lines tests, another validates
_HALF = re.compile("[\ud800-\udfff]")  # of a pair that stands for a character, alone
_SHOWN = 40  # characters of a line in an error


class Text:
    """The lines of a text, each an example. Lines lose the white space at their ends, and empty ones are left out.

    Args:
        lines: strs.
        numbers: ints, the lines' numbers in their source, for messages; None counts from 1.

    Raises:
        ValueError: without any line.

    Example:
        >>> text = zoo.data.Text(["One line.", "  Another line.", ""])
        >>> text.lines
        ('One line.', 'Another line.')
    """

    def __init__(self, lines: Iterable[str], numbers: Iterable[int] | None = None) -> None:
        found = _lines(lines)
        places = [*range(1, len(found) + 1)] if numbers is None else [*numbers]
        if len(places) != len(found):
            checks.fail("numbers", f"one for each of {len(found)} lines", f"{len(places)}")
        pairs = zip(places, found)
        kept = [(number, line.strip()) for number, line in pairs if line.strip()]
        if not kept:
            checks.fail("lines", "one or more that are not empty", f"{len(found)} lines")
        self.numbers, self.lines = (tuple(each) for each in zip(*kept))

    @classmethod
    def from_file(cls, path: PathLike) -> "Text":
        """The lines of a file in UTF-8.

        Raises:
            DataError: if the file is not there, has no text, or is not UTF-8: it names the first bad line and byte.
        """
        try:
            content = pathlib.Path(path).read_bytes().removeprefix(b"\xef\xbb\xbf")
        except OSError as error:
            raise DataError(f"Expected {path} to be a text file. Received: {error.strerror}") from error
        if b"\0" in content:
            raise DataError(f"Expected {path} to be UTF-8. Received: bytes of 0, as UTF-16 has them")
        lines, decoded, bad = content.splitlines(), [], []
        for number, line in enumerate(lines, 1):
            try:
                decoded.append(line.decode())
            except UnicodeDecodeError as error:
                bad.append(f"line {number}, where byte {error.start + 1} is 0x{line[error.start]:02x}")
        if bad:
            raise DataError(f"Expected {path} to be UTF-8. Received: {len(bad)} lines that are not, first {bad[0]}")
        if not any(line.strip() for line in decoded):
            raise DataError(f"Expected {path} to be a text of one line or more. Received: an empty one")
        return cls(decoded)

    def __len__(self) -> int:
        return len(self.lines)

    def __iter__(self) -> Iterator[str]:
        return iter(self.lines)

    def take(self, indices: Iterable[int]) -> "Text":
        """Some of the lines."""
        indices = list(indices)
        return Text([self.lines[i] for i in indices], [self.numbers[i] for i in indices])

    def split(self, seed: int = 0) -> "tuple[Text, Text, Text]":
        """Lines for training, validation and testing, without duplicates: a line is in one of them, once.

        The hash of a line and the seed decides, about 8 : 1 : 1: more text does not move a line to another part.

        Raises:
            ValueError: if a part stays empty, for a text of few lines.
        """
        checks.seed("seed", seed)
        first = {line: place for place, line in reversed(list(enumerate(self.lines)))}
        parts: list[list[int]] = [[], [], []]
        for place in sorted(first.values()):
            digest = hashlib.blake2b(f"{seed}\n{self.lines[place]}".encode(), digest_size=8).digest()
            parts[max(0, int.from_bytes(digest) % _PARTS - _PARTS + 3)].append(place)
        if not all(parts):
            checks.fail("lines", "enough different lines for three parts", f"{len(first)} lines")
        train, validation, test = (self.take(part) for part in parts)
        return train, validation, test

    def fitting(self, vocabulary: "Vocabulary") -> "tuple[Text, list[int]]":
        """The lines that are not too long for a vocabulary, and the numbers of those that are.

        Raises:
            ValueError: if all are too long.
        """
        sizes = [len(tokens) for tokens in vocabulary.tokens(self.lines)]
        kept = [place for place, size in enumerate(sizes) if size < vocabulary.length]
        if not kept:
            checks.fail("length", f"larger than {min(sizes)}, the tokens of the shortest line", vocabulary.length)
        too_long = [number for number, size in zip(self.numbers, sizes) if size >= vocabulary.length]
        return self.take(kept), too_long


class Vocabulary:
    """Turns lines into `length` tokens and back: the bytes of UTF-8, or sub-words.

    Tokens 0, 1 and 2 are padding, begin and end; a line is its tokens, the end, and padding. The begin token is the
    first input of a decoder, and not a part of a line. Either kind encodes any line, and `decode` gives it back.

    Args:
        length: int >= 2, T, the tokens of an example, the end among them.
        subwords: None for bytes; or the JSON of a `tokenizers.Tokenizer`, as `Vocabulary.learn` makes it, which needs
            the package `tokenizers` (`pip install 'vae-zoo[text]'`).

    Example:
        >>> vocabulary = zoo.data.Vocabulary(length=8)
        >>> vocabulary.encode(["Hi"])
        array([[ 75, 108,   2,   0,   0,   0,   0,   0]], dtype=int32)
        >>> vocabulary.decode([[75, 108, 2, 0, 0, 0, 0, 0]])
        ['Hi']
    """

    def __init__(self, length: int, subwords: str | None = None) -> None:
        self.length = checks.integer("length", length, 2)
        self.subwords = subwords
        self._tokenizer = None if subwords is None else _tokenizers().Tokenizer.from_str(subwords)
        self.size = SPECIAL + (256 if self._tokenizer is None else self._tokenizer.get_vocab_size())

    @classmethod
    def learn(cls, lines: Sequence[str], size: int, length: int) -> "Vocabulary":
        """A vocabulary of sub-words: bytes, and their most frequent sequences within words (byte-pair encoding).

        Sennrich et al. 2016, "Neural Machine Translation of Rare Words with Subword Units", on bytes as in Radford et
        al. 2019. A word takes the space before it along.

        Args:
            lines: training lines.
            size: int > 259, K, the number of tokens; fewer if the lines have no more pairs.
            length: int >= 2, T.

        Raises:
            ImportError: without the package `tokenizers`.
        """
        lines = _lines(lines)
        checks.integer("size", size, SPECIAL + 257)
        package = _tokenizers()
        tokenizer = package.Tokenizer(package.models.BPE())
        tokenizer.pre_tokenizer = package.pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = package.decoders.ByteLevel()
        alphabet = sorted(package.pre_tokenizers.ByteLevel.alphabet())
        trainer = package.trainers.BpeTrainer(
            vocab_size=size - SPECIAL, initial_alphabet=alphabet, show_progress=False
        )  # fmt: skip
        tokenizer.train_from_iterator(lines, trainer)
        return cls(length, tokenizer.to_str())

    def tokens(self, lines: Sequence[str]) -> list[list[int]]:
        """The tokens of each line, without an end."""
        return self._tokens(_lines(lines))

    def _tokens(self, lines):
        if self._tokenizer is None:
            return [[SPECIAL + byte for byte in line.encode()] for line in lines]
        return [[SPECIAL + token for token in each.ids] for each in self._tokenizer.encode_batch(lines)]

    def encode(self, lines: Sequence[str]) -> np.ndarray:
        """Lines to int32 `[N,T]`.

        Raises:
            ValueError: for lines of more than T − 1 tokens, and for a single str.
        """
        lines = _lines(lines)
        tokens = self._tokens(lines)
        long = [place for place, each in enumerate(tokens) if len(each) >= self.length]
        if long:
            first = long[0]
            received = f"{len(long)} longer ones, first lines[{first}] of {len(tokens[first])}: "
            received += repr(lines[first][:_SHOWN] + ("…" if len(lines[first]) > _SHOWN else ""))
            checks.fail("lines", f"of at most {self.length - 1} tokens", received)
        encoded = np.full((len(tokens), self.length), PADDING, np.int32)
        for row, each in zip(encoded, tokens):
            row[: len(each) + 1] = [*each, END]
        return encoded

    def decode(self, tokens: ArrayLike) -> list[str]:
        """Tokens, integers `[N,T]`, to lines: each up to its first end. Bytes that are no UTF-8 become U+FFFD.

        Raises:
            ValueError: for an array of another kind, and for tokens that the vocabulary does not have.
        """
        array, lines = np.asarray(tokens), []
        if array.ndim != 2 or array.dtype.kind not in "iu":
            checks.fail("tokens", "integers of shape [N, T]", f"{array.dtype} of shape {list(array.shape)}")
        if array.size and not 0 <= array.min() <= array.max() < self.size:
            checks.fail("tokens", f"from 0 to {self.size - 1}", f"{array.min()} to {array.max()}")
        for row in array.tolist():
            row = row[: row.index(END)] if END in row else row
            own = [token - SPECIAL for token in row if token >= SPECIAL]
            lines.append(
                bytes(own).decode(errors="replace") if self._tokenizer is None else self._tokenizer.decode(own)
            )
        return lines

    def get_config(self) -> dict[str, Any]:
        """The vocabulary as values of JSON; `from_config` is the inverse."""
        return {"length": self.length, "subwords": self.subwords}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "Vocabulary":
        return cls(**config)


def _lines(lines):
    """A list of strs; ValueError for one str, and for other things among the lines."""
    if isinstance(lines, str) or not isinstance(lines, Iterable):
        checks.fail("lines", "a list of lines", lines)
    lines = list(lines)
    others = [line for line in lines if not isinstance(line, str)]
    if others:
        checks.fail("lines", "a list of strs", f"{len(others)} of {len(lines)} that are none, first {others[0]!r}")
    for place, line in enumerate(lines):
        if _HALF.search(line):
            checks.fail(
                "lines", "texts that UTF-8 can hold", f"half of a character in lines[{place}], {line[:_SHOWN]!r}"
            )
    return lines


def _tokenizers() -> Any:
    checks.extra("text", "tokenizers")
    import tokenizers

    return tokenizers
