"""The dashboard on real s6: its buttons do what they say, and its own end costs nobody anything."""

from __future__ import annotations

import json
from typing import Any

from tests.docker.containers import Box, Docker, homes, mounted, wait_for

TOKEN = "the-operators-token"
ENVIRONMENT = {
    "HERMES_DASHBOARD": "1",
    "HERMES_DASHBOARD_TOKEN": TOKEN,
    "HERMES_DASHBOARD_READ_PASSWORD": "look",
}

ASK = """
import http.cookiejar, re, sys, urllib.error, urllib.parse, urllib.request
base = "http://127.0.0.1:9119"
jar = http.cookiejar.MozillaCookieJar("/tmp/cookies")
try: jar.load(ignore_discard=True)
except OSError: pass
opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(jar))
path, fields, token = sys.argv[1], dict(urllib.parse.parse_qsl(sys.argv[2])), sys.argv[3]
headers = {"accept": "application/json", **({"authorization": "Bearer " + token} if token else {})}
if "password" in fields:
    page = opener.open(base + path).read().decode()
    fields["csrf"] = re.findall('name="csrf" value="([0-9a-f]+)"', page)[0]
data = urllib.parse.urlencode(fields).encode() if len(sys.argv) > 4 or fields else None
try: answer = opener.open(urllib.request.Request(base + path, data, headers), timeout=100)
except urllib.error.HTTPError as error: answer = error
except OSError: sys.exit("no answer")
jar.save(ignore_discard=True)
print(answer.status, answer.read().decode())
"""


def ask(box: Box, path: str, fields: str = "", token: str = "", *, post: bool = False) -> tuple[int, Any]:
    """The status and the JSON that a client inside the container gets; cookies are kept."""
    done = box.run(
        "/opt/hermes/venv/bin/python", "-c", ASK, path, fields, token, *(["post"] if post else []), user=10000
    )
    status, _, text = done.ok().partition(" ")
    return int(status), json.loads(text) if text.startswith("{") else text


def order(box: Box, path: str, fields: str = "") -> str:
    """What the dashboard says of an operator's order that it carried out."""
    status, said = ask(box, path, fields, TOKEN, post=True)
    assert status == 200, said
    return str(said["text"])


def serving(box: Box, *, not_pid: int = 0) -> int:
    """The pid of the dashboard, once it is ready."""

    def look() -> int | None:
        slot = box.slot("dashboard")
        return slot.pid if slot is not None and slot.ready and slot.pid != not_pid else None

    return wait_for(look, 60, "the dashboard to be ready")


def test_its_orders_are_carried_out_by_s6(engine: Docker) -> None:
    box = engine.boot(environment=ENVIRONMENT, **mounted(engine.volume(homes({"coder": 8643}, None))))
    serving(box)
    assert order(box, "/profiles/coder/start").startswith("coder is ready (")
    first = box.ready("coder")
    assert order(box, "/profiles/coder/restart").startswith("coder is ready again (")
    assert box.gateways("coder") != [first.pid]
    assert order(box, "/profiles/coder/stop").startswith("coder is down (")
    assert box.gateways("coder") == []

    assert "has been created, with port" in order(box, "/create-profile", "name=writer&start=yes")
    assert box.ready("writer")
    status, said = ask(box, "/profiles/writer/delete", "confirm=other", TOKEN)
    assert (status, said["error"]) == (422, "Nothing was deleted: type writer to confirm.")
    assert box.ready("writer")
    assert order(box, "/profiles/writer/delete", "confirm=writer").startswith("writer is gone (")
    assert box.gateway("writer") is None
    assert box.sh("test ! -e /opt/data/profiles/writer").code == 0

    status, metrics = ask(box, "/metrics", token=TOKEN)
    assert status == 200
    assert 'profile="coder"' in metrics


def test_a_parked_gateway_is_unparked_once_its_cause_is_gone(engine: Docker) -> None:
    box = engine.boot(environment=ENVIRONMENT, **mounted(engine.volume(homes({"coder": 8643}, None))))
    serving(box)
    config = "/opt/data/profiles/coder/config.yaml"
    before = box.read(config)
    box.put(config, "gateway:\n  port: many\n", uid=10000)
    status, said = ask(box, "/profiles/coder/start", token=TOKEN, post=True)
    assert status == 422
    assert "config.yaml" in said["error"]
    box.put(config, before, uid=10000)
    order(box, "/profiles/coder/start")
    assert box.ready("coder")


def test_killed_it_comes_back_and_knows_who_had_signed_in(engine: Docker) -> None:
    box = engine.boot(environment=ENVIRONMENT, **mounted(engine.volume(homes({"coder": 8643}))))
    gateway = box.ready("coder")
    dashboard = serving(box)
    assert ask(box, "/login", "password=look")[0] == 200
    assert ask(box, "/api/session") == (200, {"role": "reader"})
    box.signal(dashboard)
    serving(box, not_pid=dashboard)
    assert ask(box, "/api/session") == (200, {"role": "reader"})
    assert ask(box, "/profiles/coder/stop", post=True)[0] == 403
    assert box.ready("coder").pid == gateway.pid
    modes = box.sh("stat -c '%a %U %n' $(find /opt/data/dashboard)").ok().splitlines()
    assert modes
    assert all(mode.startswith(("600 hermes ", "700 hermes ")) for mode in modes), modes
