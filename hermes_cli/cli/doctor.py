"""`hermes doctor`: every check with what to do about it."""

from __future__ import annotations

import click

from .context import json_option, print_json
from .progress import waiting

_MARKS = {"ok": ("ok", "green"), "warning": ("warning", "yellow"), "error": ("ERROR", "red")}


@click.command()
@click.option("--fix", is_flag=True, help="Mend what is safe to mend, then look again.")
@json_option
def doctor(fix: bool, as_json: bool) -> int:
    """Find what is wrong with this installation, and mend it.

    Exits 1 while something is an error; warnings do not count.
    """
    from hermes_cli.doctor import diagnose
    from hermes_cli.faces.printable import plain

    with waiting("looking at everything", quiet=as_json):
        report = diagnose(fix=fix)
    if as_json:
        print_json(report)
        return 0 if report.ok else 1
    for finding in report.findings:
        word, colour = ("fixed", "green") if finding.fixed else _MARKS[finding.status]
        click.echo(f"{click.style(word.ljust(8), fg=colour)} {plain(finding.message)}")
        if finding.remedy and finding.status != "ok":
            click.echo(f"{'':8} → {plain(finding.remedy)}")
        for line in finding.detail.splitlines() if finding.status != "ok" else ():
            click.echo(f"{'':10} {plain(line)}")
    fixable = sum(finding.fixable and finding.status != "ok" for finding in report.findings)
    errors = sum(finding.status == "error" for finding in report.findings)
    warnings = sum(finding.status == "warning" for finding in report.findings)
    click.echo(f"\n{_count(errors, 'error')}, {_count(warnings, 'warning')}.")
    if fixable and not fix:
        click.echo(f"'hermes doctor --fix' can mend {fixable} of them.")
    return 0 if report.ok else 1


def _count(number: int, word: str) -> str:
    return f"{number or 'no'} {word}{'' if number == 1 else 's'}"
