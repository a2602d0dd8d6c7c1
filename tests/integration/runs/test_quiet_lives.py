"""A gateway that is killed at any step leaves no open run behind that the next one does not take up."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from .harness import ROOT

DRIVER = "tests.integration.runs.quiet_lives"
EVERY = os.environ.get("EVERY", "3")
"""A life for each so many steps: of two neighbours one is before and one behind what is done. 1 by hand."""


@pytest.mark.timeout(240)
def test_between_any_two_steps_a_kill_leaves_no_run_that_is_not_taken_up(tmp_path: Path) -> None:
    result = subprocess.run(
        [
            sys.executable,
            "-W",
            "error",
            "-m",
            "tests.integration.runs.quiet_lives",
            str(tmp_path),
            "1",
            EVERY,
        ],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=230,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    lives = [json.loads(line) for line in result.stdout.splitlines()]
    for life in lives:
        assert not (life["after"]["settled"] and life["after"]["open"]), life
        assert life["looked"] or not life["after"]["open"], life
        assert life["then"]["open"] == [], life
        effects = tmp_path / str(life["deadly"]) / "effects"
        done = effects.read_text().split() if effects.exists() else []
        assert len(done) == len(set(done)), life
    assert sum(life["after"]["settled"] for life in lives), "quiet was never said"
    assert sum(bool(life["after"]["open"]) for life in lives), "nobody was killed at work"
    assert all(life["then"]["settled"] for life in lives if life["looked"])

    # What no kill shows: the word is taken back for good before the run is written.
    names = lives[-1]["names"]
    assert lives[-1]["whole"]
    made = names.index("after settle")
    taken_back = names[made : names.index("before _transact", made)]
    assert [name for name in taken_back if name.endswith(("unlink", "sync_directory"))] == [
        *("before unlink", "after unlink", "before sync_directory", "after sync_directory"),
    ]
