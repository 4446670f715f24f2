"""One architecture: built, called, read; in a process of its own."""

from __future__ import annotations

import logging
import resource
import time
import traceback
import warnings
from multiprocessing.connection import Connection
from typing import Any

import torch

from svr_widget import SVR, SVRError
from tests.coverage.architectures import architectures
from tests.coverage.architectures.architecture import Architecture, call
from tests.coverage.links import check

# Of a processor: how long it takes does not depend on what else is running.
SECONDS = 60
BYTES = 5 << 30
# Edges are asked for, too, where that takes little: a graph that has none to give was no success.
MOST_WEIGHTS = 500_000


def attempt(name: str, links: bool, sender: Connection) -> None:
    """Send what became of an architecture, or of the check of its links."""
    _limit(resource.RLIMIT_DATA, BYTES)
    _limit(resource.RLIMIT_CPU, SECONDS)
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    torch.set_num_threads(1)
    torch.manual_seed(0)
    architecture = architectures(name)[name]
    sender.send(checked(architecture) if links else outcome(architecture))


def _limit(kind: int, most: int) -> None:
    resource.setrlimit(kind, (most, resource.getrlimit(kind)[1]))


def outcome(architecture: Architecture) -> dict[str, Any]:
    """What became of it: its kind is built, silent, notes, refused or crashed."""
    found: dict[str, Any] = {"name": architecture.name}
    try:
        began = time.process_time()
        model = architecture.build().eval()
        found["build_seconds"] = round(time.process_time() - began, 3)
        found["weights"] = sum(each.numel() for each in model.parameters())
        example = architecture.example()
        with torch.no_grad():
            call(model, example)
    except Exception as error:
        return {**found, "outcome": "did not build", **_said(error)}
    began = time.process_time()
    try:
        svr = SVR(model, None if architecture.alone else example)
    except Exception as error:
        kind = "refused" if isinstance(error, SVRError) else "crashed"
        found["seconds"] = round(time.process_time() - began, 3)
        return {**found, "outcome": kind, **_said(error)}
    found["seconds"] = round(time.process_time() - began, 3)
    found |= {"maps": len(svr.maps), "links": len(svr.links)}
    # Which input was tried is said of every model that is read alone.
    found["notes"] = [note for note in svr.notes if not note.startswith("example input")]
    if found["weights"] <= MOST_WEIGHTS:
        try:
            found["edges"] = len(svr.edges())
        except Exception as error:
            kind = "refused" if isinstance(error, SVRError) else "crashed"
            return {**found, "outcome": kind, **_said(error, "edges: ")}
    return {**found, "outcome": "notes" if found["notes"] else "silent"}


def checked(architecture: Architecture) -> dict[str, Any]:
    """How its links compare with the experiment."""
    try:
        return {"name": architecture.name, **check(architecture)}
    except SVRError:
        return {"name": architecture.name, "links": "refused"}
    except Exception as error:
        return {"name": architecture.name, "links": "not to be checked", **_said(error)}


def _said(error: Exception, when: str = "") -> dict[str, str]:
    last = traceback.extract_tb(error.__traceback__)[-1]
    message = f"{when}{type(error).__name__}: {' '.join(str(error).split())}"
    return {"message": message[:1500], "where": f"{last.filename}:{last.lineno}"}
