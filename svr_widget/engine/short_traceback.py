"""What a notebook shows of an error: the caller's own lines, the cause, and what to do last.

Of the twenty frames between a cell and the line that found a weight to be NaN, the caller can do
something about one. ``%xmode Verbose`` shows all of them, ``%debug`` goes through them, and outside
of IPython nothing is left out.
"""

from __future__ import annotations

import sysconfig
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

_PACKAGE = str(Path(__file__).parents[1])
_INSTALLED = tuple(sysconfig.get_paths()[name] for name in ("stdlib", "purelib", "platlib"))
_LONGEST_CHAIN = 8


def short_traceback(error: BaseException) -> list[str]:
    """The lines that IPython prints, in the form and colours that it is set to."""
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
