"""How big the image is, unpacked."""

from __future__ import annotations

from collections.abc import Iterator

from bench.context import Bench
from bench.model import Budget, Row, Series


def rows(bench: Bench) -> Iterator[Row]:
    names = {
        "Debian alone": bench.base,
        "supervisord image": bench.supervisord,
        "pm2 image": bench.pm2,
    }
    yield Row(
        "image, unpacked",
        "B",
        _size(bench, "hermes", bench.image),
        Budget(200e6),
        tuple(_size(bench, name, image) for name, image in names.items()),
        "all on one base",
    )


def _size(bench: Bench, name: str, image: str) -> Series:
    return Series.of(name, [bench.engine.image(image)["Size"]])
