"""The s6-overlay flavour takes tarballs from the place it is told, and only with the sums it is told."""

from __future__ import annotations

import hashlib
import io
import json
import os
import platform
import subprocess
import tarfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import docker
import pytest

ROOT = Path(__file__).parents[3]
VERSION = "0.0.1"
ARCH = {"x86_64": "x86_64", "aarch64": "aarch64", "arm64": "aarch64"}[platform.machine()]

# One build needs apt and the network of a container; a minute where nothing is cached.
pytestmark = [pytest.mark.timeout(300), pytest.mark.xdist_group("build")]


def tarball(path: str, text: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:xz") as archive:
        member = tarfile.TarInfo(path)
        member.size, member.mode = len(text), 0o755
        archive.addfile(member, io.BytesIO(text.encode()))
    return buffer.getvalue()


TARBALLS = {
    "noarch": tarball("./init", "#!/bin/sh\necho stand-in init\n"),
    ARCH: tarball("./command/s6-svscan", "#!/bin/sh\n"),
    "symlinks-noarch": tarball("./usr/bin/s6-svscan", "#!/bin/sh\n"),
}


@pytest.fixture(scope="module")
def release(client: docker.DockerClient) -> Iterator[str]:
    """Where a build finds the stand-in tarballs: a server on the bridge that build containers are on."""
    paths = {f"/v{VERSION}/s6-overlay-{part}.tar.xz": data for part, data in TARBALLS.items()}

    class Release(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            data = paths.get(self.path)
            self.send_response(200 if data else 404)
            self.send_header("Content-Length", str(len(data or b"")))
            self.end_headers()
            self.wfile.write(data or b"")

        def log_message(self, format: str, *args: object) -> None:
            pass

    bridge = client.networks.get("bridge").attrs["IPAM"]["Config"][0]
    address = bridge.get("Gateway") or bridge["Subnet"].rsplit(".", 1)[0] + ".1"
    with ThreadingHTTPServer((address, 0), Release) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://{address}:{server.server_port}"
        server.shutdown()


def build(release: str, tag: str, sums: dict[str, str]) -> subprocess.CompletedProcess[str]:
    arguments = ["--s6", "overlay", "--tag", tag]
    names = {"noarch": "NOARCH", ARCH: ARCH.upper(), "symlinks-noarch": "SYMLINKS"}
    for name, value in {
        "S6_OVERLAY_URL": release,
        "S6_OVERLAY_VERSION": VERSION,
        **{f"S6_OVERLAY_SHA256_{names[part]}": value for part, value in sums.items()},
    }.items():
        arguments += ["--build-arg", f"{name}={value}"]
    environment = {**os.environ, "NO_PROXY": "*", "no_proxy": "*"}
    return subprocess.run(
        [ROOT / "scripts/build-image", *arguments],
        capture_output=True,
        text=True,
        timeout=280,
        env=environment,
    )


def sums() -> dict[str, str]:
    return {part: hashlib.sha256(data).hexdigest() for part, data in TARBALLS.items()}


def test_the_tarballs_become_the_image_s_init(client: docker.DockerClient, release: str) -> None:
    tag = f"hermes-test-overlay:{os.getpid()}"
    try:
        result = build(release, tag, sums())
        assert result.returncode == 0, result.stderr[-3000:]
        labels = client.images.get(tag).attrs["Config"]["Labels"]
        assert labels["ai.hermes.s6-flavour"] == "overlay"
        output = client.containers.run(
            tag,
            ["/init; cat /opt/hermes/share/flavour; command -v s6-svscan; ls /usr/bin/s6-svscan"],
            entrypoint=["sh", "-c"],
            remove=True,
            network_mode="none",
        )
        lines = bytes(output).decode().split()
        assert lines == ["stand-in", "init", "overlay", "/command/s6-svscan", "/usr/bin/s6-svscan"]
    finally:
        for image in client.images.list(name=tag):
            client.images.remove(image.tags[0], force=True)


def test_a_tarball_with_another_sum_ends_the_build(release: str) -> None:
    wrong = {**sums(), "noarch": hashlib.sha256(json.dumps(sums()).encode()).hexdigest()}
    result = build(release, f"hermes-test-overlay-wrong:{os.getpid()}", wrong)
    assert result.returncode == 1
    assert "s6-overlay-noarch.tar.xz: FAILED" in result.stderr
    assert "the build failed" in result.stderr
