"""The errors that a user can meet; each message names the culprit and says what to do."""

from __future__ import annotations

import difflib
import os
import sysconfig
import traceback
from collections.abc import Collection, Iterable, Iterator
from itertools import islice
from pathlib import Path
from types import TracebackType

_PACKAGE = f"{Path(__file__).parents[1]}{os.sep}"
_INSTALLED = tuple(sysconfig.get_paths()[name] for name in ("stdlib", "purelib", "platlib"))
_LONGEST_CHAIN = 8


class SVRError(ValueError):
    """Base of every error that svr_widget raises about a model, its weights or its options.

    A notebook shows the caller's own lines and the message; ``%xmode Verbose`` shows every frame.

    Examples:
        >>> from svr_widget import SVRError
        >>> try:
        ...     svr.edges(fdr=2)
        ... except SVRError as error:
        ...     print(error)
        fdr = 2 is out of range: 0 < fdr < 1
    """

    def _render_traceback_(self) -> list[str]:
        """What IPython prints instead of every frame of ours."""
        return _short_traceback(self)


class NoMapsError(SVRError):
    """The source holds no linear map that the SVR is defined for."""


class UnsupportedLayerError(SVRError):
    """A layer carries weights that have no canonical linear-map form here."""


class WidthMismatchError(SVRError):
    """Two maps that should follow each other do not share a width."""


class NonFiniteWeightsError(SVRError):
    """A weight holds NaN or infinite entries."""


class TraceError(SVRError):
    """Which map feeds which could not be read off the model."""


class OutputChangeError(SVRError):
    """A change of the model would change its output more than is allowed."""


class ThresholdError(SVRError):
    """A significance threshold lies outside the range of its kind."""


def check_option(option: str, value: str, known: tuple[str, ...]) -> None:
    """Raise ``SVRError`` with the nearest name unless ``value`` is one of ``known``."""
    if value not in known:
        names = ", ".join(map(repr, known))
        raise SVRError(
            f"{option} must be one of {names}, got {value!r}{nearest_name(value, known)}"
        )


def nearest_name(name: object, known: Iterable[object]) -> str:
    """Return ``"; did you mean 'x'?"`` for the known name closest to ``name``, else ``""``.

    Names are strings, or pairs of them that are close where they read alike.
    """
    words = {str(each): each for each in known}
    matches = difflib.get_close_matches(str(name), words, n=1, cutoff=0.6)
    return f"; did you mean {words[matches[0]]!r}?" if matches else ""


def said(error: BaseException) -> str:
    """What an error says, in a line; the line that raised it where it says nothing."""
    kind = type(error).__name__
    first = next(iter(str(error).strip().splitlines()), "")
    if first:
        return f"{kind}: {first}"
    raised = traceback.extract_tb(error.__traceback__)[-1:]
    lines = [f" in {each.name}(), line {each.lineno}: {each.line}" for each in raised if each.line]
    return kind + "".join(lines)


def listed(words: Collection[str], shown: int = 4) -> str:
    """The first so many words with commas between them, and how many more there are."""
    more = f" and {len(words) - shown:,} more" if len(words) > shown else ""
    return f"{', '.join(islice(words, shown))}{more}"


def _short_traceback(error: BaseException) -> list[str]:
    """What a notebook shows: the caller's own lines, the causes, and what to do last.

    Of the twenty frames between a cell and the line that found a weight to be NaN, the caller can
    do something about one. ``%xmode Verbose`` shows all of them, ``%debug`` goes through them.
    """
    from IPython.core.getipython import get_ipython

    shell = get_ipython()
    assert shell is not None  # only a shell asks for this
    form, kind = shell.InteractiveTB, type(error)
    frames = list(_frames(error.__traceback__))
    ours = [place for place, frame in enumerate(frames) if _file(frame).startswith(_PACKAGE)]
    if form.mode == "Verbose" or not ours:
        every: list[str] = form.structured_traceback(kind, error, error.__traceback__, tb_offset=1)
        return every
    kept = frames[: ours[0]]
    while kept and _file(kept[-1]).startswith(_INSTALLED):
        kept.pop()
    # The chain of causes would bring back what is left out, so IPython is given the error alone.
    alone = kind.__new__(kind)
    alone.args = error.args
    lines: list[str] = form.structured_traceback(kind, alone, _joined(kept), tb_offset=1)
    return [*lines[:-1], *_causes(error), *lines[-1:]]


def _causes(error: BaseException) -> Iterator[str]:
    """What led to an error, each in a line, and in whose code."""
    for _ in range(_LONGEST_CHAIN):
        cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
        if cause is None:
            return
        places = [each for each in _frames(cause.__traceback__) if not _is_library(_file(each))]
        where = f", {_file(places[-1])}, line {places[-1].tb_lineno}" if places else ""
        yield f"caused by {type(cause).__name__}: {cause}{where}"
        error = cause


def _is_library(file: str) -> bool:
    return file.startswith((_PACKAGE, *_INSTALLED))


def _file(frame: TracebackType) -> str:
    return frame.tb_frame.f_code.co_filename


def _frames(traceback: TracebackType | None) -> Iterator[TracebackType]:
    while traceback is not None:
        yield traceback
        traceback = traceback.tb_next


def _joined(frames: list[TracebackType]) -> TracebackType | None:
    """The same frames as a traceback that ends with the last of them."""
    joined = None
    for frame in reversed(frames):
        joined = TracebackType(joined, frame.tb_frame, frame.tb_lasti, frame.tb_lineno)
    return joined
