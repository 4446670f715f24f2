"""``make demo-check``: the quickstart in a real JupyterLab; fails unless both widgets are drawn."""

from __future__ import annotations

import shutil
import sys

from tests.browser.lab import REPOSITORY, WIDGET, Lab, Notebook, chromium
from tests.browser.picture import Picture

QUICKSTART = REPOSITORY / "notebooks" / "quickstart.ipynb"
PICTURES = REPOSITORY / "tests" / "browser" / "pictures"
LEAST_INK = 2000


def main() -> int:
    """Run the quickstart, photograph it and count what is drawn; returns the exit status."""
    PICTURES.mkdir(exist_ok=True)
    lab = Lab()
    try:
        shutil.copy(QUICKSTART, lab.notebooks)
        with chromium() as browser:
            notebook = Notebook(lab, browser, QUICKSTART.name)
            notebook.run()
            widgets = notebook.page.locator(WIDGET)
            ink = []
            for i, name in enumerate(("trained", "untrained")):
                widgets.nth(i).scroll_into_view_if_needed()
                ink.append(Picture(widgets.nth(i)).ink())
                widgets.nth(i).screenshot(path=PICTURES / f"quickstart-{name}.png")
            problems = notebook.problems
    finally:
        lab.stop()
    sys.stdout.write(f"pixels drawn: {ink}; pictures in {PICTURES.relative_to(REPOSITORY)}\n")
    for problem in problems:
        sys.stderr.write(f"{problem}\n")
    return 0 if min(ink) >= LEAST_INK and not problems else 1


if __name__ == "__main__":
    sys.exit(main())
