"""What a question of the page may say: fields with their types, ranges and caps.

A message comes from whatever is connected to the kernel, and may say anything: a few bytes must not
make Python allocate gigabytes. So each field is checked before anything is done with it, and what
a question says besides is dropped. ``Question`` in js/src/wire/requests.ts has the same fields.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from svr_widget.engine.errors import SVRError
from svr_widget.widget.wire.words import shown

Field = Callable[[str, Any], Any]
"""Gives the value of a field of some name as it is used; raises ``SVRError`` where it is of another
type or outside its range."""


@dataclass(frozen=True)
class Whole:
    """A whole number; which of those exist is for the answer to say, up to 32 bits by default."""

    least: int = -(2**31)
    most: int = 2**31 - 1

    def __call__(self, name: str, value: Any) -> int:
        """The number."""
        if not isinstance(value, int) or isinstance(value, bool):
            raise SVRError(f"{name} is a whole number, not {shown(value)}")
        if not self.least <= value <= self.most:
            raise SVRError(f"{name} lies from {self.least} to {self.most}, not at {shown(value)}")
        return value


@dataclass(frozen=True)
class Real:
    """A finite number."""

    def __call__(self, name: str, value: Any) -> float:
        """The number."""
        number = isinstance(value, int | float) and not isinstance(value, bool)
        # Beyond 1023 bits a whole number is no float.
        if not number or (isinstance(value, int) and value.bit_length() > 1000):
            raise SVRError(f"{name} is a number, not {shown(value)}")
        if not math.isfinite(value):
            raise SVRError(f"{name} is a finite number, not {shown(value)}")
        real: float = value
        return real


@dataclass(frozen=True)
class OneOf:
    """One of some words."""

    words: tuple[str, ...]

    def __call__(self, name: str, value: Any) -> str:
        """The word."""
        if not isinstance(value, str) or value not in self.words:
            raise SVRError(f"there is no {name} {shown(value)}, only {', '.join(self.words)}")
        return value


@dataclass(frozen=True)
class Flag:
    """True or false."""

    def __call__(self, name: str, value: Any) -> bool:
        """Which of the two."""
        if not isinstance(value, bool):
            raise SVRError(f"{name} is true or false, not {shown(value)}")
        return value


@dataclass(frozen=True)
class Text:
    """Words that can travel on: half of a surrogate pair, which JSON allows, is no UTF-8."""

    most: int = 4096

    def __call__(self, name: str, value: Any) -> str:
        """The text."""
        if not isinstance(value, str):
            raise SVRError(f"{name} is a text, not {shown(value)}")
        if len(value) > self.most:
            raise SVRError(f"{name} has {len(value)} characters, more than {self.most}")
        if any("\ud800" <= letter <= "\udfff" for letter in value):
            raise SVRError(f"{name} holds half of a character")
        return value


@dataclass(frozen=True)
class ListOf:
    """A list with so many items at most, or exactly, each of which may have to be another one."""

    item: Field
    most: int
    exactly: bool = False
    different: bool = False

    def __call__(self, name: str, value: Any) -> list[Any]:
        """The items, each as it is used."""
        if not isinstance(value, list | tuple):
            raise SVRError(f"{name} is a list, not {shown(value)}")
        if self.exactly and len(value) != self.most:
            raise SVRError(f"{name} has {self.most} items, not {len(value)}")
        if len(value) > self.most:
            raise SVRError(f"{name}: {len(value)} at once are more than {self.most}")
        items = [self.item(name, each) for each in value]
        if self.different and len(set(items)) < len(items):
            raise SVRError(f"{name} names one of its items twice")
        return items


@dataclass(frozen=True)
class MapOf:
    """A mapping of names to one kind of value, with so many names at most."""

    value: Field
    most: int

    def __call__(self, name: str, value: Any) -> dict[str, Any]:
        """The values by name, each as it is used."""
        if not isinstance(value, Mapping):
            raise SVRError(f"{name} is a mapping of names, not {shown(value)}")
        if len(value) > self.most:
            raise SVRError(f"{name}: {len(value)} names at once are more than {self.most}")
        key = Text()
        return {key(name, each): self.value(name, it) for each, it in value.items()}


@dataclass(frozen=True)
class Anything:
    """A value that is checked where it is used."""

    def __call__(self, _: str, value: Any) -> Any:
        """The value as it is."""
        return value


@dataclass(frozen=True)
class Optional:
    """A field that a question may leave out, or say None for."""

    field: Field

    def __call__(self, name: str, value: Any) -> Any:
        """The value, or None."""
        return None if value is None else self.field(name, value)


@dataclass(frozen=True)
class Unless:
    """A field that a question has to have unless it sets a flag."""

    flag: str
    field: Field

    def __call__(self, name: str, value: Any) -> Any:
        """The value."""
        return self.field(name, value)


Fields = Mapping[str, Field]


def read_fields(fields: Fields, content: Mapping[Any, Any]) -> dict[str, Any]:
    """What a message says, field by field; optional ones that it leaves out stay out.

    Raises:
        SVRError: a field is missing, of another type or outside its range.
    """
    found = {}
    for name, field in fields.items():
        if content.get(name) is not None:
            found[name] = field(name, content[name])
        elif not (
            isinstance(field, Optional)
            or (isinstance(field, Unless) and content.get(field.flag) is True)
        ):
            raise SVRError(f"it does not say {name!r}")
    return found
