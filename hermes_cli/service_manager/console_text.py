"""What a Windows console program said, whatever code page it said it in."""

from __future__ import annotations

import sys

_LAST_RESORT = "cp437"
"""The OEM code page of an English Windows; every byte is some character in it."""


def decode_console(data: bytes, code_page: str | None = None) -> str:
    """The text of `data`: UTF-16 (what redirected programs sometimes write), UTF-8, or the OEM code page.

    `code_page` is the machine's own unless given. Never raises.
    """
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", "replace")
    if data[1::2].count(0) > len(data) // 4:  # UTF-16 without its mark: every other byte of Latin text is 0
        return data.decode("utf-16-le", "replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        pass
    try:
        return data.decode(code_page or oem_code_page(), "replace")
    except LookupError:
        return data.decode(_LAST_RESORT, "replace")


def oem_code_page() -> str:
    """The code page that console programs write into a pipe."""
    if sys.platform == "win32":
        import ctypes

        return f"cp{ctypes.WinDLL('kernel32').GetOEMCP()}"
    return _LAST_RESORT
