"""Where word of supervision goes: the section `notifications` of the root home, checked."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from hermes_cli.config import ConfigError, inspect_config, load_env
from hermes_cli.config.files import read_text
from hermes_cli.config.reading import only_notifies
from hermes_cli.config.schema import WEBHOOK_SECRET_VARIABLE, WEBHOOK_VARIABLE
from hermes_cli.home import Home


class Webhook(NamedTuple):
    """An endpoint, and what it is told."""

    url: str
    """May hold a name and a password, and may be a secret as a whole: it is never shown. `place` is."""
    secret: str | None
    events: frozenset[str]
    timeout: float
    """Seconds that one try may take."""

    @property
    def place(self) -> str:
        """Scheme, host and port: what a log may have."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def is_mentioned(root: Path) -> bool:
    """Whether there may be a webhook: a look at the text, so that the many who have none pay for no more."""
    if os.environ.get(WEBHOOK_VARIABLE):
        return True
    home = Home.of(root=root)
    for path, word in ((home.config, "webhook"), (home.env, WEBHOOK_VARIABLE)):
        try:
            if word in (read_text(path) or ""):
                return True
        except ConfigError:
            continue  # whoever is asked to use it says what is wrong with it
    return False


def webhook_of(root: Path) -> Webhook | None:
    """The installation's webhook, None for none. Raises `ConfigError` for one that cannot be used."""
    home = Home.of(root=root)
    found = inspect_config(home)
    for error in found.errors:
        if error.key is None or only_notifies(error):
            raise error
    url = str(found.values["notifications.webhook"])
    if not url:
        return None
    try:
        parts = urlsplit(url)
        usable = bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        usable = False
    if not usable:
        expected = "an http or https address with a host"
        raise ConfigError(home.config, f"expected {expected}", key="notifications.webhook", expected=expected)
    variables = os.environ | load_env(home.env)
    return Webhook(
        url=url,
        secret=variables.get(WEBHOOK_SECRET_VARIABLE) or None,
        events=frozenset(str(found.values["notifications.events"]).replace(",", " ").split()),
        timeout=float(found.values["notifications.timeout"]),
    )
