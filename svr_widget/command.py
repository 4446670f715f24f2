"""``svr-widget``: a page or a table of a network, for machines and jobs without a notebook."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

import pandas as pd
from torch import nn
from tqdm import tqdm

from svr_widget import __version__
from svr_widget.engine.environment.files import replacing
from svr_widget.engine.errors import SVRError
from svr_widget.engine.significance.multiple_testing import LEVELS
from svr_widget.svr import SVR
from svr_widget.widget.widget import SVRWidget

_BAD_INPUT = 2
"""Exit status of what cannot be used, as argparse has it."""

_SOURCE = """\
a file of weights, a folder with one, or "package.module:name", a model or a function without
arguments that makes one (its code is run)"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; 0 where all went well, 2 and one line on stderr for bad input.

    Args:
        arguments: of the command line, without the program's name.
    """
    given = vars(_parser().parse_args(arguments))
    work: Callable[..., None] = given.pop("work")
    try:
        work(**given)
        sys.stdout.flush()
    except BrokenPipeError:  # whoever read the table has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (SVRError, OSError, TypeError) as error:
        sys.stderr.write(f"svr-widget: {' '.join(str(error).split())}\n")
        return _BAD_INPUT
    return 0


def write_page(
    source: str, out: Path, theme: str, level: dict[str, float] | None, quiet: bool, **options: Any
) -> None:
    """Write a network as a page that works without Python and without a network."""
    svr = _computed(source, quiet, options)
    widget = SVRWidget(svr, theme=theme, **(level or {}))
    widget.wait()
    widget.to_html(out)
    widget.close()


def write_table(
    source: str,
    out: Path | None,
    form: str | None,
    level: dict[str, float] | None,
    quiet: bool,
    **options: Any,
) -> None:
    """Write what ``SVR.summary`` tells, to a file or to the terminal."""
    by_name = "json" if out is not None and out.suffix.lower() == ".json" else "csv"
    table = _computed(source, quiet, options).summary(**(level or {}))  # type: ignore[arg-type]
    text = as_text(table, form or by_name)
    if out is None:
        sys.stdout.write(text)
        return
    with replacing(out) as unfinished:
        unfinished.write_text(text, encoding="utf-8")


def as_text(table: pd.DataFrame, form: str) -> str:
    """A table as CSV, or as JSON: an object a row, without what says nothing of it."""
    if form == "csv":
        return table.to_csv(index=False, lineterminator="\n")
    rows = [table.loc[[at]].dropna(axis=1) for at in table.index]
    objects = [row.to_json(orient="records", double_precision=15)[1:-1] for row in rows]
    return "[\n" + ",\n".join(objects) + "\n]\n"


def _computed(source: str, quiet: bool, options: dict[str, Any]) -> SVR:
    """The SVR of a source, with a bar on the terminal while it is computed."""
    given = {name: value for name, value in options.items() if value is not None}
    if "links" in given:
        given["links"] = _links(given["links"])
    svr = SVR(_named(source), **given)
    for note in svr.notes:
        sys.stderr.write(f"note: {note}\n")
    with tqdm(disable=True if quiet else None, unit="step", dynamic_ncols=True) as bar:

        def progress(name: str, done: int, total: int) -> None:
            bar.total, bar.n = total, done
            bar.set_description_str(name, refresh=False)
            bar.refresh()

        svr.compute(progress)
    return svr


def _links(given: list[str]) -> str | list[tuple[str, ...]]:
    """``"chain"``, or a pair of names for each ``PRODUCER,CONSUMER``."""
    if given == ["chain"]:
        return "chain"
    pairs = [tuple(pair.split(",")) for pair in given]
    for pair, names in zip(given, pairs, strict=True):
        if len(names) != 2:
            raise SVRError(f"--links takes PRODUCER,CONSUMER or chain, not {pair!r}")
    return pairs


def _named(source: str) -> str | nn.Module:
    """A path as it is, or the model that ``module:name`` names.

    Raises:
        SVRError: there is no such module, or nothing of that name in it that is a model.
    """
    module, _, name = source.rpartition(":")
    is_name = all(part.isidentifier() for part in [*module.split("."), *name.split(".")])
    if not is_name or Path(source).exists():
        return source
    here = str(Path.cwd())
    sys.path.insert(0, here)  # as ``python -m`` does
    try:
        found: Any = importlib.import_module(module)
        for part in name.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError) as error:
        raise SVRError(f"{source!r} names no model: {error}") from error
    finally:
        sys.path.remove(here)
    model = found if isinstance(found, nn.Module) or not callable(found) else found()
    if not isinstance(model, nn.Module):
        raise SVRError(f"{source!r} is a {type(model).__name__}, and no nn.Module")
    return model


class _Level(argparse.Action):
    """Keeps one level of one kind; a second one is an error."""

    def __call__(self, parser: Any, namespace: Any, value: Any, option: str | None = None) -> None:
        if namespace.level is not None:
            parser.error(f"one of {', '.join(f'--{mode}' for mode in LEVELS)}, not several")
        namespace.level = {(option or "").lstrip("-"): value}


class _Parser(argparse.ArgumentParser):
    """Says in one line what is wrong."""

    def error(self, message: str) -> NoReturn:
        self.exit(_BAD_INPUT, f"{self.prog}: {message}; {self.prog} --help says more\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="svr-widget",
        description="The Singular Value Representation of a network, without a notebook.",
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="page | table")
    page = commands.add_parser(
        "page", help="write the widget as a page", description=write_page.__doc__
    )
    page.set_defaults(work=write_page)
    page.add_argument("--out", type=Path, required=True, metavar="FILE.html")
    page.add_argument("--theme", choices=("auto", "light", "dark"), default="auto")
    table = commands.add_parser(
        "table", help="write a row a map and a link", description=write_table.__doc__
    )
    table.set_defaults(work=write_table)
    table.add_argument("--out", type=Path, metavar="FILE", help="the terminal, if not said")
    table.add_argument(
        "--format", dest="form", choices=("csv", "json"), help="by the name of FILE, else csv"
    )
    for each in (page, table):
        _add_options(each)
    return parser


def _add_options(parser: argparse.ArgumentParser) -> None:
    """What both commands take: the source, the keywords of ``SVR``, a level."""
    parser.add_argument("source", metavar="SOURCE", help=_SOURCE)
    parser.add_argument("--weights", metavar="PATH", help="values for the model SOURCE")
    parser.add_argument("--method", choices=("svr", "cosvr", "cross"))
    parser.add_argument("--norm", choices=("ignore", "fold"))
    parser.add_argument("--null", choices=("exact", "chi2"))
    parser.add_argument("--attention", choices=("products", "plain"))
    parser.add_argument(
        "--links",
        action="extend",
        nargs="+",
        metavar="PRODUCER,CONSUMER",
        help='which map feeds which, or "chain"',
    )
    parser.add_argument("--include", action="append", metavar="GLOB", help="only these maps")
    parser.add_argument("--exclude", action="append", metavar="GLOB", help="not these")
    parser.add_argument("--rank", type=int, help="keep the first neurons of every map")
    parser.add_argument("--non-finite", choices=("refuse", "leave out"), dest="non_finite")
    parser.add_argument("--seed", type=int)
    parser.add_argument(
        "--cache", metavar="FOLDER", help="keep decompositions there, and take them from there"
    )
    parser.set_defaults(level=None)
    for mode, level in LEVELS.items():
        words = f"{level.words(mode)}".replace("%", "%%")
        parser.add_argument(
            f"--{mode}", type=float, action=_Level, dest="level", default=None, help=words
        )
    parser.add_argument("--quiet", action="store_true", help="no progress bar")


if __name__ == "__main__":
    sys.exit(main())
