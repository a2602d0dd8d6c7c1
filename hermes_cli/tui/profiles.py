"""Making and removing profiles: the questions, and having it done."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hermes_cli.faces.background import in_thread
from hermes_cli.faces.printable import plain
from hermes_cli.service_manager.names import DEFAULT_PROFILE

if TYPE_CHECKING:
    from .app import HermesApp


def ask_to_create(app: HermesApp) -> None:
    """Ask for a name, and make the profile."""
    from .screens.ask import AskScreen

    hint = "A name of small letters, digits, - and _. It gets a port, a token and a gateway that is down."
    app.push_screen(AskScreen("Create a profile", hint, check=_wrong_name), lambda name: _create(app, name))


def ask_to_delete(app: HermesApp, profile: str) -> None:
    """Ask whether it is meant, saying what goes with it, and remove the profile."""
    if profile == DEFAULT_PROFILE:
        app.tell("✕ default cannot be deleted: its home is the root home, which always exists", bad=True)
        return
    app.run_worker(_ask_to_delete(app, profile), group="delete", exclusive=True)


async def _ask_to_delete(app: HermesApp, profile: str) -> None:
    from hermes_cli.status.processes import running_processes

    from .screens.question import NO, Answer, QuestionScreen

    home = app.installation.home(profile)
    running = await in_thread(lambda: running_processes(home.processes))
    ending = f"Its {running} background processes are ended. " if running else ""
    text = f"{ending}Everything in {plain(str(home.path))} is removed for good."
    app.push_screen(
        QuestionScreen(f"Delete the profile {plain(profile)}?", text, NO, Answer("y", "Delete it")),
        lambda answer: _delete(app, profile) if answer == "y" else None,
    )


def _wrong_name(name: str) -> str:
    from hermes_cli.service_manager.errors import InvalidNameError
    from hermes_cli.service_manager.names import validate_profile_name

    try:
        validate_profile_name(name)
    except InvalidNameError as error:
        return plain(str(error), 400)
    return ""


def _create(app: HermesApp, name: str | None) -> None:
    if name is None:
        return

    def work() -> str:
        from hermes_cli.profiles import create_profile

        made = create_profile(name, manager=app.installation.manager(), root=app.installation.root)
        return f"the profile {name} is made, with port {made.port}; its gateway is down"

    app.order(f"making {name}", work)


def _delete(app: HermesApp, profile: str) -> None:
    def work() -> str:
        from hermes_cli.profiles import delete_profile

        delete_profile(profile, manager=app.installation.manager(), root=app.installation.root)
        return f"the profile {profile} is gone"

    app.order(f"deleting {profile}", work)
