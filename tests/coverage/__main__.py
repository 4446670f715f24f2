"""``python -m tests.coverage``: how many of the architectures that people bring are read."""

from __future__ import annotations

import argparse
import hashlib
import json
import multiprocessing
import os
import signal
import sys
import time
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

from tests.coverage.architectures import architectures, modules
from tests.coverage.table import links_table, share, table

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "build" / "coverage"
WORKERS = 2
PATIENCE = 10  # seconds that may pass for each that a processor works
ENOUGH = 0.97
MOST_UNBUILT = 0.05
# What each process would import by itself, imported once. An attempt is a fork of what has them.
IMPORTED = ["torch._dynamo", "torch.export", "tests.coverage.trial"]


def main() -> int:
    """Try what has not been tried of this source, and print the table."""
    parser = argparse.ArgumentParser(prog="tests.coverage", description=__doc__)
    parser.add_argument("names", nargs="*", help="architectures, or the start of their names")
    parser.add_argument("--again", action="store_true", help="even what was tried of this source")
    parser.add_argument("--links", action="store_true", help="check the links by experiment")
    parser.add_argument("--one", help="one architecture in this process, with its whole error")
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    if options.one:
        return one(options.one)
    names = list(architectures(*options.names))
    file = RESULTS / f"{source()}{'-links' * options.links}.jsonl"
    file.parent.mkdir(parents=True, exist_ok=True)
    known = {} if options.again else read(file)
    run([name for name in names if name not in known], file, options.links)
    results = [r for n, r in read(file).items() if n in names]
    if options.links:
        print(links_table(results))
        return 1 if any(r.get("missing") or r.get("refuted") for r in results) else 0
    print(table(results))
    unbuilt = sum(result["outcome"] == "did not build" for result in results)
    return 0 if share(results) >= ENOUGH and unbuilt <= MOST_UNBUILT * len(results) else 1


def one(name: str) -> int:
    """Read one architecture here, so that an error has its traceback."""
    import svr_widget
    from svr_widget import SVR

    architecture = architectures(name)[name]
    print(f"{name} with {svr_widget.__file__}")
    svr = SVR(architecture.build().eval(), None if architecture.alone else architecture.example())
    print(svr, *svr.notes, sep="\n")
    return 0


def ended(code: int | None) -> str:
    """What is said of a process that has sent nothing."""
    if code == -signal.SIGXCPU:
        return "it took more processor time than it may"
    return f"the process ended with {code}"


def source() -> str:
    """What was tried. Results of another source are another file."""
    import svr_widget

    digest = hashlib.sha256()
    for path in sorted(Path(svr_widget.__file__).parent.rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def read(file: Path) -> dict[str, dict[str, Any]]:
    """What is known, by name."""
    if not file.exists():
        return {}
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    return {row["name"]: row for row in rows}


def run(names: list[str], file: Path, links: bool) -> None:
    """Two at a time, each in a process of its own that may end as it likes."""
    from tests.coverage.trial import SECONDS, attempt

    context = multiprocessing.get_context("forkserver")
    libraries = {name.partition("/")[0] for name in names}
    context.set_forkserver_preload([*IMPORTED, *(m for each in libraries for m in modules(each))])
    waiting = names[::-1]
    running: dict[Any, tuple[str, Any, float]] = {}
    with file.open("a") as log:
        while waiting or running:
            while waiting and len(running) < WORKERS:
                name = waiting.pop()
                receiver, sender = context.Pipe(duplex=False)
                process = context.Process(target=attempt, args=(name, links, sender))
                process.start()
                sender.close()
                running[receiver] = name, process, time.monotonic() + PATIENCE * SECONDS
            nearest = min(end for _, _, end in running.values())
            wait(list(running), max(0, nearest - time.monotonic()))
            for receiver, (name, process, end) in list(running.items()):
                result: dict[str, Any] = {"name": name, "links" if links else "outcome": "crashed"}
                if receiver.poll():
                    try:
                        result = receiver.recv()
                    except EOFError:
                        process.join()
                        result["message"] = ended(process.exitcode)
                elif time.monotonic() >= end:
                    process.kill()
                    result["message"] = f"not read within {PATIENCE * SECONDS} s"
                else:
                    continue
                process.join()
                del running[receiver]
                log.write(json.dumps(result) + "\n")
                log.flush()
                print(f"{result['links' if links else 'outcome']:14} {name}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
