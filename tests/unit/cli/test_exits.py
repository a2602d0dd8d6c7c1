"""Every exit code has one name in the code, and one line in the papers and in --help."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

from hermes_cli.cli import exits
from hermes_cli.cli.exits import MEANINGS
from hermes_cli.cli.main import cli
from hermes_cli.gateway import run as gateway_run

ROOT = Path(__file__).parents[3]
CODES = {name: value for name, value in vars(exits).items() if name.startswith("EXIT_")}


def test_the_papers_have_the_codes_of_the_program() -> None:
    rows = re.findall(r"^\| (\d+) \| (.+) \|$", (ROOT / "docs/cli.md").read_text("utf-8"), re.MULTILINE)
    assert {int(code): meaning for code, meaning in rows} == MEANINGS
    assert [int(code) for code, _ in rows] == sorted(MEANINGS)


def test_every_code_has_a_meaning_and_every_meaning_a_code() -> None:
    assert {0, *CODES.values()} == set(MEANINGS)


def test_help_ends_with_them() -> None:
    said = cli.get_help(click.Context(cli, info_name="hermes"))
    for code in MEANINGS:
        assert re.search(rf"^  +{code} +\S", said, re.MULTILINE), code


@pytest.mark.parametrize("path", sorted(ROOT.glob("hermes_cli/cli/*.py")), ids=lambda path: path.stem)
def test_no_command_has_a_code_of_its_own(path: Path) -> None:
    if path.stem != "exits":
        own = re.findall(r"^EXIT_\w+ *=", path.read_text("utf-8"), re.MULTILINE)
        assert own == []


def test_a_gateway_in_the_foreground_ends_with_the_same_codes() -> None:
    assert (gateway_run.EXIT_TEMPORARY, gateway_run.EXIT_CONFIG) == (exits.EXIT_TEMPORARY, exits.EXIT_CONFIG)
