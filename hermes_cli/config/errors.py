"""What is wrong with a configuration file: where, which key, what was expected."""

from __future__ import annotations

from pathlib import Path


class ConfigError(Exception):
    """A config.yaml or .env that cannot be used. `str(error)` is `path:line:column: key: what is wrong`.

    Lines and columns count from 1; both are None where the file as a whole is meant.
    """

    def __init__(
        self,
        path: Path,
        message: str,
        *,
        line: int | None = None,
        column: int | None = None,
        key: str | None = None,
        expected: str | None = None,
    ) -> None:
        place = ":".join(str(part) for part in (path, line, column) if part is not None)
        shown = key if key is None or key.isprintable() else ascii(key)
        super().__init__(": ".join(part for part in (place, shown, message) if part))
        self.path = path
        self.line = line
        self.column = column
        self.key = key
        self.expected = expected
        self.message = message
