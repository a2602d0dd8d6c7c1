"""Profiles: what is made, what is refused, and that many commands at once do not meet."""

from __future__ import annotations

import errno
import os
import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hermes_cli.config import load_config, load_env
from hermes_cli.gateway.records import IntentRecord
from hermes_cli.home import Home, load, save
from hermes_cli.profiles import (
    NotAProfileError,
    PortTakenError,
    ProfileError,
    ProfileExistsError,
    ProfileNotFoundError,
    ReservedProfileError,
    StorageError,
    check_port,
    create_profile,
    delete_profile,
    get_profile,
    list_profiles,
    recover_half_done,
    rename_profile,
    seed_home,
    survey,
)
from hermes_cli.profiles.alias import alias_of
from hermes_cli.profiles.lock import profiles_lock
from hermes_cli.service_manager import InvalidNameError, ServiceError, validate_profile_name
from tests.fakes.supervisor import FileSupervisor


@pytest.fixture
def supervisor(tmp_path: Path) -> FileSupervisor:
    return FileSupervisor(tmp_path / "slots")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "root"


def everything(root: Path) -> list[str]:
    """What is below `root`, except the lock that stays."""
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.name != "profiles.lock")


class TestCreate:
    def test_makes_a_home_that_can_be_used_at_once(self, root: Path) -> None:
        made = create_profile("coder", root=root)
        config = load_config(made.home, {})
        assert config.gateway.port == made.port
        assert config.warnings == []
        assert config.gateway.token is not None
        assert made.home.soul.read_text()
        assert made.home.run_dir.is_dir()
        assert made.created_at is not None

    def test_keeps_everything_private(self, root: Path) -> None:
        home = create_profile("coder", root=root).home
        for path in (home.env, home.config, home.soul):
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(home.path.stat().st_mode) == 0o700

    def test_gives_each_profile_a_port_of_its_own_from_8643_up(self, root: Path) -> None:
        assert [create_profile(name, root=root).port for name in ("a", "b", "c")] == [8643, 8644, 8645]
        delete_profile("b", root=root)
        assert create_profile("d", root=root).port == 8644

    def test_skips_the_port_that_default_has_taken_instead(self, root: Path) -> None:
        root.mkdir()
        Home("default", root).config.write_text("gateway:\n  port: 8643\n")
        assert [create_profile(name, root=root).port for name in ("a", "b")] == [8642, 8644]

    def test_gives_each_profile_a_fresh_token_whatever_the_environment_says(
        self, root: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HERMES_GATEWAY_TOKEN", "shared")
        tokens = {load_config(create_profile(name, root=root).home).gateway.token for name in "abc"}
        assert len(tokens) == 3
        assert all(token and len(token) >= 43 for token in tokens)

    def test_registers_a_gateway_that_is_down(self, root: Path, supervisor: FileSupervisor) -> None:
        create_profile("coder", manager=supervisor, root=root)
        assert supervisor.slots() == {"coder": "down"}

    def test_refuses_a_name_that_is_taken_and_changes_nothing(self, root: Path) -> None:
        home = create_profile("coder", root=root).home
        before = home.env.read_text()
        with pytest.raises(ProfileExistsError, match="hermes profile delete coder"):
            create_profile("coder", root=root)
        assert home.env.read_text() == before

    def test_refuses_default(self, root: Path) -> None:
        with pytest.raises(ReservedProfileError):
            create_profile("default", root=root)

    @pytest.mark.parametrize(
        "name", ["", "A", "-a", "_a", "a b", "a.b", "../a", "a/b", "a\n", "é", "x" * 244]
    )
    def test_refuses_names_outside_the_rule(self, root: Path, name: str) -> None:
        with pytest.raises(InvalidNameError):
            create_profile(name, root=root)
        assert not root.exists()

    def test_takes_the_longest_name_there_is(self, root: Path) -> None:
        name = "x" * 243
        create_profile(name, root=root)
        rename_profile(name, "y" * 243, root=root)
        assert [profile.name for profile in list_profiles(root)] == ["default", "y" * 243]

    @pytest.mark.parametrize("kind", ["empty directory", "link", "dangling link", "file", "other directory"])
    def test_touches_nothing_that_lies_where_the_home_would_be(self, root: Path, kind: str) -> None:
        place = root / "profiles" / "coder"
        place.parent.mkdir(parents=True)
        if kind == "empty directory":
            place.mkdir()
        elif kind == "file":
            place.write_text("mine")
        elif kind == "other directory":
            (place / "photos").mkdir(parents=True)
        else:
            place.symlink_to(root if kind == "link" else "nowhere")
        before = everything(root)
        with pytest.raises(NotAProfileError):
            create_profile("coder", root=root)
        assert [name for name in everything(root) if name != "run"] == before

    @pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EDQUOT, errno.EACCES])
    def test_leaves_nothing_behind_when_the_disk_refuses(
        self, root: Path, supervisor: FileSupervisor, monkeypatch: pytest.MonkeyPatch, code: int
    ) -> None:
        create_profile("bystander", manager=supervisor, root=root)
        before = everything(root)
        real = os.fsync
        calls = iter(range(100))

        def failing(descriptor: int) -> None:
            if next(calls) == 3:
                raise OSError(code, os.strerror(code))
            real(descriptor)

        monkeypatch.setattr("os.fsync", failing)
        with pytest.raises(
            StorageError, match=r"could not create profile 'coder' at .*: (the disk|the file|this user)"
        ):
            create_profile("coder", manager=supervisor, root=root)
        assert everything(root) == before
        assert supervisor.slots() == {"bystander": "down"}

    def test_leaves_nothing_behind_when_the_registration_fails(
        self, root: Path, supervisor: FileSupervisor, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        create_profile("bystander", manager=supervisor, root=root)
        before = everything(root)

        def refuse(profile: str, **_: object) -> None:
            raise ServiceError(f"no room for {profile}")

        monkeypatch.setattr(supervisor, "register_profile_gateway", refuse)
        with pytest.raises(ServiceError, match="no room for coder"):
            create_profile("coder", manager=supervisor, root=root)
        assert everything(root) == before

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
    def test_says_what_to_do_about_a_home_of_somebody_else(self, root: Path) -> None:
        root.mkdir(mode=0o500)
        with pytest.raises(StorageError, match="this user may not write there"):
            create_profile("coder", root=root)


class TestDelete:
    def test_removes_everything(self, root: Path, supervisor: FileSupervisor) -> None:
        create_profile("bystander", manager=supervisor, root=root)
        before = everything(root)
        home = create_profile("coder", manager=supervisor, root=root).home
        supervisor.start("gateway-coder")
        (home.gateway_log).mkdir(parents=True)
        (home.gateway_log / "current").write_text("a log")
        delete_profile("coder", manager=supervisor, root=root)
        assert [name for name in everything(root) if not name.startswith("logs")] == before
        assert not home.gateway_log.exists()
        assert supervisor.slots() == {"bystander": "down"}

    def test_follows_no_link_out_of_the_home(self, root: Path, tmp_path: Path) -> None:
        home = create_profile("coder", root=root).home
        (tmp_path / "outside").mkdir()
        (tmp_path / "outside" / "precious").write_text("precious")
        (home.path / "link").symlink_to(tmp_path / "outside")
        delete_profile("coder", root=root)
        assert (tmp_path / "outside" / "precious").read_text() == "precious"

    def test_removes_directories_that_forbid_it(self, root: Path) -> None:
        home = create_profile("coder", root=root).home
        (home.path / "cache" / "module").mkdir(parents=True)
        (home.path / "cache" / "module" / "file").write_text("x")
        (home.path / "cache" / "module").chmod(0o500)
        (home.path / "cache").chmod(0)
        delete_profile("coder", root=root)
        assert list((root / "profiles").iterdir()) == []

    def test_names_the_nearest_profile_when_there_is_none(self, root: Path) -> None:
        create_profile("coder", root=root)
        with pytest.raises(ProfileNotFoundError, match="did you mean 'coder'"):
            delete_profile("codr", root=root)

    def test_refuses_default(self, root: Path) -> None:
        with pytest.raises(ReservedProfileError):
            delete_profile("default", root=root)

    def test_refuses_a_link(self, root: Path, tmp_path: Path) -> None:
        (root / "profiles").mkdir(parents=True)
        (tmp_path / "elsewhere").mkdir()
        (root / "profiles" / "coder").symlink_to(tmp_path / "elsewhere")
        with pytest.raises(NotAProfileError, match="a symbolic link"):
            delete_profile("coder", root=root)
        assert (tmp_path / "elsewhere").is_dir()

    def test_removes_nothing_when_the_gateway_does_not_stop(
        self, root: Path, supervisor: FileSupervisor, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        home = create_profile("coder", manager=supervisor, root=root).home

        def refuse(name: str) -> None:
            raise ServiceError(f"{name} does not stop")

        monkeypatch.setattr(supervisor, "stop", refuse)
        with pytest.raises(ServiceError, match="does not stop"):
            delete_profile("coder", manager=supervisor, root=root)
        assert home.config.is_file()
        assert supervisor.slots() == {"coder": "down"}

    def test_keeps_the_home_when_the_registration_cannot_be_removed(
        self, root: Path, supervisor: FileSupervisor, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        home = create_profile("coder", manager=supervisor, root=root).home

        def refuse(profile: str) -> None:
            raise ServiceError(f"{profile} is stuck")

        monkeypatch.setattr(supervisor, "unregister_profile_gateway", refuse)
        with pytest.raises(ServiceError, match="stuck"):
            delete_profile("coder", manager=supervisor, root=root)
        assert home.config.is_file()


class TestRename:
    def test_moves_home_log_and_slot_and_keeps_port_and_token(
        self, root: Path, supervisor: FileSupervisor
    ) -> None:
        old = create_profile("coder", manager=supervisor, root=root)
        token = load_env(old.home.env)
        old.home.gateway_log.mkdir(parents=True)
        (old.home.gateway_log / "current").write_text("a log")
        new = rename_profile("coder", "writer", manager=supervisor, root=root)
        assert (new.port, load_env(new.home.env)) == (old.port, token)
        assert not old.home.path.exists()
        assert (new.home.gateway_log / "current").read_text() == "a log"
        assert supervisor.slots() == {"writer": "down"}

    def test_runs_afterwards_if_it_was_to_run(self, root: Path, supervisor: FileSupervisor) -> None:
        home = create_profile("coder", manager=supervisor, root=root).home
        save(home.intent, IntentRecord(intent="running", requested_at=1.0))
        supervisor.start("gateway-coder")
        renamed = rename_profile("coder", "writer", manager=supervisor, root=root)
        assert supervisor.slots() == {"writer": "up"}
        intent = load(renamed.home.intent, IntentRecord)
        assert intent is not None
        assert intent.intent == "running"

    def test_is_undone_when_the_new_slot_cannot_be_made(
        self, root: Path, supervisor: FileSupervisor, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        home = create_profile("coder", manager=supervisor, root=root).home
        save(home.intent, IntentRecord(intent="running", requested_at=1.0))
        supervisor.start("gateway-coder")
        real = supervisor.register_profile_gateway

        def refuse(profile: str, **_: object) -> None:
            if profile == "writer":
                raise ServiceError("no room")
            real(profile)

        monkeypatch.setattr(supervisor, "register_profile_gateway", refuse)
        with pytest.raises(ServiceError, match="no room"):
            rename_profile("coder", "writer", manager=supervisor, root=root)
        assert supervisor.slots() == {"coder": "up"}
        assert [path.name for path in (root / "profiles").iterdir()] == ["coder"]

    def test_refuses_a_taken_name(self, root: Path) -> None:
        create_profile("a", root=root)
        create_profile("b", root=root)
        with pytest.raises(ProfileExistsError):
            rename_profile("a", "b", root=root)

    @pytest.mark.parametrize(("old", "new"), [("default", "a"), ("a", "default")])
    def test_refuses_default(self, root: Path, old: str, new: str) -> None:
        create_profile("a", root=root)
        with pytest.raises(ReservedProfileError):
            rename_profile(old, new, root=root)


class TestList:
    def test_has_default_even_in_an_empty_home(self, root: Path) -> None:
        assert [(profile.name, profile.port) for profile in list_profiles(root)] == [("default", 8642)]

    def test_reports_what_is_no_profile_and_goes_on(self, root: Path, tmp_path: Path) -> None:
        create_profile("good", root=root)
        profiles = root / "profiles"
        (profiles / "empty").mkdir()
        (profiles / "link").symlink_to(tmp_path)
        (profiles / "file").write_text("")
        (profiles / "Wrong Name").mkdir()
        (profiles / "photos").mkdir()
        (profiles / "photos" / "cat.jpg").write_text("")
        (profiles / "default").mkdir()
        found = survey(root)
        assert [profile.name for profile in found.profiles] == ["default", "good"]
        assert dict(found.strays) == {
            "empty": "an empty directory",
            "link": "a symbolic link",
            "file": "a file",
            "Wrong Name": "something whose name no profile can have",
            "photos": "a directory without config.yaml",
            "default": "something named like the profile 'default', whose home is elsewhere",
        }

    def test_shows_a_profile_whose_configuration_is_broken(self, root: Path) -> None:
        home = create_profile("coder", root=root).home
        home.config.write_text("gateway:\n  port: eight\n")
        profile = get_profile("coder", root)
        assert profile.port is None
        assert profile.config_error is not None
        assert f"{home.config}:2:9: gateway.port" in profile.config_error

    def test_knows_a_port_beside_an_error_elsewhere(self, root: Path) -> None:
        home = create_profile("coder", root=root).home
        home.config.write_text("gateway:\n  port: 9000\n  host: 5\n")
        assert get_profile("coder", root).port == 9000

    def test_two_profiles_with_one_port_are_refused_with_the_name_of_the_other(self, root: Path) -> None:
        create_profile("a", root=root)
        create_profile("b", root=root)
        with pytest.raises(PortTakenError, match="port 8643 of profile 'b' belongs to profile 'a' already"):
            check_port("b", 8643, root)
        check_port("a", 8643, root)


class TestSeed:
    def test_leaves_what_exists(self, root: Path) -> None:
        home = Home("default", root)
        root.mkdir()
        home.env.write_text("MINE=1\n")
        seed_home(home, environ={})
        assert home.env.read_text() == "MINE=1\n"
        assert home.config.is_file()

    def test_does_nothing_the_second_time(self, root: Path) -> None:
        home = Home("default", root)
        assert seed_home(home, environ={})
        assert seed_home(home, environ={}) == []

    def test_makes_no_token_for_default_where_the_environment_has_one(self, root: Path) -> None:
        home = Home("default", root)
        seed_home(home, environ={"HERMES_GATEWAY_TOKEN": "given"})
        assert load_config(home, {"HERMES_GATEWAY_TOKEN": "given"}).gateway.token == "given"

    def test_writes_through_no_link(self, root: Path, tmp_path: Path) -> None:
        root.mkdir()
        Home("default", root).env.symlink_to(tmp_path / "elsewhere")
        seed_home(Home("default", root), environ={})
        assert not (tmp_path / "elsewhere").exists()


class TestAlias:
    def test_on_a_host_it_acts_on_its_own_home(
        self, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        commands = tmp_path / "commands"
        commands.mkdir()
        (commands / "hermes").write_text('#!/bin/sh\necho "$HERMES_HOME" "$@"\n')
        (commands / "hermes").chmod(0o755)
        monkeypatch.setenv("PATH", f"{commands}:/usr/bin:/bin")
        create_profile("coder", root=root)
        alias = alias_of(root, "coder", None)
        assert alias.path is not None
        out = subprocess.run(
            [alias.path, "status", "a b"], capture_output=True, text=True, check=True, timeout=10
        )
        assert out.stdout == f"{root} -p coder status a b\n"

    def test_says_how_to_reach_it_where_it_is_not_on_path(
        self, root: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        create_profile("coder", root=root)
        assert str(root / "bin") in alias_of(root, "coder", None).note
        monkeypatch.setenv("PATH", f"/usr/bin:/bin:{root / 'bin'}")
        assert alias_of(root, "coder", None).note == ""

    def test_there_is_none_where_a_command_has_the_name(self, root: Path) -> None:
        create_profile("sh", root=root)
        alias = alias_of(root, "sh", None)
        assert alias.path is None
        assert re.fullmatch(r"/.*/sh exists", alias.note)

    def test_goes_with_its_profile(self, root: Path) -> None:
        create_profile("coder", root=root)
        rename_profile("coder", "writer", root=root)
        assert [path.name for path in (root / "bin").iterdir()] == ["writer"]
        delete_profile("writer", root=root)
        assert list((root / "bin").iterdir()) == []

    def test_a_file_of_somebody_else_stays(self, root: Path) -> None:
        (root / "bin").mkdir(parents=True)
        (root / "bin" / "coder").write_text("mine")
        create_profile("coder", root=root)
        delete_profile("coder", root=root)
        assert (root / "bin" / "coder").read_text() == "mine"


class TestTogether:
    def test_twenty_commands_at_once_make_twenty_profiles_with_twenty_ports(self, root: Path) -> None:
        def all_at_once(*words: str) -> None:
            running = [
                subprocess.Popen(
                    [
                        sys.executable,
                        "-m",
                        "hermes_cli.cli.main",
                        "profile",
                        words[0],
                        f"p{number}",
                        *words[1:],
                    ],
                    env={**os.environ, "HERMES_HOME": str(root)},
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.PIPE,
                    text=True,
                )
                for number in range(20)
            ]
            for one in running:
                _, said = one.communicate(timeout=50)
                assert one.returncode == 0, said

        all_at_once("create")
        profiles = list_profiles(root)
        assert sorted(profile.port or 0 for profile in profiles) == list(range(8642, 8663))
        assert len({load_config(profile.home, {}).gateway.token for profile in profiles[1:]}) == 20
        all_at_once("delete", "--yes")
        assert list((root / "profiles").iterdir()) == []

    def test_a_command_that_waits_too_long_says_for_what(self, root: Path) -> None:
        root.mkdir()
        with (
            profiles_lock(root),
            pytest.raises(ProfileError, match=r"profiles\.lock"),
            profiles_lock(root, wait=0.05),
        ):
            pass

    def test_recovery_leaves_alone_what_a_living_command_is_deleting(self, root: Path) -> None:
        from hermes_cli.profiles.lock import claimed

        create_profile("coder", root=root)
        doomed = root / "profiles" / ".coder.deleted"
        (root / "profiles" / "coder").rename(doomed)
        with claimed(doomed) as mine:
            assert mine
            assert recover_half_done(None, root) == []
            assert doomed.is_dir()
        assert recover_half_done(None, root) == ["profile 'coder' was half deleted and is gone now"]


@given(st.text(max_size=260))
def test_a_name_is_valid_exactly_when_the_rule_says_so(name: str) -> None:
    fits = re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,242}", name) is not None and "\n" not in name
    try:
        assert validate_profile_name(name) == name
    except InvalidNameError:
        assert not fits
    else:
        assert fits
