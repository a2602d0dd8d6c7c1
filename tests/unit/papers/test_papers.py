"""The papers and the program agree: links, schema, paths, codes, variables, commands."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

from hermes_cli.cli.main import COMMANDS, cli
from hermes_cli.config.schema import KEYS
from hermes_cli.gateway.openapi import document
from hermes_cli.serving.problems import CODES

ROOT = Path(__file__).parents[3]
PAPERS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
README = (ROOT / "README.md").read_text("utf-8")
API = (ROOT / "docs/api.md").read_text("utf-8")
OPERATIONS = (ROOT / "docs/operations.md").read_text("utf-8")

INTERNAL = {
    *("HERMES_MAIN", "HERMES_SUPERVISOR", "HERMES_COMPLETE"),  # between our own parts
    *("HERMES_NOTIFY_FD", "HERMES_NOTIFY_FILE"),  # from a supervisor to its program
    *("HERMES_KEEPER_DIRECTORY", "HERMES_PROCESS_ID", "HERMES_PROFILE"),  # of a process, and its keeper
    *("HERMES_SCANDIR", "HERMES_SLOT_TEMPLATE", "HERMES_ALIAS_DIR"),  # for tests
}


@pytest.mark.parametrize("paper", PAPERS, ids=lambda paper: paper.name)
def test_every_link_leads_somewhere(paper: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", paper.read_text("utf-8")):
        assert (paper.parent / target).exists(), f"{paper.name} links to {target}"


def test_the_api_page_has_every_path_and_every_code() -> None:
    for path in document()["paths"]:
        assert f"| `{path}` |" in API
    for code, status in CODES.items():
        assert f"| `{code}` | {status} |" in API


def test_the_readme_has_every_variable_that_the_program_reads() -> None:
    sources = [*ROOT.glob("hermes_cli/**/*.py"), ROOT / "docker/stage2-hook.sh", ROOT / "docker/stop-command"]
    sources += [ROOT / "docker/entrypoint", ROOT / "cont-init.d/03-dashboard-toggle"]
    read = {name for file in sources for name in re.findall(r"\bHERMES_[A-Z_]+\b", file.read_text("utf-8"))}
    missing = {name for name in read - INTERNAL if f"`{name}`" not in README}
    assert not missing


def test_the_operations_page_has_every_setting() -> None:
    for key in KEYS:
        assert f"| `{key}` |" in OPERATIONS


@pytest.mark.parametrize("text", [README, OPERATIONS], ids=["README", "operations"])
def test_every_command_shown_exists(text: str) -> None:
    context = click.Context(cli)
    code = " ".join(re.findall(r"```.*?```|`[^`]+`", text, re.S))
    shown = re.findall(r"(?=\bhermes (?:-p \w+ )?([a-z]+)(?: ([a-z]+))?)", code)
    assert len(shown) > 20
    for word, member in shown:
        if word in ("hermes", "coder"):  # the container's name, and an alias
            continue
        assert word in COMMANDS, f"hermes {word}"
        command = cli.get_command(context, word)
        if isinstance(command, click.Group) and member:
            assert member in command.list_commands(context), f"hermes {word} {member}"
