"""This machine as an environment: the registry itself."""

from __future__ import annotations

import os

from hermes_cli.processes.recorded import RecordingRegistry
from hermes_cli.processes.starting import check_directory

from .interface import Kind


class LocalEnvironment(RecordingRegistry):
    """The registry, with what an environment says of itself."""

    @property
    def name(self) -> str:
        return "this machine"

    @property
    def kind(self) -> Kind:
        return "local"

    @property
    def home_directory(self) -> str:
        return os.path.expanduser("~")  # noqa: PTH111

    def working_directory(self, asked: str | None) -> tuple[str, str | None]:
        """Raises `StartError` for a directory that no command could start in."""
        cwd = asked or self.default_cwd
        if cwd == "~" or cwd.startswith("~/"):
            cwd = self.home_directory + cwd[1:]
        check_directory(cwd)
        return cwd, None

    def disconnect(self) -> None:
        """Nothing: there is no channel."""
