"""Files of every format, spoilt: read right or refused by name, never hanging, in little memory."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.amounts import amount
from tests.engine.support.spoiling import FORMATS

pytestmark = pytest.mark.slow

COUNT = amount(100, 1_500)
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def ended():
    """One process for all, whose memory is bounded, so that a crash of it is found too."""
    ran = subprocess.run(
        [sys.executable, "-m", "tests.engine.support.spoiling", str(COUNT), "-v"],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=3600,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr[-2000:]
    return json.loads(ran.stdout), ran.stderr


@pytest.mark.parametrize("name", FORMATS)
def test_spoilt_files_are_read_right_or_refused(name, ended):
    outcomes, told = ended[0]["outcomes"][name], ended[1]
    assert set(outcomes) <= {"right", "refused"}, [
        line for line in told.splitlines() if line.startswith(name)
    ]
    assert sum(outcomes.values()) == COUNT
    assert "right" in outcomes or "refused" in outcomes
    assert outcomes.get("refused", 0) > COUNT / 3 or name == "checkpoint", "it spoils too little"


def test_reading_them_takes_little_memory(ended):
    assert ended[0]["megabytes"] < 400
