"""Entropy coders, by the package constriction: a stack (ANS) and a queue (range coder).

What is coded is a *script*: a generator that yields the model of the next array of symbols, as a tuple (model,
parameters…) for constriction, and that is sent these symbols. One script serves both directions: it computes the same
models in the encoder, which knows the symbols, and in the decoder, which reads them.
"""

from collections.abc import Callable, Generator, Sequence
from typing import Any, TypeAlias

import numpy as np

# Yields (model, parameters…), is sent int32 `[N]`; returns what the symbols mean.
Script: TypeAlias = Generator[tuple[Any, ...], np.ndarray, Any]


def constriction() -> Any:
    """The module constriction.stream; `compress` and `decompress` have checked that it is installed."""
    import constriction

    return constriction.stream


def known(script: Script, symbols: Sequence[np.ndarray]) -> list[tuple[np.ndarray, tuple[Any, ...]]]:
    """Plays a script with symbols that are known: each array with its model, in the order of decoding."""
    played: list[tuple[np.ndarray, tuple[Any, ...]]] = []
    try:
        model = next(script)
        for values in symbols:
            played.append((np.ascontiguousarray(values, np.int32), model))
            model = script.send(values)
    except StopIteration:
        pass
    return played


def read(script: Script, decode: Callable[..., np.ndarray]) -> Any:
    """Plays a script with the symbols that `decode(*model)` reads; returns what the script returns."""
    try:
        model = next(script)
        while True:
            model = script.send(decode(*model))
    except StopIteration as stop:
        return stop.value


class Queue:
    """First in, first out. Args: `words`, uint32, to read from; None to write."""

    def __init__(self, words: np.ndarray | None = None) -> None:
        stream = constriction().queue
        self._coder = stream.RangeEncoder() if words is None else stream.RangeDecoder(words)

    def write(self, script: Script, symbols: Sequence[np.ndarray]) -> None:
        for values, model in known(script, symbols):
            self._coder.encode(values, *model)

    def read(self, script: Script) -> Any:
        """Reads symbols. Raises EOFError if the words do not come from this script."""
        try:
            return read(script, self._coder.decode)
        except AssertionError as error:
            raise EOFError from error

    @property
    def ended(self) -> bool:
        """Whether all words are read but for the coder's state: constriction itself goes on with zeros."""
        return self._coder.maybe_exhausted()

    def words(self) -> np.ndarray:
        return self._coder.get_compressed()


class Stack:
    """Last in, first out. Reading from it is sampling, if its words look random: the core of bits-back coding.

    Args:
        words: uint32.
        seal: bool, whether `words` are arbitrary, not those of `words()`.
    """

    def __init__(self, words: np.ndarray, seal: bool = False) -> None:
        self._coder = constriction().stack.AnsCoder(words, seal=seal)

    @property
    def bits(self) -> int:
        """What can be read before the stack is empty."""
        return self._coder.num_valid_bits()

    def write(self, script: Script, symbols: Sequence[np.ndarray]) -> None:
        """Writes symbols such that `read` with the same script returns them."""
        for values, model in reversed(known(script, symbols)):
            self._coder.encode_reverse(values, *model)

    def read(self, script: Script) -> Any:
        """Reads symbols. Raises EOFError if the stack ran empty: constriction itself goes on with zeros."""
        value = read(script, self._coder.decode)
        if self._coder.num_words() <= 2:  # the state alone
            raise EOFError
        return value

    def words(self, unseal: bool = False) -> np.ndarray:
        """The content; with `unseal` the words that the stack was made of, all else having been read."""
        return self._coder.get_compressed(unseal=unseal)
