"""`hermes completion SHELL`, and what every command's completion is made of."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple

import click

if TYPE_CHECKING:
    from types import FrameType

    from click.shell_completion import CompletionItem

PATIENCE = 0.3
"""Seconds that a key pressed for a completion may wait for a gateway, all in all."""

_LONGEST_HELP = 60

_SETUP = {
    "bash": 'eval "$(hermes completion bash)"   # in ~/.bashrc',
    "zsh": 'eval "$(hermes completion zsh)"    # in ~/.zshrc, after compinit',
    "fish": "hermes completion fish | source   # in ~/.config/fish/config.fish",
}


@click.command(epilog="\b\n" + "\n".join(_SETUP.values()))
@click.argument("shell", type=click.Choice(sorted(_SETUP)))
def completion(shell: str) -> None:
    """Print the completion script for SHELL."""
    from click.shell_completion import get_completion_class

    from .main import cli

    kind = get_completion_class(shell)
    assert kind is not None
    completer = kind(cli, {}, "hermes", "_HERMES_COMPLETE")
    # `source()` would run bash to look at its version; this script is also printed where there is no bash.
    click.echo(completer.source_template % completer.source_vars())


def complete_profile(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    """The profiles that begin with `incomplete`: for the `shell_complete` of options and arguments."""
    from hermes_cli.home import profile_names

    try:
        return [name for name in profile_names() if name.startswith(incomplete)]
    except OSError:
        return []


class Known(NamedTuple):
    """Something that has an ID, and what it is in a few words, which are not safe to show."""

    id: str
    words: str = ""


def complete_ids(found: Iterable[Known], prefix: str, incomplete: str) -> list[CompletionItem]:
    """Those of `found` that begin with `incomplete`, the `prefix` of their IDs left out or not."""
    from click.shell_completion import CompletionItem

    from hermes_cli.faces.printable import plain

    bare = bool(incomplete) and not prefix.startswith(incomplete[: len(prefix)])
    items = []
    for one in found:
        name = one.id.removeprefix(prefix) if bare else one.id
        if name.startswith(incomplete):
            items.append(CompletionItem(name, help=plain(one.words, _LONGEST_HELP) or None))
    return items


@contextlib.contextmanager
def impatient(seconds: float = PATIENCE) -> Iterator[None]:
    """Raise TimeoutError in what takes longer, whatever it is at: a shell waits for a completion.

    Where there is no such signal (Windows), the time-outs of what is asked have to do.
    """
    import signal

    if not hasattr(signal, "SIGALRM"):
        yield
        return

    def over(_number: int, _frame: FrameType | None) -> None:
        raise TimeoutError(f"no answer within {seconds} s")

    before = signal.signal(signal.SIGALRM, over)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
