"""Arguments of constructors that are kept as attributes, and what may happen to them later."""

import inspect
import weakref
from collections.abc import Callable
from typing import Any, Generic, TypeVar, overload

from zoo.runtime import checks

Value = TypeVar("Value")
_known_arguments: weakref.WeakKeyDictionary[type, frozenset[str]] = weakref.WeakKeyDictionary()


class Setting(Generic[Value]):
    """An attribute of a class whose values are checked.

    Args:
        check: one of `zoo.runtime.checks`, or a function as these are: of a name and a value, that returns the value
            or raises ValueError.
        limits, options: further arguments of `check`.
        fixed: whether the first value stays, as weights or compiled steps follow from it.
        optional: whether None is a value too.

    Example:
        >>> class Weighted:
        ...     beta = zoo.runtime.settings.Setting(zoo.runtime.checks.number, 0.0)
        >>> weighted = Weighted()
        >>> weighted.beta = 4
        >>> weighted.beta
        4.0
    """

    def __init__(
        self,
        check: Callable[..., Value],
        *limits: object,
        fixed: bool = False,
        optional: bool = False,
        **options: object,
    ) -> None:
        self.check = lambda name, value: check(name, value, *limits, **options)
        self.fixed, self.optional = fixed, optional

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, instance: None, owner: type) -> "Setting[Value]": ...

    @overload
    def __get__(self, instance: object, owner: type) -> Value: ...

    def __get__(self, instance: object | None, owner: type) -> Any:
        if instance is None:
            return self
        if self.name not in vars(instance):
            raise AttributeError(f"{owner.__name__} has no {self.name} yet")
        return vars(instance)[self.name]

    def __set__(self, instance: object, value: object) -> None:
        """Sets the attribute.

        Raises:
            ValueError: for a value that `check` refuses, and for another value of a fixed one.
        """
        vars(instance)[self.name] = self.checked(instance, value)

    def checked(self, instance: object, value: object) -> Value:
        """What the attribute becomes if it is set to `value`; raises ValueError as `__set__` does."""
        kept: Any = None if value is None and self.optional else self.check(self.name, value)
        values = vars(instance)
        if self.fixed and self.name in values and values[self.name] != kept:
            _refuse(instance, self.name, kept)
        return kept

    def __delete__(self, instance: object) -> None:
        del vars(instance)[self.name]


class Fixed:
    """A layer whose settings stay as its constructor got them, as weights and compiled steps hold them."""

    def __setattr__(self, name: str, value: object) -> None:
        """Sets an attribute.

        Raises:
            ValueError: for another number, text or tuple in the place of an argument of the constructor.
        """
        former = vars(self).get(name)
        is_set = name in vars(self) and (_is_simple(former) or _is_simple(value))
        same = _is_simple(former) and _is_simple(value) and former == value
        # None of a class of the user's own may stand for what `build` finds out.
        if is_set and not same and is_argument(name, type(self), of_zoo=former is None):
            _refuse(self, name, value)
        super().__setattr__(name, value)


def _is_simple(value):
    return checks.is_number(value) or isinstance(value, (str, tuple, bool))


def is_argument(name: str, kind: type, of_zoo: bool = False) -> bool:
    """Whether a constructor of a class or of one of its bases, or of those of zoo alone, has an argument `name`."""
    bases = [base for base in kind.__mro__ if "__init__" in vars(base)]
    return any(name in _arguments(base) for base in bases if not of_zoo or base.__module__.startswith("zoo."))


def _arguments(kind):
    """The arguments of the constructor that a class itself defines."""
    if kind not in _known_arguments:
        _known_arguments[kind] = frozenset(inspect.signature(vars(kind)["__init__"]).parameters)
    return _known_arguments[kind]


def _refuse(instance, name, value):
    kind = type(instance).__name__
    way = f"{vars(instance)[name]!r}, with which this {kind} was made; give another one to the constructor"
    checks.fail(name, way, value)
