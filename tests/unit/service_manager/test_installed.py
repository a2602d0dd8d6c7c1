"""Installed files: whole or not there, private from the beginning, edits by hand told from older versions."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hermes_cli.service_manager import RenderedFile, ServiceEditedError, ServiceError
from hermes_cli.service_manager.installed import (
    Comment,
    differences,
    is_edited,
    remove_files,
    signed,
    write_files,
)

BODIES: dict[Comment, str] = {
    "#": "[Unit]\nDescription=ö\n",
    "xml": '<?xml version="1.0" encoding="UTF-8"?>\n<a>\n<b/>\n</a>\n',
    "json": '{\n  "a": 1\n}\n',
    "rem": "@echo off\r\nstart x\r\n",
}


def file(path: Path, body: str, mode: int = 0o644) -> RenderedFile:
    return RenderedFile(path, signed(body), mode)


@pytest.mark.parametrize("comment", list(BODIES))
def test_a_signed_text_is_not_edited_until_one_character_changes(comment: Comment) -> None:
    text = signed(BODIES[comment], comment)
    assert not is_edited(text)
    assert is_edited(text.replace("a", "A", 1))
    assert is_edited(text + "\n")
    assert is_edited(BODIES[comment])


def test_the_signature_does_not_get_into_the_way_of_a_reader() -> None:
    assert ElementTree.fromstring(signed(BODIES["xml"], "xml").encode()).tag == "a"
    assert json.loads(signed(BODIES["json"], "json"))["a"] == 1


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_any_body_that_can_be_signed_is_recognised(body: str) -> None:
    assert not is_edited(signed(body + "\n"))


def test_what_cannot_carry_a_signature_is_refused() -> None:
    for body, comment in [("no end", "#"), ("{}", "json"), ("{\n}\n", "json"), (signed("a\n"), "#")]:
        with pytest.raises(ValueError, match=r"no end|JSON|already"):
            signed(body, comment)  # type: ignore[arg-type]


def test_missing_outdated_and_edited_are_told_apart(tmp_path: Path) -> None:
    new = [file(tmp_path / name, "new\n") for name in ("missing", "outdated", "edited", "foreign", "same")]
    (tmp_path / "outdated").write_text(signed("old\n"))
    (tmp_path / "edited").write_text(signed("old\n").replace("old", "mine"))
    (tmp_path / "foreign").write_text("somebody's\n")
    write_files("web", new[4:])
    found = {difference.path.name: difference for difference in differences(new)}
    assert {name: difference.state for name, difference in found.items()} == {
        "missing": "missing",
        "outdated": "outdated",
        "edited": "edited",
        "foreign": "edited",
    }
    assert "-mine\n+new\n" in found["edited"].diff


def test_nothing_is_written_when_one_file_was_edited_by_hand(tmp_path: Path) -> None:
    rendered = [file(tmp_path / "a", "a\n"), file(tmp_path / "b", "b\n")]
    (tmp_path / "b").write_text("mine\n")
    with pytest.raises(ServiceEditedError) as caught:
        write_files("web", rendered)
    assert caught.value.path == str(tmp_path / "b")
    assert not (tmp_path / "a").exists()
    assert write_files("web", rendered, force=True) == [tmp_path / "a", tmp_path / "b"]
    assert write_files("web", rendered) == []


def test_a_link_in_the_place_of_a_file_is_an_edit_and_its_target_is_never_written(tmp_path: Path) -> None:
    target = tmp_path / "target"
    rendered = file(tmp_path / "unit", "x\n")
    target.write_text(rendered.content)
    (tmp_path / "unit").symlink_to(target)
    assert [difference.state for difference in differences([rendered])] == ["outdated"]
    write_files("web", [rendered], force=True)
    assert not (tmp_path / "unit").is_symlink()
    (tmp_path / "null").symlink_to("/dev/null")
    assert [d.state for d in differences([file(tmp_path / "null", "x\n")])] == ["edited"]


def test_a_fifo_or_a_directory_in_the_place_of_a_file_does_not_hang_or_crash(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "directory").mkdir()
    rendered = [file(tmp_path / "fifo", "x\n"), file(tmp_path / "directory", "x\n")]
    assert [difference.state for difference in differences(rendered)] == ["edited", "edited"]
    with pytest.raises(ServiceError, match="cannot write"):
        write_files("web", rendered[1:], force=True)
    assert [entry.name for entry in tmp_path.iterdir() if entry.name.startswith(".")] == []


def test_a_private_file_is_private_from_its_first_moment_and_a_looser_mode_is_drift(tmp_path: Path) -> None:
    rendered = file(tmp_path / "env", "TOKEN=secret\n", 0o600)
    write_files("web", [rendered])
    assert (tmp_path / "env").stat().st_mode & 0o777 == 0o600
    (tmp_path / "env").chmod(0o644)
    (found,) = differences([rendered])
    assert found.state == "outdated"
    assert "0644" in found.diff
    write_files("web", [rendered])
    assert differences([rendered]) == []


def test_the_diff_of_a_private_file_names_the_settings_and_hides_the_values(tmp_path: Path) -> None:
    (tmp_path / "env").write_text(signed('A=1\nTOKEN=old-secret\nM="one\ntwo"\n'))
    (found,) = differences([file(tmp_path / "env", 'A=1\nTOKEN=new-secret\nM="one\nthree"\n', 0o600)])
    assert "-TOKEN=…\n" in found.diff
    assert "+TOKEN=…\n" in found.diff
    assert not any(word in found.diff for word in ("secret", "two", "three"))


def test_a_full_disk_leaves_the_old_file_and_says_so(tmp_path: Path) -> None:
    script = """
import resource, signal, sys
from pathlib import Path
from hermes_cli.service_manager import RenderedFile, ServiceError
from hermes_cli.service_manager.installed import write_files
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
try:
    write_files("web", [RenderedFile(Path(sys.argv[1]), "x" * 1000)], force=True)
except ServiceError as error:
    print(error)
"""
    (tmp_path / "unit").write_text("old")
    done = subprocess.run(
        [sys.executable, "-c", script, tmp_path / "unit"], capture_output=True, text=True, check=True
    )
    assert "cannot write" in done.stdout
    assert [(entry.name, entry.read_text()) for entry in tmp_path.iterdir()] == [("unit", "old")]


KILLED = """
import os, sys
from pathlib import Path
from hermes_cli.service_manager import RenderedFile
from hermes_cli.service_manager.installed import signed, write_files
left = int(sys.argv[2])
files = [RenderedFile(Path(sys.argv[1], name), signed(name * 5000 + "\\n"), 0o600) for name in "ab"]
def hook(event, arguments):
    global left
    if event in ("open", "os.rename", "os.remove", "os.mkdir") and sys.argv[1] in str(arguments[0]):
        left -= 1
        if left < 0:
            os.kill(os.getpid(), 9)
sys.addaudithook(hook)
write_files("web", files)
"""


def test_a_writer_killed_at_any_step_leaves_whole_files_and_the_next_run_completes_them(
    tmp_path: Path,
) -> None:
    steps = 0
    while True:
        place = tmp_path / str(steps) / "sub"
        code = subprocess.run([sys.executable, "-c", KILLED, place, str(steps)], check=False).returncode
        rendered = [file(place / name, name * 5000 + "\n", 0o600) for name in "ab"]
        for one in rendered:
            assert not one.path.exists() or one.path.read_text() == one.content
        write_files("web", rendered)
        assert sorted(entry.name for entry in place.iterdir()) == ["a", "b"]
        if code == 0:
            break
        assert code == -9
        steps += 1
    assert steps >= 8


def test_files_are_removed_with_what_a_killed_writer_left_and_missing_ones_are_fine(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", KILLED, tmp_path, "6"], check=False)
    assert len(list(tmp_path.iterdir())) >= 1
    assert remove_files([tmp_path / "a", tmp_path / "b", tmp_path / "no/such"]) == [tmp_path / "a"]
    assert list(tmp_path.iterdir()) == []


def test_the_longest_name_that_a_file_may_have_can_be_written(tmp_path: Path) -> None:
    name = "n" * 255
    assert write_files("web", [file(tmp_path / name, "x\n")]) == [tmp_path / name]
