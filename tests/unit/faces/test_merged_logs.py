"""The logs of many gateways are one, in the order of time, and stay so while they are written."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from hermes_cli.faces import merged_logs
from hermes_cli.faces.merged_logs import Line, MergedLogs
from hermes_cli.home import Home
from hermes_cli.profiles import create_profile
from hermes_cli.service_manager.errors import ServiceError
from hermes_cli.service_manager.logs import FileLog, LogReader

ResultT = TypeVar("ResultT")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("one", "two"):
        create_profile(name, root=tmp_path)
    return tmp_path


def write(root: Path, profile: str, *lines: str, file: str = "current") -> None:
    directory = Home.of(profile, root).gateway_log
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / file).open("a") as log:
        log.write("".join(f"{line}\n" for line in lines))


def at(second: int, text: str) -> str:
    return f"2026-11-21 13:00:{second:02}.000000000  {text}"


def shown(lines: Iterator[Line]) -> list[str]:
    return [f"{line.profile}: {line.text}" for line in lines]


def within(seconds: float, work: Callable[[], ResultT]) -> ResultT:
    """What `work` returns; fails, instead of hanging, where it does not."""
    results: list[ResultT] = []
    thread = threading.Thread(target=lambda: results.append(work()), daemon=True)
    thread.start()
    thread.join(seconds)
    assert results, f"nothing within {seconds} s"
    return results[0]


def take(lines: Iterator[Line], count: int) -> list[str]:
    return within(30, lambda: shown(next(lines) for _ in range(count)))


def test_the_past_is_in_the_order_of_time_across_archives(root: Path) -> None:
    write(root, "one", at(1, "a"), at(4, "d"), file="@400000006b0145d106c389b8.s")
    write(root, "one", at(5, "e"))
    write(root, "two", at(2, "b"), "no time of its own", at(3, "c"), at(6, "f"))
    with MergedLogs(root, None) as merged:
        assert shown(merged.past()) == [
            *("one: a", "two: b", "two: no time of its own", "two: c", "one: d", "one: e", "two: f")
        ]


def test_the_last_lines_are_the_last_of_all_together(root: Path) -> None:
    write(root, "one", *(at(second, str(second)) for second in range(0, 20, 2)))
    write(root, "two", *(at(second, str(second)) for second in range(1, 20, 2)))
    with MergedLogs(root, None, lines=3) as merged:
        assert shown(merged.past()) == ["two: 17", "one: 18", "two: 19"]


def test_what_is_wanted_is_searched_for_in_all_of_it(root: Path) -> None:
    write(root, "one", at(1, "needle 1"), *(at(2, "hay") for _ in range(500)))
    write(root, "two", at(0, "needle 0"), at(3, "needle 3"))
    with MergedLogs(root, None, lines=2, wanted=lambda text: "needle" in text) as merged:
        assert shown(merged.past()) == ["one: needle 1", "two: needle 3"]


def test_only_what_was_written_since(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import datetime

    write(root, "one", at(1, "early"), "of the early one", at(30, "late"), "of the late one")
    since = datetime.datetime.fromisoformat("2026-11-21 13:00:15").timestamp()
    with MergedLogs(root, None, lines=None, since=since) as merged:
        assert shown(merged.past()) == ["one: late", "one: of the late one"]


def test_following_goes_through_rotations_of_all_of_them(root: Path) -> None:
    write(root, "one", at(1, "old"))
    with MergedLogs(root, None) as merged:
        assert shown(merged.past()) == ["one: old"]
        lines = merged.follow()
        write(root, "one", at(2, "before"))
        log = Home.of("one", root).gateway_log
        (log / "current").rename(log / "@400000006b0145d106c389b8.s")
        write(root, "one", at(3, "after"))
        write(root, "two", at(2, "the first"))
        assert sorted(take(lines, 3)) == ["one: after", "one: before", "two: the first"]
        write(root, "two", at(4, "more"))
        assert take(lines, 1) == ["two: more"]


def test_profiles_that_come_and_go_are_followed(root: Path) -> None:
    with MergedLogs(root, None) as merged:
        assert shown(merged.past()) == []
        lines = merged.follow()
        create_profile("three", root=root)
        write(root, "three", at(1, "hello"))
        assert take(lines, 1) == ["three: hello"]
        (root / "profiles" / "one").rename(root / "gone")
        write(root, "two", at(2, "still here"))
        assert take(lines, 1) == ["two: still here"]

        def until_it_is_gone() -> None:
            number = 0
            while "one" in merged.profiles:
                number += 1
                write(root, "two", at(3, str(number)))
                next(lines)

        within(30, until_it_is_gone)


def test_only_the_profiles_that_were_named(root: Path) -> None:
    write(root, "one", at(1, "a"))
    write(root, "two", at(2, "b"))
    with MergedLogs(root, None, ["two"]) as merged:
        assert shown(merged.past()) == ["two: b"]


class Journals:
    """A service manager whose first log may not be read."""

    def open_log(
        self, name: str, *, lines: int | None = 100, since: float = 0.0, cursor: str | None = None
    ) -> LogReader:
        class Refused(FileLog):
            def read(self) -> list[str]:
                raise ServiceError(f"nobody may read {name}")

        return (Refused if name == "gateway-one" else FileLog)(Path("/nonexistent"), lines=lines)


def test_a_log_that_cannot_be_read_is_told_and_hides_no_other(root: Path) -> None:
    with MergedLogs(root, Journals()) as merged:  # type: ignore[arg-type]
        assert shown(merged.past()) == []
        assert merged.failures == {"one": "nobody may read gateway-one"}


def test_a_gateway_installed_while_it_is_followed_joins(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(merged_logs, "_LOOK_FOR_INSTALLED", 0.05)
    monkeypatch.setattr(merged_logs, "_LOOK_FOR_NEW", 0.05)
    elsewhere = tmp_path / "elsewhere"

    class Late:
        """It keeps no log before its directory is there, as systemd before the unit is."""

        def open_log(
            self, name: str, *, lines: int | None = 100, since: float = 0.0, cursor: str | None = None
        ) -> LogReader:
            if not elsewhere.is_dir() or name != "gateway-one":
                raise ServiceError(f"{name} is not installed")
            return FileLog(elsewhere, lines=lines, since=since, cursor=cursor)

    with MergedLogs(root, Late()) as merged:  # type: ignore[arg-type]
        assert shown(merged.past()) == []
        lines = merged.follow()
        elsewhere.mkdir()
        (elsewhere / "current").write_text(at(1, "hello") + "\n")
        assert take(lines, 1) == ["one: hello"]


@pytest.mark.parametrize("lines_before", [0, 100])
def test_a_log_that_is_read_already_is_not_read_again_when_its_manager_knows_it(
    root: Path, monkeypatch: pytest.MonkeyPatch, lines_before: int
) -> None:
    monkeypatch.setattr(merged_logs, "_LOOK_FOR_INSTALLED", 0.0)
    monkeypatch.setattr(merged_logs, "_LOOK_FOR_NEW", 0.05)

    class Same:
        """Its log is where a gateway writes by itself, as on launchd."""

        asked = 0

        def open_log(
            self, name: str, *, lines: int | None = 100, since: float = 0.0, cursor: str | None = None
        ) -> LogReader:
            self.asked += 1
            if self.asked == 1:
                raise ServiceError(f"{name} is not installed")
            return FileLog(Home.of("one", root).gateway_log, lines=lines, since=since, cursor=cursor)

    write(root, "one", at(1, "a"))
    with MergedLogs(root, Same(), ["one"], lines=lines_before) as merged:  # type: ignore[arg-type]
        assert shown(merged.past()) == ["one: a"][:lines_before]
        lines = merged.follow()
        for text in "bcd":
            write(root, "one", at(2, text))
            assert take(lines, 1) == [f"one: {text}"]
