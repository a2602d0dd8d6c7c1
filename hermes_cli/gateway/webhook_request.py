"""One event as a signed POST, by the rules of standardwebhooks.com, and what came of it."""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
import hmac
import http.client
import json
import signal
import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit, urlunsplit

from hermes_cli import __version__
from hermes_cli.faces.printable import plain

from .event_printer import sentence_of
from .webhook_settings import Webhook

_SECRET_PREFIX = "whsec_"
_MOST = 4096
"""Bytes of the answer that are read: it is not looked at."""


class Answer(NamedTuple):
    """What came of one try."""

    taken: bool
    words: str
    """`answered 204`, or why there was no answer: without the address, which may be a secret."""
    seconds: float


def body_of(event: Mapping[str, Any], event_id: str) -> bytes:
    """The JSON that is sent for a line of the supervision log; docs/metrics.md describes its members."""
    body = {
        "version": 1,
        "id": event_id,
        "type": event["event"],
        "profile": event["profile"],
        "at": event["ts"],
        "reason": event.get("kind"),
        "code": event.get("code"),
        "signal": event.get("signal"),
        "detail": event.get("detail"),
        "text": plain(f"{event['profile']}: {sentence_of(dict(event))}"),
        "host": socket.gethostname(),
        "hermes_version": __version__,
    }
    return json.dumps(body, ensure_ascii=False).encode("utf-8", "replace")


def post(webhook: Webhook, event_id: str, body: bytes, *, at: float | None = None) -> Answer:
    """Try once, within the webhook's timeout. Raises nothing that an endpoint or a network can cause."""
    began = time.monotonic()
    taken, words = False, ""
    try:
        with _within(webhook.timeout):
            status = _send(_request(webhook, event_id, body, int(time.time() if at is None else at)), webhook)
        taken, words = 200 <= status < 300, f"answered {status}"
        if 300 <= status < 400:
            words += ", a redirection, which is not followed: configure the address that it leads to"
    except TimeoutError:
        words = f"gave no answer within {webhook.timeout:g} s"
    except urllib.error.URLError as error:
        words = f"cannot be reached: {_reason(error.reason)}"
    except OSError as error:
        words = f"cannot be reached: {_reason(error)}"
    except (http.client.HTTPException, ValueError) as error:
        words = f"gave an answer that is no HTTP ({type(error).__name__})"
    return Answer(taken, words, time.monotonic() - began)


def signature(secret: str, event_id: str, timestamp: int, body: bytes) -> str:
    """`v1,` and the base64 of HMAC-SHA256 over `id.timestamp.body`.

    A secret that begins with `whsec_` is base64 behind that, as the libraries of standardwebhooks.com have
    it; any other is taken as it is.
    """
    key = secret.encode()
    if secret.startswith(_SECRET_PREFIX):
        with contextlib.suppress(binascii.Error):
            key = base64.b64decode(secret.removeprefix(_SECRET_PREFIX), validate=True)
    signed = f"{event_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """An event is for the address that was configured, and for no other."""

    def redirect_request(self, *_: Any) -> None:
        return None


def _request(webhook: Webhook, event_id: str, body: bytes, timestamp: int) -> urllib.request.Request:
    parts = urlsplit(webhook.url)
    user, _, place = parts.netloc.rpartition("@")
    headers = {
        "Content-Type": "application/json",
        "User-Agent": f"hermes/{__version__}",
        "webhook-id": event_id,
        "webhook-timestamp": str(timestamp),
    }
    if user:
        headers["Authorization"] = f"Basic {base64.b64encode(unquote(user).encode()).decode()}"
    if webhook.secret:
        headers["webhook-signature"] = signature(webhook.secret, event_id, timestamp, body)
    url = urlunsplit((parts.scheme, place, parts.path or "/", parts.query, ""))
    return urllib.request.Request(url, data=body, headers=headers, method="POST")


def _send(request: urllib.request.Request, webhook: Webhook) -> int:
    """The status of the answer. Proxies are those of the environment."""
    opener = urllib.request.build_opener(_NoRedirects)
    try:
        with opener.open(request, timeout=webhook.timeout) as answer:
            answer.read(_MOST)
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return int(error.code)


@contextlib.contextmanager
def _within(seconds: float) -> Iterator[None]:
    """Raise TimeoutError after `seconds`: a socket's own timeout begins anew with each byte."""
    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        yield
        return

    def over(*_: object) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, over)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _reason(reason: object) -> str:
    if isinstance(reason, TimeoutError):
        return "it took too long"
    if isinstance(reason, OSError) and reason.strerror:
        return reason.strerror
    return plain(str(reason), 200)
