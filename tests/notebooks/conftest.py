"""What the tests of notebooks share: kernels that have imported torch when they start."""

from __future__ import annotations

import os
from collections.abc import Iterator
from unittest import mock

import pytest

from tests.browser.kernels import Kernels


@pytest.fixture(scope="session")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The name of such a kernel, in whose cells warnings are errors."""
    folder = tmp_path_factory.mktemp("jupyter")
    environment = {**os.environ, "PYTHONWARNINGS": "error:::__main__"}
    with (
        (folder / "kernels.log").open("wb") as log,
        mock.patch.dict(os.environ, JUPYTER_PATH=str(folder)),
    ):
        started = Kernels(folder, environment, log.fileno())
        yield Kernels.NAME
        started.stop()
