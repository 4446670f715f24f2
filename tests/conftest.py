"""What every test shares."""

from __future__ import annotations

import gc


def pytest_collection_finish() -> None:
    """Let garbage collections pass over what is there before the first test runs.

    That is some million objects of torch, transformers and the tests themselves, which all stay.
    The tests that count what closed widgets leave spent most of their time on looking through them.
    """
    gc.collect()
    gc.freeze()
