"""What the tests of lives and ends of widgets share."""

from __future__ import annotations

import gc

import pytest


@pytest.fixture(scope="module", autouse=True)
def only_what_is_new_is_looked_through() -> None:
    """These tests collect garbage again and again; what earlier ones left in the process stays.

    Looking through that each time took most of their time.
    """
    gc.collect()
    gc.freeze()
