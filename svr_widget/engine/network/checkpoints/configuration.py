"""What stands beside a file of weights, as JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def configuration(path: Path, called: str) -> dict[str, Any] | None:
    """What a file of JSON beside the weights says; None where there is none that can be read.

    Args:
        path: of the file of weights, or of its folder.
        called: the name of the file of JSON.
    """
    folder = path if path.is_dir() else path.parent
    try:
        held = json.loads((folder / called).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return held if isinstance(held, dict) else None
