"""Every setting there is: its type, its default, and what is expected of it in words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

import msgspec

DEFAULT_HOST = "127.0.0.1"
FIRST_PORT = 8642
"""The port of the profile `default`; other profiles get the next free ones."""
DASHBOARD_PORT = 9119
DEFAULT_DRAIN = 20.0
MAX_DRAIN = 25.0
"""Seconds. Supervisors kill a gateway 30 s after asking it to end; the rest is for closing down."""

TOKEN_VARIABLE = "HERMES_GATEWAY_TOKEN"
PASSWORD_VARIABLE = "HERMES_DASHBOARD_PASSWORD"
DASHBOARD_TOKEN_VARIABLE = "HERMES_DASHBOARD_TOKEN"
READ_PASSWORD_VARIABLE = "HERMES_DASHBOARD_READ_PASSWORD"
READ_TOKEN_VARIABLE = "HERMES_DASHBOARD_READ_TOKEN"
WEBHOOK_VARIABLE = "HERMES_WEBHOOK"
WEBHOOK_SECRET_VARIABLE = "HERMES_WEBHOOK_SECRET"

Host = Annotated[str, msgspec.Meta(min_length=1, max_length=253, pattern=r"^[0-9A-Za-z.:_%-]+$")]
Port = Annotated[int, msgspec.Meta(ge=1, le=65535)]
Drain = Annotated[float, msgspec.Meta(ge=0, le=MAX_DRAIN)]
PatternKeys = Annotated[str, msgspec.Meta(max_length=2000, pattern=r"^(?:[a-z0-9_]+(?:[ ,]+[a-z0-9_]+)*)?$")]

EnvironmentName = Literal["local", "docker", "ssh"]
Directory = Annotated[str, msgspec.Meta(max_length=4096, pattern=r"^(?:/[^\x00-\x1f]*)?$")]
KeyFile = Annotated[str, msgspec.Meta(max_length=4096, pattern=r"^(?:(?:/|~/)[^\x00-\x1f]*)?$")]
Container = Annotated[str, msgspec.Meta(max_length=255, pattern=r"^(?:[A-Za-z0-9][A-Za-z0-9_.-]*)?$")]
Image = Annotated[str, msgspec.Meta(max_length=512, pattern=r"^(?:[A-Za-z0-9][A-Za-z0-9_.:/@-]*)?$")]
Mebibytes = Annotated[int, msgspec.Meta(ge=0, le=1 << 24)]
Cores = Annotated[float, msgspec.Meta(ge=0, le=1024)]
SshHost = Annotated[str, msgspec.Meta(max_length=253, pattern=r"^(?:[0-9A-Za-z:][0-9A-Za-z.:_%-]*)?$")]
SshUser = Annotated[str, msgspec.Meta(max_length=64, pattern=r"^(?:[0-9A-Za-z_][0-9A-Za-z_.@-]*)?$")]
SshPort = Annotated[int, msgspec.Meta(ge=0, le=65535)]

AgentKind = Literal["shell", "command"]
AgentInput = Literal["attachments", "model", "provider", "toolsets"]
"""What a run may name beyond its message, for agents that have a use for it."""
AgentInputs = Annotated[
    str, msgspec.Meta(max_length=100, pattern=r"^(?:(?:attachments|model|provider|toolsets)(?:[ ,]+|$))*$")
]
ModelName = Annotated[str, msgspec.Meta(pattern=r"^(?:[A-Za-z0-9][A-Za-z0-9_.:/@+-]{0,255})?$")]
CommandLine = Annotated[str, msgspec.Meta(max_length=4096, pattern=r"^[^\x00-\x08\x0a-\x1f]*$")]
MessageRoute = Literal["argument", "stdin"]
OnConflict = Literal["reject", "queue"]
Concurrency = Annotated[int, msgspec.Meta(ge=1, le=32)]
"""A profile's background processes are 64 at most, and runs are not to be all of them."""
Deadline = Annotated[float, msgspec.Meta(ge=0, le=30 * 86400)]
Silence = Annotated[float, msgspec.Meta(ge=1, le=30 * 86400)]
Days = Annotated[float, msgspec.Meta(ge=0, le=36500)]
WebhookUrl = Annotated[str, msgspec.Meta(max_length=2000, pattern=r"^(?:https?://[!-~]+)?$")]
_EVENT = "parked|crashed|exited|ready|draining|registered|unregistered"
EventNames = Annotated[str, msgspec.Meta(max_length=200, pattern=rf"^(?:{_EVENT})(?:[ ,]+(?:{_EVENT}))*$")]
WebhookTimeout = Annotated[float, msgspec.Meta(ge=1, le=60)]


class GatewayConfig(msgspec.Struct, kw_only=True):
    """Where a profile's gateway listens, and how it ends."""

    host: Host = DEFAULT_HOST
    port: Port = FIRST_PORT
    drain_timeout: Drain = DEFAULT_DRAIN
    """Seconds a gateway may take to finish what it is doing when asked to stop."""
    token: str | None = None
    """The bearer token, from the profile's .env or the environment; never in config.yaml."""


class DashboardConfig(msgspec.Struct, kw_only=True):
    """Where the web page listens. Only the root home's is read."""

    host: Host = DEFAULT_HOST
    port: Port = DASHBOARD_PORT
    password: str | None = None
    """From the .env or the environment; never in config.yaml."""


class ToolsConfig(msgspec.Struct, kw_only=True):
    """What the tools of an agent may do without asking."""

    approved_commands: PatternKeys = ""
    """Pattern keys of dangerous commands that somebody allowed for good, separated by commas."""

    @property
    def approved(self) -> frozenset[str]:
        return frozenset(self.approved_commands.replace(",", " ").split())


class DockerConfig(msgspec.Struct, kw_only=True):
    """The container where an agent's commands run: one that is there, or one made from an image."""

    container: Container = ""
    image: Image = ""
    workdir: Directory = ""
    """Where commands run that name no directory; the container's own working directory where empty."""
    memory: Mebibytes = 4096
    cpus: Cores = 0.0
    """Limits of a container made here, in MiB and in cores; 0 is none."""


class SshConfig(msgspec.Struct, kw_only=True):
    """The host where an agent's commands run. What is empty or 0 is as ssh_config(5) says."""

    host: SshHost = ""
    user: SshUser = ""
    port: SshPort = 0
    identity_file: KeyFile = ""
    workdir: Directory = ""


class TerminalConfig(msgspec.Struct, kw_only=True):
    """Where an agent's commands run."""

    environment: EnvironmentName = "local"
    docker: DockerConfig = msgspec.field(default_factory=DockerConfig)
    ssh: SshConfig = msgspec.field(default_factory=SshConfig)


class AgentConfig(msgspec.Struct, kw_only=True):
    """What a run executes."""

    kind: AgentKind = "shell"
    command: CommandLine = ""
    """The program of the `command` agent, with its arguments, in a shell's quotes."""
    message: MessageRoute = "argument"
    inputs: AgentInputs = ""
    """What that program reads from its environment of what a run may name, separated by commas."""
    provider: ModelName = ""
    model: ModelName = ""
    """Of a run that names none."""
    workspace: Directory = ""
    """Where runs work that name no directory; `workspace` in the home where empty."""

    @property
    def named_inputs(self) -> frozenset[AgentInput]:
        return msgspec.convert(self.inputs.replace(",", " ").split(), frozenset[AgentInput])


class RunsConfig(msgspec.Struct, kw_only=True):
    """How many runs there are at once, and how long they and their events are kept."""

    concurrency: Concurrency = 4
    on_conflict: OnConflict = "reject"
    deadline: Deadline = 0.0
    """Seconds; 0 is none."""
    stalled_after: Silence = 300.0
    """Seconds of silence."""
    keep_events_days: Days = 14.0
    keep_runs_days: Days = 90.0
    """Both from the run's end; 0 is for ever."""


class NotificationsConfig(msgspec.Struct, kw_only=True):
    """Whom supervision tells what. Only the root home's is read."""

    webhook: WebhookUrl = ""
    events: EventNames = "parked"
    timeout: WebhookTimeout = 10.0
    """Seconds that one try may take."""


class Config(msgspec.Struct, kw_only=True):
    """A profile's configuration, checked."""

    gateway: GatewayConfig = msgspec.field(default_factory=GatewayConfig)
    dashboard: DashboardConfig = msgspec.field(default_factory=DashboardConfig)
    tools: ToolsConfig = msgspec.field(default_factory=ToolsConfig)
    terminal: TerminalConfig = msgspec.field(default_factory=TerminalConfig)
    agent: AgentConfig = msgspec.field(default_factory=AgentConfig)
    runs: RunsConfig = msgspec.field(default_factory=RunsConfig)
    notifications: NotificationsConfig = msgspec.field(default_factory=NotificationsConfig)
    warnings: list[str] = msgspec.field(default_factory=list)
    """What is odd but harmless, each with its place: for a log or a person."""


@dataclass(frozen=True, slots=True)
class Key:
    """One setting of config.yaml."""

    kind: Any
    """A type msgspec can convert to."""
    expected: str
    """What a value must be, in words."""
    default: str | int | float
    variable: str | None = None
    """An environment variable that replaces the default, and nothing that is written in the file."""


_HOST_IN_WORDS = "a host name or address as text"
_PORT_IN_WORDS = "a port number from 1 to 65535"
_DIRECTORY_IN_WORDS = "an absolute path, or nothing"
_DAYS_IN_WORDS = "a number of days, or 0 for ever"

KEYS = {
    "gateway.host": Key(Host, _HOST_IN_WORDS, DEFAULT_HOST, "HERMES_GATEWAY_HOST"),
    "gateway.port": Key(Port, _PORT_IN_WORDS, FIRST_PORT),
    "gateway.drain_timeout": Key(Drain, f"a number of seconds from 0 to {MAX_DRAIN:g}", DEFAULT_DRAIN),
    "dashboard.host": Key(Host, _HOST_IN_WORDS, DEFAULT_HOST, "HERMES_DASHBOARD_HOST"),
    "dashboard.port": Key(Port, _PORT_IN_WORDS, DASHBOARD_PORT, "HERMES_DASHBOARD_PORT"),
    "tools.approved_commands": Key(PatternKeys, "pattern keys like 'recursive_delete, force_push'", ""),
    "terminal.environment": Key(EnvironmentName, "local, docker or ssh", "local"),
    "terminal.docker.container": Key(Container, "the name of a container, or nothing", ""),
    "terminal.docker.image": Key(Image, "the name of an image, or nothing", ""),
    "terminal.docker.workdir": Key(Directory, _DIRECTORY_IN_WORDS, ""),
    "terminal.docker.memory": Key(Mebibytes, "a number of MiB, or 0 for no limit", 4096),
    "terminal.docker.cpus": Key(Cores, "a number of cores, or 0 for no limit", 0.0),
    "terminal.ssh.host": Key(SshHost, "a host name or address, or nothing", ""),
    "terminal.ssh.user": Key(SshUser, "a user's name, or nothing", ""),
    "terminal.ssh.port": Key(SshPort, "a port number, or 0 for what ssh's own configuration says", 0),
    "terminal.ssh.identity_file": Key(KeyFile, "an absolute path or one from ~/, or nothing", ""),
    "terminal.ssh.workdir": Key(Directory, _DIRECTORY_IN_WORDS, ""),
    "agent.kind": Key(AgentKind, "shell or command", "shell"),
    "agent.command": Key(CommandLine, "a program and its arguments in one line, or nothing", ""),
    "agent.message": Key(MessageRoute, "argument or stdin", "argument"),
    "agent.inputs": Key(AgentInputs, "some of attachments, model, provider and toolsets, or nothing", ""),
    "agent.provider": Key(ModelName, "a name without spaces, or nothing", ""),
    "agent.model": Key(ModelName, "a name without spaces, or nothing", ""),
    "agent.workspace": Key(Directory, _DIRECTORY_IN_WORDS, ""),
    "runs.concurrency": Key(Concurrency, "a number from 1 to 32", 4),
    "runs.on_conflict": Key(OnConflict, "reject or queue", "reject"),
    "runs.deadline": Key(Deadline, "a number of seconds, or 0 for none", 0.0),
    "runs.stalled_after": Key(Silence, "a number of seconds, 1 at least", 300.0),
    "runs.keep_events_days": Key(Days, _DAYS_IN_WORDS, 14.0),
    "runs.keep_runs_days": Key(Days, _DAYS_IN_WORDS, 90.0),
    "notifications.webhook": Key(WebhookUrl, "an http or https address, or nothing", "", WEBHOOK_VARIABLE),
    "notifications.events": Key(EventNames, "some of " + _EVENT.replace("|", ", "), "parked"),
    "notifications.timeout": Key(WebhookTimeout, "a number of seconds from 1 to 60", 10.0),
}
"""Dotted name → setting, in the order in which they are shown."""

SECTIONS = tuple(dict.fromkeys(name.partition(".")[0] for name in KEYS))

SUBSECTIONS = frozenset(name.rpartition(".")[0] for name in KEYS if name.count(".") > 1)
"""What stands in a section and is a mapping itself."""

SECRETS = {
    "gateway.token": TOKEN_VARIABLE,
    "dashboard.password": PASSWORD_VARIABLE,
    "dashboard.token": DASHBOARD_TOKEN_VARIABLE,
    "dashboard.read_password": READ_PASSWORD_VARIABLE,
    "dashboard.read_token": READ_TOKEN_VARIABLE,
    "notifications.secret": WEBHOOK_SECRET_VARIABLE,
}
"""What looks like a setting but lives in .env: config.yaml is shown, shared and backed up in the open."""


def nearest(name: str) -> str | None:
    """The known dotted name that `name` most likely means."""
    from difflib import get_close_matches

    same_leaf = [known for known in KEYS if known.partition(".")[2] == name.rpartition(".")[2]]
    near = get_close_matches(name, [*KEYS, *SECTIONS], n=1) or same_leaf
    return near[0] if near else None
