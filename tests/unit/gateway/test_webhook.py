"""What the webhook is told: every event once it is asked for, signed, in order, until it is too old."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import logging
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hermes_cli.cli.main import run
from hermes_cli.config import ConfigError, inspect_config, load_config
from hermes_cli.doctor.model import Scene
from hermes_cli.doctor.webhook import webhook as check_webhook
from hermes_cli.gateway import supervision_log, webhook_delivery
from hermes_cli.gateway.supervision_log import record_event
from hermes_cli.gateway.webhook_cursor import (
    CursorRecord,
    cursor_path,
    delivering,
    ensure_cursor,
    load_cursor,
    save_cursor,
    waiting,
)
from hermes_cli.gateway.webhook_delivery import MAX_AGE, deliver
from hermes_cli.gateway.webhook_request import post, signature
from hermes_cli.gateway.webhook_settings import Webhook, is_mentioned, webhook_of
from hermes_cli.home import Home
from tests.fakes.endpoint import Delivery, Endpoint, endpoint

SECRET = "a secret of the endpoint"


@pytest.fixture
def hook() -> Iterator[Endpoint]:
    with endpoint() as made:
        yield made


@pytest.fixture
def root(tmp_path: Path, hook: Endpoint, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "home"
    root.mkdir()
    for name in (
        "HERMES_WEBHOOK",
        "HERMES_WEBHOOK_SECRET",
        "http_proxy",
        "HTTP_PROXY",
        "ALL_PROXY",
        "all_proxy",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HERMES_HOME", str(root))
    configure(root, hook.url)
    ensure_cursor(root)
    return root


def configure(root: Path, url: str, more: str = "") -> None:
    (root / "config.yaml").write_text(f"notifications:\n  webhook: {url}\n{more}")


def park(root: Path, profile: str = "coder", **more: Any) -> None:
    record_event(root, profile, "parked", code=78, **{"detail": "port 1 is taken", "kind": "config"} | more)


def cursor(root: Path) -> CursorRecord:
    found = load_cursor(root)
    assert found is not None
    return found


# What is sent


def test_a_parking_is_one_post_with_the_documented_body(root: Path, hook: Endpoint) -> None:
    park(root)
    assert deliver(root)
    assert deliver(root)
    [delivery] = hook.got
    body = delivery.body
    assert delivery.path == "/hooks/token"
    assert delivery.headers["content-type"] == "application/json"
    assert delivery.headers["webhook-id"] == body["id"]
    assert body["id"].startswith("evt_")
    assert abs(int(delivery.headers["webhook-timestamp"]) - time.time()) < 60
    assert "webhook-signature" not in delivery.headers
    assert set(body) == {
        *("version", "id", "type", "profile", "at", "reason", "code", "signal", "detail", "text", "host"),
        "hermes_version",
    }
    expected = {"version": 1, "type": "parked", "profile": "coder", "reason": "config", "code": 78}
    assert {name: body[name] for name in expected} == expected
    assert body["text"] == (
        "coder: parked: port 1 is taken; mend the cause, then 'hermes -p coder gateway start'"
    )
    assert cursor(root).delivered_at is not None


@pytest.mark.parametrize(
    ("secret", "key"),
    [(SECRET, SECRET.encode()), ("whsec_" + base64.b64encode(b"k" * 24).decode(), b"k" * 24)],
)
def test_the_signature_is_that_of_the_standard(root: Path, hook: Endpoint, secret: str, key: bytes) -> None:
    (root / ".env").write_text(f"HERMES_WEBHOOK_SECRET={secret}\n")
    park(root)
    assert deliver(root)
    [delivery] = hook.got
    signed = (
        f"{delivery.headers['webhook-id']}.{delivery.headers['webhook-timestamp']}.".encode() + delivery.raw
    )
    expected = base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
    assert delivery.headers["webhook-signature"] == f"v1,{expected}"


def test_the_signature_of_the_standards_own_example() -> None:
    """From the reference implementations' tests."""
    body = b'{"test": 2432232314}'
    found = signature(
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body
    )
    assert found == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_only_what_is_asked_for_is_told_in_order(root: Path, hook: Endpoint) -> None:
    for kind in ("ready", "crashed", "draining", "exited"):
        record_event(root, "coder", kind)
    park(root, "a")
    park(root, "b")
    assert deliver(root)
    assert [delivery.body["profile"] for delivery in hook.got] == ["a", "b"]
    configure(root, hook.url, "  events: crashed, ready\n")
    record_event(root, "c", "crashed", signal="SIGKILL")
    park(root, "d")
    record_event(root, "e", "ready")
    assert deliver(root)
    assert [delivery.body["profile"] for delivery in hook.got[2:]] == ["c", "e"]
    assert hook.got[2].body["signal"] == "SIGKILL"


def test_what_was_before_the_webhook_is_no_news(tmp_path: Path, root: Path, hook: Endpoint) -> None:
    cursor_path(root).unlink()
    park(root, "before")
    ensure_cursor(root)
    ensure_cursor(root)
    park(root, "after")
    assert deliver(root)
    assert [delivery.body["profile"] for delivery in hook.got] == ["after"]


def test_hostile_details_are_sent_as_data_and_shown_as_text(root: Path, hook: Endpoint) -> None:
    park(root, detail='\x1b[2J"}\n{\u202e</script>')
    assert deliver(root)
    assert hook.got[0].body["detail"] == '\x1b[2J"}\n{\u202e</script>'
    assert hook.got[0].body["text"].isprintable()


def test_a_name_and_a_password_in_the_address_become_a_header(root: Path, hook: Endpoint) -> None:
    configure(root, hook.url.replace("http://", "http://me:s%40crt@"))
    park(root)
    assert deliver(root)
    assert hook.got[0].headers["authorization"] == "Basic " + base64.b64encode(b"me:s@crt").decode()


# What goes wrong


def test_an_endpoint_that_is_down_is_told_when_it_is_up_again_once(root: Path, hook: Endpoint) -> None:
    hook.close()
    park(root)
    assert not deliver(root)
    assert cursor(root).attempts == 1
    assert "refused" in cursor(root).problem
    hook.open()
    assert deliver(root)
    assert deliver(root)
    assert len(hook.got) == 1
    assert (cursor(root).attempts, cursor(root).problem) == (0, "")


@pytest.mark.parametrize("status", [500, 503, 404, 401, 429, 301, 307])
def test_any_other_answer_than_success_is_tried_again_with_the_same_id(
    root: Path, hook: Endpoint, status: int
) -> None:
    hook.answer = lambda delivery: status
    park(root)
    park(root, "second")
    assert not deliver(root)
    assert not deliver(root)
    assert cursor(root).problem.startswith(f"answered {status}")
    assert {delivery.path for delivery in hook.got} == {"/hooks/token"}, "a redirection was followed"
    hook.answer = lambda delivery: 200
    assert deliver(root)
    assert [delivery.body["profile"] for delivery in hook.got] == ["coder", "coder", "coder", "second"]
    assert len({delivery.raw for delivery in hook.got}) == 2


def test_the_pauses_double_up_to_ten_minutes(root: Path, hook: Endpoint) -> None:
    hook.answer = lambda delivery: 500
    park(root)
    now, pauses = time.time(), []
    for _ in range(10):
        assert not deliver(root, lambda: now)
        pauses.append(round(cursor(root).next_try_at - now))
    assert pauses == [5, 10, 20, 40, 80, 160, 320, 600, 600, 600]


def test_a_day_later_it_is_given_up_and_said(
    root: Path, hook: Endpoint, caplog: pytest.LogCaptureFixture
) -> None:
    hook.answer = lambda delivery: 500
    park(root)
    assert not deliver(root)
    assert deliver(root, lambda: time.time() + MAX_AGE + 60)
    assert len(hook.got) == 1
    assert "not told any more" in caplog.text
    assert cursor(root).given_up == 1
    messages = [result.finding.message for result in check_webhook(Scene(root, None))]
    assert any("1 events were never told" in message for message in messages)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"", "without response"),
        (b"rubbish\r\n\r\n", "no HTTP"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\nshort", "answered 200"),
        (b"HTTP/1.1 abc\r\n\r\n", "no HTTP"),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 500, "no HTTP"),
    ],
)
def test_an_answer_that_is_rubbish_is_an_answer(
    root: Path, hook: Endpoint, answer: bytes, words: str
) -> None:
    hook.answer = lambda delivery: answer
    webhook = webhook_of(root)
    assert webhook is not None
    assert words in post(webhook, "evt_1", b"{}").words


def test_a_slow_endpoint_is_left_after_the_timeout_even_if_it_drips(root: Path, hook: Endpoint) -> None:
    configure(root, hook.url, "  timeout: 1\n")

    def drip(delivery: Delivery) -> int:
        time.sleep(8)
        return 204

    hook.answer = drip
    park(root)
    assert not deliver(root)
    assert cursor(root).problem == "gave no answer within 1 s"


def test_what_is_secret_is_in_no_log(root: Path, hook: Endpoint, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    (root / ".env").write_text(f"HERMES_WEBHOOK_SECRET={SECRET}\n")
    configure(root, hook.url.replace("http://", "http://me:s3cr3t@"))
    for answer in (500, b"rubbish"):
        hook.answer = lambda delivery, answer=answer: answer  # type: ignore[misc]
        park(root)
        assert not deliver(root)
    hook.close()
    assert not deliver(root)
    messages = " ".join(result.finding.message for result in check_webhook(Scene(root, None)))
    for text in (caplog.text, cursor_path(root).read_text(), messages):
        assert "127.0.0.1" in text or "answered" in text or "refused" in text
        assert not any(word in text for word in ("s3cr3t", SECRET, "/hooks/token"))


def test_a_cursor_that_was_lost_in_the_middle_of_a_delivery_sends_the_same_id_again(
    root: Path, hook: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    park(root)
    with monkeypatch.context() as patch:
        patch.setattr(webhook_delivery, "save_cursor", killed)
        with pytest.raises(KeyboardInterrupt):
            deliver(root)
    assert deliver(root)
    first, second = hook.got
    assert first.raw == second.raw


# The place in the log


def test_rotations_lose_and_repeat_nothing(
    root: Path, hook: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervision_log, "ROTATE_AT", 1500)
    for number in range(60):
        park(root, f"p{number}")
        record_event(root, "noise", "ready", detail="x" * (number % 7 * 40))
        if number % 4 == 3:
            assert deliver(root)
    assert deliver(root)
    assert [delivery.body["profile"] for delivery in hook.got] == [f"p{number}" for number in range(60)]
    assert (root / "logs" / "supervision.jsonl.1").exists()
    assert len({delivery.body["id"] for delivery in hook.got}) == 60


def test_a_new_log_with_the_inode_of_an_old_one_is_a_new_log(root: Path, hook: Endpoint) -> None:
    path = root / "logs" / "supervision.jsonl"
    park(root, "old")
    assert deliver(root)
    path.write_text("")  # the same inode
    park(root, "new", detail="longer than what was there before " * 3)
    assert deliver(root)
    assert [delivery.body["profile"] for delivery in hook.got] == ["old", "new"]


@pytest.mark.parametrize("rubbish", ["", "rubbish", "[]", '{"offset": "x"}', '{"offset": -5, "head": "no"}'])
def test_a_damaged_cursor_tells_again_rather_than_not(root: Path, hook: Endpoint, rubbish: str) -> None:
    park(root)
    cursor_path(root).write_text(rubbish)
    assert deliver(root)
    assert len(hook.got) == 1


def test_torn_and_foreign_lines_are_passed_over(root: Path, hook: Endpoint) -> None:
    with (root / "logs" / "supervision.jsonl").open("ab") as log:
        log.write(b'{"event":"parked"}\n"parked"\n[\n{"event":"parked","ts":1,"profile":"x"}\n\xff"parked"\n')
        log.write(b"[" * 5000 + b'"parked"\n{"ts":"2026-')
    park(root, "whole")
    assert deliver(root)
    assert [delivery.body["profile"] for delivery in hook.got] == ["whole"]


def test_an_event_whose_time_nobody_can_read_is_given_up(root: Path, hook: Endpoint) -> None:
    with (root / "logs" / "supervision.jsonl").open("a") as log:
        log.write('{"event":"parked","ts":"soon","profile":"x"}\n')
    assert deliver(root)
    assert hook.got == []


def test_one_delivers_at_a_time(root: Path) -> None:
    with delivering(root) as first:
        assert first is not None
        with delivering(root) as second:
            assert second is None
    with delivering(root) as third:
        assert third is not None


def test_a_line_that_is_being_written_is_waited_for(root: Path) -> None:
    with (root / "logs" / "supervision.jsonl").open("a") as log:
        log.write('{"event":"parked","ts":"2026-11-21T08:00:00Z","profile":"x"')
    assert waiting(root, cursor(root).position, {"parked"}) == []


# Settings


@pytest.mark.parametrize(
    "line",
    [
        "webhook: ftp://host/x",
        "webhook: 5",
        "webhook: 'http://with space/'",
        "webhook: javascript:alert(1)",
        "webhook: 'https://'",
        "webhook: http://host:99999/",
        "webhook: 'http://[::1/'",
        "webhook: http://host/\n  events: everything",
        "webhook: http://host/\n  timeout: 0",
        "webhook: http://host/\n  secret: in-the-open",
    ],
)
def test_rubbish_is_a_typed_error_a_warning_of_the_gateway_and_a_finding(root: Path, line: str) -> None:
    (root / "config.yaml").write_text(f"notifications:\n  {line}\n")
    with pytest.raises(ConfigError) as error:
        webhook_of(root)
    assert (error.value.key or "").startswith("notifications.")
    home = Home.of(root=root)
    config = load_config(home)  # it starts
    findings = [result.finding for result in check_webhook(Scene(root, None))]
    assert [finding.status for finding in findings] == ["warning"]
    assert "nobody is told" in findings[0].message
    if inspect_config(home).errors:
        assert any("notifications" in warning for warning in config.warnings)


def test_the_section_as_a_whole_may_be_rubbish_and_the_gateway_starts(root: Path) -> None:
    (root / "config.yaml").write_text("notifications: https://example.org\n")
    assert load_config(Home.of(root=root)).gateway.port == 8642
    with pytest.raises(ConfigError):
        webhook_of(root)


def test_the_address_may_stand_in_the_env_file(root: Path, hook: Endpoint) -> None:
    (root / "config.yaml").unlink()
    assert webhook_of(root) is None
    (root / ".env").write_text(f"HERMES_WEBHOOK={hook.url}\n")
    found = webhook_of(root)
    assert found == Webhook(hook.url, None, frozenset({"parked"}), 10.0)
    assert found is not None
    assert found.place == f"http://127.0.0.1:{hook.port}"


def test_the_doctor_warns_of_what_others_may_read_or_guess(root: Path) -> None:
    configure(root, "http://example.org/hook")
    (root / ".env").write_text("HERMES_WEBHOOK_SECRET=short\n")
    found = {result.finding.id: result.finding.message for result in check_webhook(Scene(root, None))}
    assert set(found) == {"webhook plain", "webhook secret"}
    assert "short" not in found["webhook secret"].replace("shorter", "")


def test_the_doctor_tells_of_deliveries_that_fail(root: Path) -> None:
    save_cursor(root, CursorRecord(attempts=3, problem="answered 500", delivered_at=0.0))
    messages = [result.finding.message for result in check_webhook(Scene(root, None))]
    assert any("answered 500; tried 3 times, last told: 1970-01-01" in message for message in messages)


def test_a_configured_address_is_read_without_a_yaml_parser(root: Path) -> None:
    program = (
        "import sys, pathlib; from hermes_cli.gateway.webhook_parting import events_of; "
        f"assert events_of(pathlib.Path({str(root)!r})); print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert not set(done.stdout.split()) & {"yaml", "ruamel", "asyncio", "ssl", "http.client", "hashlib"}


# The command


def test_the_command_sends_a_test_event_and_prints_the_answer(
    root: Path, hook: Endpoint, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["events", "--test-webhook"]
    assert run(command) == 0
    assert f"http://127.0.0.1:{hook.port} answered 204" in capsys.readouterr().out
    assert hook.got[0].body["type"] == "test"
    assert run([*command, "--json"]) == 0
    as_json = json.loads(capsys.readouterr().out)
    assert (as_json["taken"], as_json["words"]) == (True, "answered 204")
    hook.answer = lambda delivery: 500
    assert run(command) == 1
    hook.close()
    capsys.readouterr()
    assert run(command) == 1
    said = capsys.readouterr()
    assert (said.out, "refused" in said.err) == ("", True)
    assert run([*command, "--follow"]) == 2


def test_the_command_says_what_to_do_where_there_is_no_webhook(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (root / "config.yaml").unlink()
    assert run(["events", "--test-webhook"]) == 78
    assert "hermes config set notifications.webhook URL" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["config.yaml", ".env"])
def test_a_pipe_in_the_place_of_a_setting_holds_no_gateway_up(tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / name)
    assert not is_mentioned(tmp_path)
