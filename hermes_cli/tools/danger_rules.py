"""What makes one program with its arguments dangerous: a rule per program, a key per danger.

A rule sees the arguments as the shell hands them over. Commands within commands (`sudo`, `sh -c`) are not its
matter.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Iterable

from .danger_paths import is_disk, is_system_file, is_whole, written
from .program_arguments import flags, long, names, operands

DANGERS = {
    "recursive_delete": "deletes directories with everything in them",
    "delete_system": "deletes the system, a home directory or a whole disk's files",
    "find_delete": "deletes everything that find matches",
    "destroy_file": "overwrites a file so that it cannot be recovered",
    "format_disk": "makes, erases or repartitions a file system",
    "write_device": "writes to a disk device",
    "write_system_file": "changes a file that the system or its security depends on",
    "world_writable": "lets every user write, recursively or to system files",
    "change_owner": "changes the owner of system directories recursively",
    "drop_database": "drops, empties or deletes from database tables",
    "fork_bomb": "starts copies of itself until the machine stops",
    "remote_script": "runs code from the network that nobody has read",
    "hidden_script": "runs code that is encoded, so that nobody can read it",
    "force_push": "overwrites or deletes published history",
    "discard_changes": "throws away uncommitted work or local history",
    "kill_all": "kills every process it may, or the first one",
    "power_off": "stops or restarts the machine",
    "stop_service": "stops or disables a system service",
    "remove_firewall": "opens the firewall",
    "delete_user": "deletes a user account",
    "delete_infrastructure": "deletes containers, volumes, clusters or cloud resources",
    "reverse_shell": "gives a shell to someone on the network",
    "stop_hermes": "stops or deletes this agent's own gateway or profile",
    "approve_itself": "changes which dangerous commands are allowed",
    "unreadable": "cannot be checked",
}
"""Pattern key → what such a command does. Keys are kept in configurations: none ever changes its meaning."""

Rule = Callable[[list[str]], "str | None"]


def _first(keys: Iterable[str | None]) -> str | None:
    return next((key for key in keys if key), None)


def _rm(args: list[str]) -> str | None:
    recursive = flags(args, "rR") or long(args, "--recursive") or "--no-preserve-root" in args
    targets = operands(args)
    if recursive and any(is_whole(target) for target in targets):
        return "delete_system"
    if recursive:
        return "recursive_delete"
    return "write_system_file" if any(is_system_file(target) for target in targets) else None


def _dd(args: list[str]) -> str | None:
    return _first(written(arg[3:]) for arg in args if arg.startswith("of="))


def _writes_last(args: list[str]) -> str | None:
    targets = operands(args)
    named = [arg.partition("=")[2] for arg in args if arg.startswith("--target-directory=")]
    return _first(written(target) for target in [*targets[-1:], *named])


def _mv(args: list[str]) -> str | None:
    targets = operands(args)
    if targets[-1:] == ["/dev/null"]:
        return "destroy_file"
    if any(is_whole(target) for target in targets[:-1]):
        return "delete_system"
    return _writes_last(args)


def _writes_all(args: list[str]) -> str | None:
    return _first(written(target) for target in operands(args))


def _sed(args: list[str]) -> str | None:
    return _writes_all(args) if flags(args, "i") or long(args, "--in-place") else None


def _shred(args: list[str]) -> str | None:
    if long(args, "--help", "--version"):
        return None
    return "write_device" if any(is_disk(target) for target in operands(args)) else "destroy_file"


def _chmod(args: list[str]) -> str | None:
    # A mode like `-w` looks like an option and takes away: harmless here.
    mode, *targets = operands(args) or [""]
    octal = re.fullmatch(r"[0-7]{1,4}", mode)
    opens = (
        int(mode[-1]) & 2
        if octal
        else any(re.match(r"(?:[ug]*[oa][ugoa]*)?[+=][rxXst]*w", part) for part in mode.split(","))
    )
    if not opens:
        return None
    wide = flags(args, "R") or long(args, "--recursive")
    return "world_writable" if wide or any(is_whole(one) or is_system_file(one) for one in targets) else None


def _chown(args: list[str]) -> str | None:
    wide = flags(args, "R") or long(args, "--recursive")
    hit = any(is_whole(target) or is_system_file(target) for target in operands(args)[1:])
    return "change_owner" if wide and hit else None


def _git(args: list[str]) -> str | None:
    rest = list(args)
    while rest and rest[0].startswith("-"):
        rest = rest[2:] if rest[0] in ("-C", "-c", "--git-dir", "--work-tree", "--namespace") else rest[1:]
    action, rest = (rest[0], rest[1:]) if rest else ("", [])
    match action:
        case "push":
            plus = any(re.match(r"\+|:.", target) for target in operands(rest)[1:])
            forced = any(arg in ("--force", "--mirror", "--delete", "--prune") for arg in rest)
            return "force_push" if forced or plus or flags(rest, "fd") else None
        case "reset" if "--hard" in rest:
            return "discard_changes"
        case "clean" if (flags(rest, "f") or long(rest, "--force")) and not flags(rest, "n"):
            return "discard_changes"
        case "checkout" | "restore" if (
            operands(rest)[-1:] in (["."], ["*"], [":/"]) and "--staged" not in rest
        ):
            return "discard_changes"
        case "stash" if rest[:1] in (["drop"], ["clear"]):
            return "discard_changes"
        case "branch" if flags(rest, "D"):
            return "discard_changes"
        case "filter-branch" | "filter-repo":
            return "discard_changes"
        case "reflog" if rest[:1] in (["expire"], ["delete"]):
            return "discard_changes"
    return None


def _find(args: list[str]) -> str | None:
    return "find_delete" if "-delete" in args else None


def _kill(args: list[str]) -> str | None:
    rest = [arg for arg in args if arg != "--"]
    if rest and re.match(r"-(?:[A-Z]|\d)", rest[0]) and len(rest) > 1:
        rest = rest[2:] if rest[0] in ("-s", "-n") else rest[1:]
    if "-l" in args or "-L" in args or "-0" in args:
        return None
    return "kill_all" if {"-1", "1", "0"} & set(rest) else None


def _pkill(args: list[str]) -> str | None:
    own = re.compile(r"hermes|s6-|python3?$|keeper|^\.?\*?$")
    return "stop_hermes" if any(own.search(name) for name in operands(args)) else None


def _systemctl(args: list[str]) -> str | None:
    action = (operands(args) or [""])[0]
    if action in (
        "poweroff",
        "reboot",
        "halt",
        "kexec",
        "suspend",
        "hibernate",
        "rescue",
        "emergency",
        "isolate",
    ):
        return "power_off"
    return "stop_service" if action in ("stop", "disable", "mask", "kill") else None


def _service(args: list[str]) -> str | None:
    return "stop_service" if "stop" in operands(args)[1:2] else None


def _init(args: list[str]) -> str | None:
    return "power_off" if args[:1] in (["0"], ["6"], ["1"]) else None


def _hermes(args: list[str]) -> str | None:
    rest = list(args)
    while rest and rest[0].startswith("-"):
        rest = rest[2:] if rest[0] in ("-p", "--profile") else rest[1:]
    match rest[:2]:
        case ["config", "set"] if any("approved" in arg for arg in rest[2:]):
            return "approve_itself"
        case ["gateway", "stop" | "restart" | "uninstall"] | ["profile", "delete"]:
            return "stop_hermes"
    return None


def _docker(args: list[str]) -> str | None:
    words = operands(args)
    if "prune" in words[:2] or words[:2] in (["volume", "rm"], ["compose", "rm"]):
        return "delete_infrastructure"
    if words[:1] == ["compose"] and "down" in words and (flags(args, "v") or long(args, "--volumes")):
        return "delete_infrastructure"
    removes = words[:1] in (["rm"], ["rmi"]) or words[:2] in (["container", "rm"], ["image", "rm"])
    return "delete_infrastructure" if removes and (flags(args, "f") or long(args, "--force")) else None


def _kubectl(args: list[str]) -> str | None:
    return "delete_infrastructure" if {"delete", "drain"} & set(operands(args)) else None


def _terraform(args: list[str]) -> str | None:
    return "delete_infrastructure" if "destroy" in args or "-destroy" in args else None


def _cloud(args: list[str]) -> str | None:
    words = operands(args)
    storage = words[:1] in (["s3"], ["rm"], ["storage"]) and {"rm", "rb"} & set(words)
    wide = "rb" in words or flags(args, "rR") or long(args, "--recursive", "--force")
    named = any(re.match(r"(?:delete|terminate)(?:-|$)", word) for word in words[:4])
    return "delete_infrastructure" if (storage and wide) or named else None


def _gh(args: list[str]) -> str | None:
    return (
        "delete_infrastructure" if operands(args)[:2] in (["repo", "delete"], ["release", "delete"]) else None
    )


def _firewall(args: list[str]) -> str | None:
    words = set(args)
    return "remove_firewall" if words & {"-F", "--flush", "-X", "disable", "reset", "flush"} else None


def _netcat(args: list[str]) -> str | None:
    return "reverse_shell" if flags(args, "ec") or long(args, "--exec", "--sh-exec") else None


def _socat(args: list[str]) -> str | None:
    return (
        "reverse_shell"
        if any(re.match(r"(?:exec|system|shell):", arg, re.IGNORECASE) for arg in args)
        else None
    )


def _crontab(args: list[str]) -> str | None:
    return "write_system_file" if flags(args, "r") else None


def _lists_only(key: str) -> Rule:
    """A program that is dangerous unless it is only asked to show something."""

    def rule(args: list[str]) -> str | None:
        shows = flags(args, "lV") or long(args, "--list", "--help", "--version", "--dump", "--no-act")
        return None if shows or not operands(args) else key

    return rule


def _volumes(args: list[str]) -> str | None:
    return (
        "format_disk"
        if {"destroy", "labelclear", "luksformat", "erase", "luksErase"} & set(operands(args))
        or {
            "luksFormat",
            "eraseDisk",
            "eraseVolume",
            "partitionDisk",
        }
        & set(operands(args))
        else None
    )


def _always(key: str) -> Rule:
    return lambda args: None if long(args, "--help", "--version") else key


def _named(programs: str, rule: Rule) -> dict[str, Rule]:
    return dict.fromkeys(names(programs), rule)


RULES: dict[str, Rule] = {
    **_named("rm grm srm", _rm),
    **_named("dd gdd dcfldd", _dd),
    **_named("cp install ln rsync scp", _writes_last),
    **_named("mv gmv", _mv),
    **_named("tee truncate sponge", _writes_all),
    **_named("sed gsed perl ruby", _sed),
    **_named("shred wipe", _shred),
    "chmod": _chmod,
    **_named("chown chgrp", _chown),
    "git": _git,
    "find": _find,
    **_named("mkfs mke2fs mkswap wipefs blkdiscard newfs mkdosfs mkntfs mkfs.*", _lists_only("format_disk")),
    **_named("fdisk sfdisk gdisk sgdisk cfdisk parted partprobe", _lists_only("format_disk")),
    **_named("cryptsetup zpool zfs diskutil", _volumes),
    **_named("lvremove vgremove pvremove", _always("format_disk")),
    **_named("shutdown reboot halt poweroff", _always("power_off")),
    **_named("init telinit", _init),
    "systemctl": _systemctl,
    **_named("service rc-service", _service),
    **_named("kill", _kill),
    "killall5": _always("kill_all"),
    **_named("pkill killall", _pkill),
    **_named("userdel deluser delgroup groupdel", _always("delete_user")),
    **_named("iptables ip6tables nft ufw firewall-cmd", _firewall),
    **_named("docker podman nerdctl", _docker),
    **_named("kubectl oc", _kubectl),
    **_named("terraform tofu pulumi", _terraform),
    **_named("aws gsutil gcloud az", _cloud),
    "gh": _gh,
    **_named("nc ncat netcat nc.traditional", _netcat),
    "socat": _socat,
    "crontab": _crontab,
    "hermes": _hermes,
    **_named("s6-svscanctl s6-svc s6-rc", _always("stop_hermes")),
    **_named("dropdb dropuser", _always("drop_database")),
}
"""Program → rule."""


def rule_of(name: str) -> Rule | None:
    """The rule for a program, also for `mkfs.ext4` and for a name written as a glob (`/bin/r?`)."""
    name = name.lower()
    if name in RULES:
        return RULES[name]
    if name.startswith("mkfs."):
        return RULES["mkfs"]
    if set(name) & set("*?[") and re.search(r"\w", re.sub(r"\[.*?\]", "", name)):
        return next((rule for known, rule in RULES.items() if fnmatch.fnmatchcase(known, name)), None)
    return None
