"""The errors that a user can meet; each message names the culprit and says what to do."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable
from itertools import islice

from svr_widget.engine.short_traceback import short_traceback


class SVRError(ValueError):
    """Base of every error that svr_widget raises about a model, its weights or its options.

    Examples:
        >>> from svr_widget import SVRError
        >>> try:
        ...     svr.edges(fdr=2)
        ... except SVRError as error:
        ...     print(error)
        fdr = 2 is out of range: 0 < fdr < 1

    A notebook shows the caller's own lines and the message; ``%xmode Verbose`` shows every frame.
    """

    def _render_traceback_(self) -> list[str]:
        """What IPython prints instead of every frame of ours."""
        return short_traceback(self)


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


def listed(words: Collection[str], shown: int = 4) -> str:
    """The first so many words with commas between them, and how many more there are."""
    more = f" and {len(words) - shown:,} more" if len(words) > shown else ""
    return f"{', '.join(islice(words, shown))}{more}"
