"""Files and directories that a command must not destroy: the system's, a home's, a disk's."""

from __future__ import annotations

import posixpath
import re

from .program_arguments import names

_SYSTEM = (
    "/etc",
    "/boot",
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib64",
    "/sys",
    "/proc/sys",
    "/proc/sysrq-trigger",
)
_WHOLE = names(
    "/ /bin /boot /dev /etc /home /lib /lib64 /mnt /media /opt /proc /root /run /sbin /srv /sys /usr "
    "/var /var/lib /var/log /usr/bin /usr/lib /usr/local /usr/sbin /usr/share /Users /Library "
    "/System /Applications /opt/data ~ $HOME ${HOME} ~root $HERMES_HOME ${HERMES_HOME}"
)
_PERSONAL = re.compile(r"(?:~|\$HOME|\$\{HOME\}|/root|/home/[^/]+)/\.(?:ssh|gnupg|aws|kube)(?:/|$)")
_DISK = re.compile(
    r"/dev/(?:r?disk\d|sd[a-z]|hd[a-z]|vd[a-z]|xvd[a-z]|nvme\d|mmcblk\d|md\d|dm-\d|loop\d|sr\d|nbd\d|mapper/|"
    r"disk/|mem\b|kmem\b|port\b|mtd)"
)


def is_whole(path: str) -> bool:
    """Whether `path` is a directory whose loss is the loss of the machine or of a home."""
    bare = re.sub(r"/+(?:\*|\.\*|\{,\.\}\*|\.\[!\.\]\*)$", "", path) or "/"
    if bare in ("*", ".*"):
        return False
    clean = posixpath.normpath(bare) if bare.startswith("/") else bare.rstrip("/")
    clean = "/" + clean.lstrip("/") if clean.startswith("//") else clean
    if set(clean.split("/")) == {".."}:
        return True
    return clean in _WHOLE or re.fullmatch(r"/(?:home|Users)/[^/]+", clean) is not None


def is_system_file(path: str) -> bool:
    """Whether the system's working or security depends on the file."""
    if not path.startswith(("/", "~", "$HOME", "${HOME}")):
        return False
    clean = "/" + posixpath.normpath(path).lstrip("/") if path.startswith("/") else path
    if clean.startswith("/usr/local/"):
        return False
    return any(clean == one or clean.startswith(one + "/") for one in _SYSTEM) or bool(_PERSONAL.match(clean))


def is_disk(path: str) -> bool:
    return (
        _DISK.match("/" + posixpath.normpath(path).lstrip("/")) is not None if path.startswith("/") else False
    )


def written(path: str) -> str | None:
    """The danger of writing to `path`."""
    if is_disk(path):
        return "write_device"
    if is_system_file(path):
        return "write_system_file"
    if re.search(
        r"(?:\.hermes|/opt/data|\$\{?HERMES_HOME\}?)(?:/profiles/[^/]+)?/(?:config\.yaml|\.env)$", path
    ):
        return "approve_itself"
    return None


def redirect(operator: str, path: str) -> str | None:
    """The danger of `> path` and its like."""
    if path.startswith(("/dev/tcp/", "/dev/udp/")):
        return "reverse_shell"
    return written(path) if ">" in operator else None
