"""What is dangerous in code given to an interpreter, and in SQL given to a database client."""

from __future__ import annotations

import re

_STRING = re.compile(
    r"'''(.*?)'''|\"\"\"(.*?)\"\"\"|'((?:[^'\\\n]|\\.)*)'|\"((?:[^\"\\\n]|\\.)*)\"|`([^`\n]*)`", re.DOTALL
)
_RUNS = re.compile(
    r"\b(?:system|popen\w*|subprocess|exec\w*|spawn\w*|check_output|run|qx|shell_exec|passthru)\b|`|%x"
)
_DELETES = re.compile(
    r"\b(?:rmtree|rm_rf|rm_r|remove_tree|remove_entry_secure|rimraf)\b|\brm(?:dir)?(?:Sync)?\([^)]*recursive|\bremoveSync\("
)
_FORKS = re.compile(
    r"\bfork\s+while\s+fork\b|while\s*(?:\(?\s*(?:1|true)\s*\)?|not\s+False)\s*[:{]?\s*(?:os\.)?fork\b", re.I
)
_REMOTE = re.compile(
    r"\b(?:exec|eval)\s*\(.{0,200}?\b(?:urlopen|requests\.get|httpx\.get|urllib|fetch|file_get_contents)\b",
    re.DOTALL,
)
_HIDDEN = re.compile(
    r"\b(?:exec|eval)\s*\(.{0,200}?\b(?:b64decode|base64|fromhex|unhexlify|atob|marshal)\b", re.DOTALL
)
_SQL_COMMENT = re.compile(r"/\*.*?\*/|--[^\n]*", re.DOTALL)
_SQL = re.compile(
    r"\b(?:drop\s+(?:table|database|schema|view|index|user|role|keyspace|collection|tablespace|materialized)\b"
    r"|truncate\s+(?:table\s+)?[\w\"`\[]"
    r"|delete\s+from\s+[\w\"`.\[\]]+\s*(?:;|$|\"|')"
    r"|flushall\b|flushdb\b|dropdatabase\b)|\.(?:drop|dropDatabase|deleteMany|remove)\(\s*(?:\{\s*\})?\s*\)",
    re.IGNORECASE,
)
_MOST = 50
"""Strings looked at as commands in one piece of code."""


def code_danger(code: str) -> str | None:
    """The danger of `code` in Python, Perl, JavaScript or the like, apart from commands that it runs."""
    if _FORKS.search(code):
        return "fork_bomb"
    if _REMOTE.search(code):
        return "remote_script"
    if _HIDDEN.search(code):
        return "hidden_script"
    if _DELETES.search(code):
        return "recursive_delete"
    if re.search(r"\b(?:execute|query|exec)\w*\s*\(", code) and sql_danger(code):
        return "drop_database"
    return None


def commands_in(code: str) -> list[str]:
    """The texts in `code` that it may run as commands: its strings, alone and as one list of arguments."""
    if not _RUNS.search(code):
        return []
    strings = [
        next((group for group in match.groups() if group is not None), "") for match in _STRING.finditer(code)
    ]
    lists = [
        " ".join(next((group for group in match.groups() if group is not None), "") for match in found)
        for found in (
            list(_STRING.finditer(part)) for part in re.findall(r"\[[^\[\]]*\]|\([^()]*\)", code)[:_MOST]
        )
        if len(found) > 1
    ]
    return [text for text in [*strings, *lists] if text.strip()][:_MOST]


def sql_danger(text: str) -> str | None:
    """The danger of SQL, or of the words of a document store's shell."""
    return "drop_database" if _SQL.search(_SQL_COMMENT.sub(" ", text)) else None
