"""The table as text, Markdown and JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from .model import Row, Series, Unit

HEADINGS = ("what", "Hermes", "half lie in", "n", "budget", "met", "beside (Hermes ÷ it)")


def cells(row: Row) -> tuple[str, ...]:
    """One row in words."""
    return (
        row.what,
        amount(row.hermes.median, row.unit),
        _spread(row.hermes, row.unit),
        str(len(row.hermes.samples)),
        _budget(row),
        {True: "yes", False: "NO", None: ""}[row.met],
        "; ".join(_beside(row, peer) for peer in row.peers),
    )


def text(rows: Sequence[Row], facts: dict[str, str], closing: str) -> str:
    """The table for a terminal, peers and notes below each row."""
    lines = [f"{key}: {value}" for key, value in facts.items()]
    head = HEADINGS[:-1]
    table = [cells(row) for row in rows]
    widths = [max(len(line[column]) for line in (head, *table)) for column in range(len(head))]
    lines += ["", _padded(head, widths), _padded(["-" * width for width in widths], widths)]
    for row, line in zip(rows, table, strict=True):
        lines.append(_padded(line[:-1], widths))
        lines += [f"    beside {_beside(row, peer)}" for peer in row.peers]
        if row.note:
            lines.append(f"    {row.note}")
    missed = [row.what for row in rows if row.met is False]
    verdict = f"Not met: {', '.join(missed)}." if missed else "Every budget is met."
    return "\n".join([*lines, "", verdict, closing])


def markdown(rows: Sequence[Row], facts: dict[str, str], closing: str) -> str:
    """The table for docs/performance.md."""
    lines = ["; ".join(f"{key} {value}" for key, value in facts.items()) + ".", ""]
    lines += ["| " + " | ".join(HEADINGS) + " |", "|" + "---|" * len(HEADINGS)]
    for row in rows:
        line = list(cells(row))
        if row.note:
            line[0] += f" ({row.note})"
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |")
    return "\n".join([*lines, "", closing])


def as_json(rows: Sequence[Row], facts: dict[str, str]) -> str:
    """Everything, samples too."""
    return json.dumps({"version": 1, "facts": facts, "rows": [_plain(row) for row in rows]}, indent=2)


def amount(value: float, unit: Unit) -> str:
    """A quantity with three digits that matter: 0.004 s as 4.00 ms, 2e7 bytes as 20.0 MB."""
    scales = {
        "s": ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs")),
        "B": ((1e6, "MB"), (1e3, "kB"), (1.0, "B")),
    }[unit]
    size, name = next((scale for scale in scales if abs(value) >= 0.9995 * scale[0]), scales[-1])
    return f"{_three_digits(value / size)} {name}"


def _three_digits(value: float) -> str:
    digits = 2 if abs(value) < 9.995 else 1 if abs(value) < 99.95 else 0
    return f"{value:.{digits}f}"


def _spread(series: Series, unit: Unit) -> str:
    low, high = series.spread
    return f"{amount(low, unit)} to {amount(high, unit)}" if low != high else ""


def _budget(row: Row) -> str:
    if row.budget is None:
        return ""
    if row.budget.relative:
        return f"{row.budget.limit:g} x {row.peers[0].name}"
    return amount(row.budget.limit, row.unit)


def _beside(row: Row, peer: Series) -> str:
    ratio = row.ratio(peer)
    times = "" if ratio is None else f" (x {ratio:.2f})" if ratio >= 0.1 else f" (x {ratio:.1g})"
    return f"{peer.name} {amount(peer.median, row.unit)}{times}"


def _padded(line: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()


def _plain(row: Row) -> dict[str, Any]:
    series = [row.hermes, *row.peers]
    return {
        "what": row.what,
        "unit": row.unit,
        "budget": None if row.budget is None else row.budget.limit,
        "budget_relative_to": row.peers[0].name if row.budget and row.budget.relative else None,
        "met": row.met,
        "note": row.note,
        "series": [
            {
                "name": one.name,
                "median": one.median,
                "spread": list(one.spread),
                "ratio": None if one is row.hermes else row.ratio(one),
                "samples": list(one.samples),
            }
            for one in series
        ],
    }
