"""`hermes completion SHELL`: the script that completes commands, options and profile names."""

from __future__ import annotations

import click

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
