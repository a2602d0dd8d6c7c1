"""The hidden names that half-done changes have in `profiles/`, each of which says what it was:

.NAME.new        being made: undone. It becomes NAME by rename as the last step of `create`
.NAME.deleted    being deleted: finished. Its rename from NAME was the decision
.NAME.renaming   a file naming the new name: undone while NAME exists, finished once it is gone
"""

from __future__ import annotations

from pathlib import Path

from hermes_cli.service_manager.names import DEFAULT_PROFILE, validate_profile_name

NEW = ".new"
DELETED = ".deleted"
RENAMING = ".renaming"


def hidden(root: Path, profile: str, suffix: str) -> Path:
    """Where the half-done change of `profile` is, or would be."""
    return root / "profiles" / f".{profile}{suffix}"


def half_done(root: Path) -> list[tuple[str, str]]:
    """(profile, suffix) of everything half done, without touching it. Costs one directory listing."""
    try:
        names = sorted(entry.name for entry in (root / "profiles").iterdir())
    except OSError:
        return []
    found = []
    for name in names:
        for suffix in (NEW, DELETED, RENAMING):
            if name.startswith(".") and name.endswith(suffix) and is_name(name[1 : -len(suffix)]):
                found.append((name[1 : -len(suffix)], suffix))
    return found


def is_name(name: str) -> bool:
    """Whether a profile other than `default` may be called that."""
    try:
        return validate_profile_name(name) != DEFAULT_PROFILE
    except ValueError:
        return False
