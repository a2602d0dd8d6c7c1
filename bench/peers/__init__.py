"""The images of the peers, built upon the same base as Hermes' own for the time of a run."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from bench.engine import Engine
from bench.model import BenchError

HERE = Path(__file__).parent
REPOSITORY = HERE.parent.parent
WORKERS = 10
"""How many workers each peer's image keeps."""

WORKER = (HERE / "worker").read_text("utf-8")

_BUNDLES = ("SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


def base() -> str:
    """The image Hermes is built upon."""
    return _say("scripts/base-image").strip()


def build(engine: Engine, peer: str, upon: str) -> str:
    """Build bench/peers/<peer> and return the image's name. The layers stay in the builder's cache."""
    return _build(engine, peer, HERE / peer / "Dockerfile", HERE, upon)


def build_systemd(engine: Engine, upon: str) -> str:
    """systemd as PID 1, from the recipe of the tests: no peer, but a host for the library."""
    directory = REPOSITORY / "tests/hosts/systemd"
    return _build(engine, "systemd", directory / "Dockerfile", directory, upon)


def _build(engine: Engine, what: str, recipe: Path, context: Path, upon: str) -> str:
    name = f"hermes-bench-{what}:{engine.run_id}"
    argv = [_say("scripts/docker-client").strip(), "build", "--quiet", "--tag", name]
    argv += ["--file", str(recipe), "--build-arg", f"BASE={upon}"]
    for key, value in engine.labels.items():
        argv += ["--label", f"{key}={value}"]
    bundle = next((path for path in map(os.environ.get, _BUNDLES) if path and Path(path).exists()), None)
    if bundle:
        argv += ["--secret", f"id=ca_bundle,src={bundle}"]
    _say(*argv, str(context))
    return name


def _say(*argv: str) -> str:
    environment = os.environ | {"DOCKER_BUILDKIT": "1"}
    result = subprocess.run(
        argv, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False
    )
    if result.returncode:
        raise BenchError(f"{argv[0]} failed: {result.stderr.strip()[-600:]}")
    return result.stdout
