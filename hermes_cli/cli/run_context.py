"""What the commands on runs and sessions share: the client, refusals, words for states, exit codes."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import click

from .completion import PATIENCE, Known, complete_ids, impatient
from .context import Context, json_option, pass_context, print_json
from .exits import EXIT_FAILURE, EXIT_INTERRUPTED, EXIT_TIME_OVER, EXIT_UNKNOWN_END
from .process_context import plain_line

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from hermes_cli.gateway.run_api import Controlled, RunView
    from hermes_cli.gateway.run_client import RunClient
    from hermes_cli.home import Home

CommandT = TypeVar("CommandT", bound=Callable[..., Any])


def client_of(context: Context) -> RunClient:
    """Asks the chosen profile's gateway."""
    from hermes_cli.gateway.client import GatewayClient

    return GatewayClient(context.existing_home()).runs


def verb(command: Callable[..., int | None]) -> Callable[..., Any]:
    """Make a command of `command(client, as_json=…, …)`: with `--json`, and refusals as typed answers."""

    @json_option
    @pass_context
    @functools.wraps(command)
    def run(context: Context, /, as_json: bool, **given: Any) -> int:
        from hermes_cli.gateway.client import GatewayAnswerError, GatewayUnreachableError

        try:
            return command(client_of(context), as_json=as_json, **given) or 0
        except GatewayUnreachableError:
            return refused(no_gateway(context.home), "no_gateway", as_json)
        except GatewayAnswerError as error:
            return refused(plain_line(error.detail), error.code, as_json, error.problem)

    return run


def no_gateway(home: Home) -> str:
    """What to say where no gateway answers: one sentence with the next step."""
    from hermes_cli.gateway.naming import command_for

    command = command_for(home.profile)
    return f"the gateway of {home.profile} is not running; '{command} gateway start' starts it"


def refused(message: str, code: str, as_json: bool, problem: Mapping[str, Any] | None = None) -> int:
    """Say why not, as JSON or as a sentence; the exit code. `problem`: all that the gateway said."""
    if as_json:
        print_json({**(problem or {}), "status": "error", "code": code, "message": message})
    else:
        click.echo(f"hermes: {message}", err=True)
    return EXIT_FAILURE


def run_argument(command: CommandT) -> CommandT:
    """Add the argument ID, passed as `run_id: str`."""
    return click.argument("run_id", metavar="ID", shell_complete=complete_run)(command)


def session_argument(command: CommandT) -> CommandT:
    """Add the argument ID, passed as `session_id: str`."""
    return click.argument("session_id", metavar="ID", shell_complete=complete_session)(command)


def complete_run(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The latest runs that begin with `incomplete`, the prefix `run_` left out or not."""

    def ask(client: RunClient) -> list[Known]:
        return [Known(run.run_id, f"{run.status}: {run.message}") for run in client.recent()]

    return complete_ids(_known(ctx, ask), "run_", incomplete)


def complete_session(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """As `complete_run`, of sessions."""

    def ask(client: RunClient) -> list[Known]:
        return [Known(one.session_id, one.title) for one in client.sessions()]

    return complete_ids(_known(ctx, ask), "ses_", incomplete)


def controlled(answer: Controlled, run_id: str, as_json: bool) -> int:
    """Say what became of a control; the exit code."""
    if as_json:
        print_json(answer)
    elif answer.accepted:
        click.echo(f"{run_id}: {plain_line(answer.safe_message)}.")
    else:
        click.echo(f"hermes: {plain_line(answer.safe_message)}", err=True)
    return 0 if answer.accepted else EXIT_FAILURE


def state_in_words(run: RunView) -> str:
    """`running`, `failed 3`, `interrupted (the container restarted)`, `running, stalled`."""
    words: str = run.status
    if run.status == "failed" and run.exit_code is not None:
        words = f"{words} {run.exit_code}"
    if run.stalled:
        words = f"{words}, stalled"
    return f"{words} ({plain_line(run.reason)})" if run.reason else words


def exit_code_of(status: str, exit_code: int | None) -> int:
    """The code to exit with for a run that has ended so."""
    if status == "completed":
        return 0
    if status == "failed":
        return exit_code or EXIT_FAILURE
    return {"cancelled": EXIT_INTERRUPTED, "expired": EXIT_TIME_OVER}.get(status, EXIT_UNKNOWN_END)


def _known(ctx: click.Context, ask: Callable[[RunClient], list[Known]]) -> list[Known]:
    """What the gateway knows; nothing where it does not answer at once."""
    from hermes_cli.gateway.client import GatewayClient
    from hermes_cli.home import Home, HomeError

    profile = ctx.find_root().params.get("profile")
    try:
        home = Home.of(profile) if profile else Home.of()
        with impatient():
            return ask(GatewayClient(home, timeout=PATIENCE).runs)
    except (HomeError, ValueError, OSError):
        return []
