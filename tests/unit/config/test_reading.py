"""config.yaml is read strictly: what it says counts, and what is wrong is named with its place."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hermes_cli.config import Config, ConfigError, inspect_config, load_config, plain, yaml_tree
from hermes_cli.home import Home


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home("coder", tmp_path)
    home.path.mkdir(parents=True)
    return home


def read(home: Home, text: str | bytes, **environ: str) -> Config:
    home.config.write_bytes(text.encode() if isinstance(text, str) else text)
    return load_config(home, environ)


def refused(home: Home, text: str | bytes) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        read(home, text)
    return caught.value


def test_what_the_file_says_counts(home: Home) -> None:
    text = "gateway:\n  host: 10.0.0.5\n  port: 9000\n  drain_timeout: 3\ndashboard:\n  port: 9001\n"
    config = read(home, text)
    assert (config.gateway.host, config.gateway.port, config.gateway.drain_timeout) == ("10.0.0.5", 9000, 3.0)
    assert config.dashboard.port == 9001
    assert config.warnings == []


def test_what_the_file_leaves_out_has_a_default(home: Home) -> None:
    config = read(home, "# nothing set\n")
    assert (config.gateway.host, config.gateway.port, config.gateway.drain_timeout) == (
        "127.0.0.1",
        8642,
        20.0,
    )
    assert (config.dashboard.host, config.dashboard.port) == ("127.0.0.1", 9119)


def test_the_environment_replaces_the_default_host(home: Home) -> None:
    config = read(home, "gateway:\n", HERMES_GATEWAY_HOST="0.0.0.0", HERMES_DASHBOARD_HOST="::")
    assert (config.gateway.host, config.dashboard.host) == ("0.0.0.0", "::")


def test_the_environment_does_not_replace_a_written_host(home: Home) -> None:
    text = "gateway:\n  host: 127.0.0.1\n"
    assert read(home, text, HERMES_GATEWAY_HOST="0.0.0.0").gateway.host == "127.0.0.1"


def test_a_bad_host_in_the_environment_names_the_variable(home: Home) -> None:
    home.config.write_text("# defaults\n")
    with pytest.raises(ConfigError, match="HERMES_GATEWAY_HOST: expected a host name"):
        load_config(home, {"HERMES_GATEWAY_HOST": "not a host"})


def test_the_token_comes_from_dot_env_before_the_environment(home: Home) -> None:
    assert read(home, "# defaults\n", HERMES_GATEWAY_TOKEN="outer").gateway.token == "outer"
    home.env.write_text("HERMES_GATEWAY_TOKEN=inner\n")
    assert load_config(home, {"HERMES_GATEWAY_TOKEN": "outer"}).gateway.token == "inner"


def test_no_token_anywhere_is_none(home: Home) -> None:
    assert read(home, "# defaults\n").gateway.token is None


def test_a_secret_in_config_yaml_is_sent_to_dot_env_and_not_repeated(home: Home) -> None:
    error = refused(home, "gateway:\n  token: hunter2\n")
    assert (error.line, error.column, error.key) == (2, 3, "gateway.token")
    assert "HERMES_GATEWAY_TOKEN" in str(error)
    assert "hunter2" not in str(error)


@pytest.mark.parametrize(
    ("text", "near"),
    [
        ("gateway:\n  prot: 1\n", "gateway.port"),
        ("gatway:\n  port: 1\n", "gateway"),
        ("port: 1\n", "gateway.port"),
        ("gateway:\n  drain-timeout: 5\n", "gateway.drain_timeout"),
    ],
)
def test_an_unknown_key_is_a_warning_with_the_nearest_known_one(home: Home, text: str, near: str) -> None:
    config = read(home, text)
    assert len(config.warnings) == 1
    assert f"did you mean {near!r}?" in config.warnings[0]
    assert config.gateway.port == 8642


def test_a_warning_says_where(home: Home) -> None:
    config = read(home, "# a comment\ngateway:\n  port: 8700\n  colour: red\n")
    assert config.warnings[0].startswith(f"{home.config}:4:3: unknown key 'gateway.colour'")


@pytest.mark.parametrize(
    ("value", "got"),
    [
        ("'8642'", "the text '8642'"),
        ("0", "the number 0"),
        ("65536", "the number 65536"),
        ("-1", "the number -1"),
        ("80.5", "the number 80.5"),
        ("true", "the truth value true"),
        ("[1, 2]", "a list"),
        ("{a: 1}", "a mapping"),
        ("", "nothing"),
        ("2026-11-21", "a date"),
        ("!!int abc", "'abc', which is no int"),
        ("!!bool abc", "'abc', which is no bool"),
        ("!!python/object:os.system x", "'x', which is no python/object:os.system"),
    ],
)
def test_a_wrong_port_is_refused_with_what_was_expected_and_what_is_there(
    home: Home, value: str, got: str
) -> None:
    error = refused(home, f"gateway:\n  host: localhost\n  port: {value}\n")
    assert error.message == f"expected a port number from 1 to 65535, got {got}"
    assert (error.path, error.line, error.key) == (home.config, 3, "gateway.port")
    assert error.expected == "a port number from 1 to 65535"
    assert str(error).startswith(f"{home.config}:3:")


@pytest.mark.parametrize("value", ["-0.1", "25.1", ".inf", "-.inf", ".nan", "20s", "null"])
def test_a_drain_beyond_what_supervisors_allow_is_refused(home: Home, value: str) -> None:
    error = refused(home, f"gateway:\n  drain_timeout: {value}\n")
    assert error.message.startswith("expected a number of seconds from 0 to 25, got ")
    assert (error.line, error.column) == (2, 18)


@pytest.mark.parametrize("value", ["0", "25", "0.5"])
def test_a_drain_at_the_edges_is_taken(home: Home, value: str) -> None:
    assert read(home, f"gateway:\n  drain_timeout: {value}\n").gateway.drain_timeout == float(value)


@pytest.mark.parametrize("value", ["80", "true", "''", "'a b'", "[localhost]", f"{'x' * 254}"])
def test_a_host_that_cannot_be_one_is_refused(home: Home, value: str) -> None:
    assert refused(home, f"gateway:\n  host: {value}\n").key == "gateway.host"


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("gateway:\n  port: 1\n  port: 2\n", 3, "is set twice (first on line 2)"),
        ("gateway:\n  port: 1\ngateway:\n  port: 2\n", 3, "is set twice (first on line 1)"),
        ("other:\n  a: 1\n  a: 2\n", 3, "is set twice"),
        ("gateway:\n\tport: 1\n", 2, "a tab cannot indent here; use spaces"),
        ("gateway: 5\n", 1, "expected 'key: value' lines indented below, got the number 5"),
        ("- gateway\n", 1, "expected 'section:' lines with 'key: value' lines indented below, got a list"),
        ("just words\n", 1, "got a single value"),
        ("gateway:\n  port: 1\n---\nb: 1\n", 3, "a second document begins here"),
        ("gateway:\n  port: [1\n", 3, "is not valid YAML"),
        ("gateway:\n  port: *nowhere\n", 2, "is not valid YAML"),
        ("gateway:\n  host: a: b\n", 2, "a second ':' on one line"),
        ("a: &a {b: 1}\ngateway:\n  <<: *a\n", 3, "merging with '<<' is not supported"),
        ("? [a]\n: 1\n", 1, "a key must be text, got a list"),
        ("", 1, "is empty"),
        ("  \n\n", 1, "is empty"),
        (b"gateway:\n  host: caf\xe9\n", 2, "is not UTF-8 text (byte 0xe9)"),
        (b"gateway:\n  host: a\x00b\n", 2, "holds the character U+0000"),
        (b"\x7fELF\x02\x01\x01\x00\x00", 1, ""),
    ],
)
def test_a_file_that_is_no_configuration_is_refused_with_its_line(
    home: Home, text: str | bytes, line: int, message: str
) -> None:
    error = refused(home, text)
    assert error.line == line
    assert message in error.message


def test_a_port_that_does_not_fit_says_the_column_of_the_value(home: Home) -> None:
    error = refused(home, "gateway:\n    port:   70000 # too big\n")
    assert (error.line, error.column) == (2, 13)


def test_a_huge_file_is_refused_unread(home: Home) -> None:
    home.config.touch()
    os.truncate(home.config, 1 << 40)
    with pytest.raises(ConfigError, match="larger than 256 KiB"):
        load_config(home, {})


def test_deep_nesting_and_alias_bombs_are_refused_or_ignored_quickly(home: Home) -> None:
    assert "nested too deeply" in refused(home, "a: " + "[" * 20_000).message
    lines = ["a0: &a0 [x]"] + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 30)]
    assert len(read(home, "\n".join(lines)).warnings) == 30


def test_a_mapping_that_contains_itself_ends(home: Home) -> None:
    assert len(read(home, "a: &a\n  b: *a\n").warnings) == 1


def test_a_missing_file_is_an_error_for_a_profile_and_none_for_default(home: Home, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is missing"):
        load_config(home, {})
    assert load_config(Home("default", tmp_path / "nowhere"), {}).gateway.port == 8642


@pytest.mark.parametrize("kind", ["directory", "fifo", "socketless link"])
def test_something_else_in_its_place_is_refused_and_not_waited_on(home: Home, kind: str) -> None:
    if kind == "directory":
        home.config.mkdir()
    elif kind == "fifo":
        os.mkfifo(home.config)
    else:
        home.config.symlink_to("nowhere")
    with pytest.raises(
        ConfigError, match=r"is not a regular file|is a link to something that does not exist"
    ):
        load_config(home, {})


def test_a_linked_file_is_read_as_kubernetes_mounts_them(home: Home, tmp_path: Path) -> None:
    (tmp_path / "mounted.yaml").write_text("gateway:\n  port: 9999\n")
    home.config.symlink_to(tmp_path / "mounted.yaml")
    assert load_config(home, {}).gateway.port == 9999


def test_windows_line_ends_and_a_byte_order_mark_are_fine(home: Home) -> None:
    assert read(home, b"\xef\xbb\xbfgateway:\r\n  port: 9000\r\n").gateway.port == 9000


def test_every_error_is_found_in_one_look(home: Home) -> None:
    home.config.write_text("gateway:\n  port: x\n  host: 5\ndashboard:\n  port: 0\n")
    home.env.write_text("broken line\n")
    found = inspect_config(home, {})
    assert [error.key for error in found.errors] == [None, "gateway.port", "gateway.host", "dashboard.port"]


@given(st.binary(max_size=300))
def test_rubbish_is_a_config_error_or_a_configuration(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    home = Home("default", tmp_path_factory.mktemp("rubbish"))
    home.config.write_bytes(data)
    for error in inspect_config(home, {}).errors:
        assert isinstance(error, ConfigError)


_WORDS = (
    "gateway port host : 8642 0 007 1.5 1_0 10.0.0.1 a-b yes No null ~ 's' 'it''s' #c [ { *a | > "
    '1:20 0x1f 2026-01-01 e5 1e5 --- ? << . % @ "q:x" "\\n"'
)
_SPACED = (": ", "\n", "  ", "    ", "\t", " # c", "- ", "&a ", "!!int ", '"q: x"')
_pieces = st.sampled_from([*_WORDS.split(), *_SPACED])
_leaf = st.builds("  {}: {}{}\n".format, st.sampled_from(["port", "host", "drain_timeout"]), _pieces, _pieces)
_line = st.one_of(_leaf, st.sampled_from(["gateway:\n", "dashboard: # c\n", "\n", "# c\n", "   # c\n"]))
_documents = st.one_of(st.lists(_pieces, max_size=14), st.lists(_line, max_size=6)).map("".join)


@given(_documents)
@example("gateway:\n  port: 8642\n  # c\ndashboard:\n")
@example("gateway:\n  host: 'it''s'\n")
@example("gateway:\n  host: a\n    port: 1\n")
@example("gateway: # c\n  host: a#b\n")
@example("gateway:\n  host: NULL\n")
def test_the_quick_reader_says_what_yaml_says_or_nothing(text: str) -> None:
    quick = plain.parse(text)
    if quick is not None:
        slow = yaml_tree.parse(text, Path("config.yaml"))
        assert [(e.key, e.line, e.column) for e in quick] == [(e.key, e.line, e.column) for e in slow]
        for ours, theirs in zip(quick, slow, strict=True):
            assert ours.entries() == theirs.entries()
            for mine, other in zip(ours.entries() or [], theirs.entries() or [], strict=True):
                assert type(mine.value) is type(other.value)


def test_the_quick_reader_covers_what_a_new_profile_gets(tmp_path: Path) -> None:
    from hermes_cli.profiles import seed_home

    home = Home("default", tmp_path)
    seed_home(home, environ={})
    assert plain.parse(home.config.read_text()) is not None


def test_a_plain_configuration_costs_no_yaml_import(home: Home) -> None:
    import subprocess

    home.config.write_text("gateway:\n  port: 9000\n")
    script = (
        "import sys; from pathlib import Path; from hermes_cli.home import Home; "
        "from hermes_cli.config import load_config; "
        f"assert load_config(Home('coder', Path({str(home.root)!r}))).gateway.port == 9000; "
        "print('yaml' in sys.modules, 'ruamel' in sys.modules)"
    )
    out = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=30
    )
    assert out.stdout.split() == ["False", "False"]


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ('""', "is empty, and agent.kind is command"),
        ("'  '", "is empty"),
        ("echo 'a", "no closing quotation"),
        ("echo '{mesage}'", "{mesage} is not known"),
    ],
)
def test_an_agent_without_a_command_is_an_error(home: Home, command: str, says: str) -> None:
    error = refused(home, f"agent:\n  kind: command\n  command: {command}\n")
    assert error.key == "agent.command"
    assert says in str(error)


def test_the_settings_of_agents_and_runs_are_read(home: Home) -> None:
    home.config.write_text(
        "agent:\n  kind: command\n  command: my-agent --json '{model}'\n  message: stdin\n"
        "  inputs: toolsets, attachments\n  model: sonnet-4.5\n"
        "runs:\n  concurrency: 2\n  on_conflict: queue\n  deadline: 3600\n  keep_events_days: 0.5\n"
    )
    config = load_config(home, {})
    assert (config.agent.kind, config.agent.command) == ("command", "my-agent --json '{model}'")
    assert config.agent.named_inputs == {"toolsets", "attachments"}
    assert config.agent.model == "sonnet-4.5"
    assert (config.agent.message, config.agent.workspace) == ("stdin", "")
    assert (config.runs.concurrency, config.runs.on_conflict, config.runs.deadline) == (2, "queue", 3600.0)
    assert (config.runs.keep_events_days, config.runs.keep_runs_days) == (0.5, 90.0)
