"""A shell command as the programs it would run: their words, where their input comes from, where output goes.

tree-sitter's grammar of bash does the parsing. It recovers from errors, as a check must: a shell runs the
lines before a syntax error. Where it met one, the text is read a second time by `shlex`, too coarsely rather
than too finely. What can be known without running anything is worked out: quotes, escapes, constants in
variables, the output of `echo`.
"""

from __future__ import annotations

import functools
import re
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from .shell_words import ansi_c, braces, coarsely, in_quotes, unescaped

if TYPE_CHECKING:
    from tree_sitter import Language, Node

MAX_BYTES = 128 << 10
"""Linux takes no longer argument (MAX_ARG_STRLEN), so a longer command cannot be started anyway."""
_SECONDS = 1.0
"""Some hostile texts take the parser quadratic time."""
_MAX_DEPTH = 60
"""Levels of nesting; people stay below ten."""
_MOST_VARIABLES = 500
_LONGEST_VALUE = 4096
_MOST_GROWN = 4 * MAX_BYTES
"""Bytes of all words together: `a=$a$a` doubles with each repetition."""
_SPLIT = "\ue000"
"""Stands for a blank that the shell would split a word at."""
_STATEMENTS = frozenset({"pipeline", "list", "command", "redirected_statement", "compound_statement"})


class UnreadableError(Exception):
    """A command too long, too deeply nested or too slow to read."""


@dataclass(frozen=True, slots=True)
class Word:
    """One argument. What cannot be known of it stays as it is written: `$DIR/x`."""

    text: str
    producers: tuple[Command, ...] = ()
    """The commands whose output is part of it."""
    bare: str | None = None
    """The text without what cannot be known, where there is such: an empty variable hides nothing."""


class _Part(NamedTuple):
    """A piece of a word."""

    text: str
    producers: tuple[Command, ...] = ()
    unknown: bool = False


@dataclass(slots=True)
class Command:
    """A program and its arguments, as the shell would run it."""

    words: list[Word]
    redirects: list[tuple[str, str]] = field(default_factory=list)
    """Operator and file: `(">>", "/etc/hosts")`."""
    stdin: str | None = None
    """What it reads, where that is written in the command itself."""
    producers: tuple[Command, ...] = ()
    """The commands whose output it reads."""
    variables: dict[str, str] = field(default_factory=dict)
    """What is known of the variables it sees."""

    @property
    def name(self) -> str:
        return self.words[0].text.rpartition("/")[2] if self.words else ""


@dataclass(slots=True)
class Script:
    """All that a command line would run, in order, substitutions and branches included."""

    commands: list[Command] = field(default_factory=list)
    functions: dict[str, list[Command]] = field(default_factory=dict)
    detaches: bool = False
    """Something is put into the shell's background with `&`."""


def read(
    text: str, variables: dict[str, str] | None = None, *, stdin: str | None = None, seconds: float = _SECONDS
) -> Script:
    """What `text` runs. `variables` are known values; `stdin` is what the script itself is given to read.

    Raises `UnreadableError`.
    """
    source = text.encode("utf-8", "replace")
    if len(source) > MAX_BYTES:
        raise UnreadableError(f"it is longer than {MAX_BYTES >> 10} KiB")
    reader = _Reader(source, dict(variables or {}), stdin)
    root = _parse(source, seconds)
    reader.visit(root, _Input(stdin), 0)
    if root.has_error:
        reader.script.commands += [Command([Word(word) for word in words]) for words in coarsely(text)]
    return reader.script


@functools.cache
def _bash() -> Language:
    import tree_sitter_bash
    from tree_sitter import Language

    return Language(tree_sitter_bash.language())


def _parse(source: bytes, seconds: float) -> Node:
    from tree_sitter import Parser

    deadline = time.monotonic() + seconds

    def piece(offset: int, _point: object) -> bytes:
        return source[offset : offset + 8192]

    def too_late(*_progress: object) -> bool:
        return time.monotonic() >= deadline

    try:
        return Parser(_bash()).parse(piece, progress_callback=too_late).root_node
    except ValueError as error:
        raise UnreadableError("it takes too long to read") from error


@dataclass(frozen=True, slots=True)
class _Input:
    text: str | None = None
    producers: tuple[Command, ...] = ()


class _Reader:
    def __init__(self, source: bytes, variables: dict[str, str], stdin: str | None) -> None:
        self.source = source
        self.variables = variables
        self._grown = 0
        self.script = Script()

    def visit(self, node: Node, given: _Input, depth: int) -> None:
        """Add every command below `node`, whose standard input is `given`."""
        if depth > _MAX_DEPTH:
            raise UnreadableError("it is nested too deeply")
        depth += 1
        match node.type:
            case "command":
                self._command(node, given, depth)
            case "pipeline":
                self._pipeline(node.named_children, given, depth)
            case "redirected_statement":
                self._redirected(node, given, depth)
            case "function_definition":
                before = len(self.script.commands)
                for child in node.named_children[1:]:
                    self.visit(child, given, depth)
                self.script.functions[self._raw(node.named_children[0])] = self.script.commands[before:]
            case "variable_assignment":
                self._assign(node, depth)
            case "word" | "concatenation" | "string" | "expansion" | "command_substitution" | "raw_string":
                self._words(node, depth)
            case "comment" | "heredoc_body" | "heredoc_start" | "heredoc_end":
                pass
            case "for_statement":
                self._set(self._raw(node.child_by_field_name("variable")), None)
                self._children(node, given, depth)
            case _:
                self._children(node, given, depth)

    def _children(self, node: Node, given: _Input, depth: int) -> None:
        for child in node.children:
            if child.is_named:
                self.visit(child, given, depth)
            elif child.type == "&":
                self.script.detaches = True

    def _pipeline(self, stages: list[Node], given: _Input, depth: int) -> None:
        for stage in stages:
            before = len(self.script.commands)
            self.visit(stage, given, depth)
            made = tuple(self.script.commands[before:])
            given = _Input(piped_output(made), (*given.producers, *made))

    def _command(self, node: Node, given: _Input, depth: int) -> None:
        words: list[Word] = []
        redirects: list[Node] = []
        own = dict[str, str]()
        end = node.start_byte
        for child in node.named_children:
            if child.type == "ERROR" or re.match(r"\s*(?<!\\)\n", self._text(end, child.end_byte)):
                # The grammar takes a line that begins with a backslash for a continuation.
                self._add(words, redirects, given, own, depth)
                words, redirects, own = [], [], {}
            end = child.end_byte
            if child.type.endswith("_redirect"):
                redirects.append(child)
            elif child.type == "variable_assignment":
                value = self._value(child, depth)
                if value is not None:
                    own[self._raw(child.child_by_field_name("name"))] = value
            elif child.type == "command_name":
                for part in child.named_children:
                    words += self._words(part, depth)
            elif child.type == "ERROR":
                self.visit(child, given, depth)
            elif child.type != "comment":
                words += self._words(child, depth)
        self._add(words, redirects, given, own, depth)

    def _add(
        self, words: list[Word], redirects: list[Node], given: _Input, own: dict[str, str], depth: int
    ) -> None:
        files: list[tuple[str, str]] = []
        for redirect in redirects:
            given = self._redirect(redirect, given, files, depth)
        seen = {**self.variables, **own} if own else self.variables
        command = Command(words, files, given.text, given.producers, seen)
        if words or files:
            self.script.commands.append(command)
        for redirect in redirects:
            self._tail(redirect, (command,), depth)

    def _redirected(self, node: Node, given: _Input, depth: int) -> None:
        body = node.child_by_field_name("body")
        redirects = [child for child in node.named_children if child.type.endswith("_redirect")]
        files: list[tuple[str, str]] = []
        for redirect in redirects:
            given = self._redirect(redirect, given, files, depth)
        before = len(self.script.commands)
        if body is not None:
            self.visit(body, given, depth)
        made = tuple(self.script.commands[before:])
        for redirect in redirects:
            # `cmd <<EOF more words`: the grammar hangs the words on the redirection.
            extra = [child for child in redirect.children_by_field_name("argument") if child.is_named]
            if made:
                made[-1].words += [word for child in extra for word in self._words(child, depth)]
        if made:
            made[-1].redirects += files
        elif files:
            self.script.commands.append(Command([], files))
        for redirect in redirects:
            self._tail(redirect, made, depth)

    def _redirect(self, node: Node, given: _Input, files: list[tuple[str, str]], depth: int) -> _Input:
        """Note the files that `node` names; answer the standard input that it leaves."""
        if node.type == "heredoc_redirect":
            for child in node.named_children:
                if child.type == "heredoc_body":
                    self._substitutions(child, depth)
                    given = _Input(self._raw(child))
                elif child.type.endswith("_redirect"):
                    given = self._redirect(child, given, files, depth)
            return given
        if node.type == "herestring_redirect":
            words = [word for child in node.named_children for word in self._words(child, depth)]
            producers = tuple(command for word in words for command in word.producers)
            return _Input(" ".join(word.text for word in words), producers)
        operator = next((child.type for child in node.children if not child.is_named), ">")
        destinations = node.children_by_field_name("destination")
        words = [word for child in destinations for word in self._words(child, depth)]
        files += [(operator, word.text) for word in words]
        if operator == "<":
            return _Input(None, tuple(command for word in words for command in word.producers))
        return given

    def _tail(self, redirect: Node, made: tuple[Command, ...], depth: int) -> None:
        """What the grammar hangs on a here-document: `cat <<EOF | sh`, `cat <<EOF && x`."""
        if redirect.type != "heredoc_redirect":
            return
        for child in redirect.named_children:
            if child.type == "pipeline":
                self._pipeline(child.named_children, _Input(piped_output(made), made), depth)
            elif child.type in _STATEMENTS:
                self.visit(child, _Input(), depth)

    def _assign(self, node: Node, depth: int) -> None:
        self._set(self._raw(node.child_by_field_name("name")), self._value(node, depth))

    def _set(self, name: str, value: str | None) -> None:
        # Commands keep the dictionary of their moment, so a change makes a new one.
        changed = {key: known for key, known in self.variables.items() if key != name}
        if value is not None and len(value) <= _LONGEST_VALUE and len(changed) < _MOST_VARIABLES:
            changed[name] = value
        self.variables = changed

    def _value(self, node: Node, depth: int) -> str | None:
        value = node.child_by_field_name("value")
        if value is None:
            return ""
        if value.type == "array":
            self._substitutions(value, depth)
            return None
        parts = self._parts(value, depth, quoted=True)
        return None if any(part.unknown for part in parts) else "".join(part.text for part in parts)

    def _words(self, node: Node, depth: int) -> list[Word]:
        """The words that `node` becomes: several where the shell splits a variable, none for an empty one."""
        parts = self._parts(node, depth, quoted=False)
        text = "".join(part.text for part in parts)
        self._grown += len(text)
        if self._grown > _MOST_GROWN:
            raise UnreadableError("its variables make it too long")
        producers = tuple(command for part in parts for command in part.producers)
        bare = (
            "".join(part.text for part in parts if not part.unknown) if "$" in text or "`" in text else None
        )
        raw = self._raw(node)
        if "{" in raw and not set(raw) & set("'\"$`\\"):
            return [Word(word, producers) for word in braces(raw)]
        if _SPLIT not in text:
            return [Word(text, producers, bare)]
        return [Word(piece, producers) for piece in text.split(_SPLIT) if piece]

    def _parts(self, node: Node, depth: int, *, quoted: bool) -> list[_Part]:
        if depth > _MAX_DEPTH:
            raise UnreadableError("it is nested too deeply")
        depth += 1
        raw = self._raw(node)
        match node.type:
            case "word":
                return [_Part(unescaped(raw).lstrip("\n"))]
            case "raw_string":
                return [_Part(raw[1:-1])]
            case "ansi_c_string":
                return [_Part(ansi_c(raw[2:-1]))]
            case "string" | "translated_string":
                return self._filled(node, depth)
            case "concatenation":
                return [
                    part for child in node.named_children for part in self._parts(child, depth, quoted=quoted)
                ]
            case "simple_expansion" | "expansion":
                return self._expansion(node, depth, quoted=quoted)
            case "command_substitution" | "process_substitution":
                before = len(self.script.commands)
                self._children(node, _Input(), depth)
                made = tuple(self.script.commands[before:])
                known = constant_output(made) if node.type == "command_substitution" else None
                if known is None:
                    return [_Part("/dev/fd/63" if node.type == "process_substitution" else raw, made, True)]
                return [_Part(known if quoted else _SPLIT.join(known.split()), made)]
            case _:
                self._substitutions(node, depth)
                return [_Part(raw)]

    def _filled(self, node: Node, depth: int) -> list[_Part]:
        """The parts of a string in double quotes, and the blanks between them that the grammar leaves out."""
        found: list[_Part] = []
        start = node.start_byte + (2 if node.type == "translated_string" else 1)
        for child in node.named_children:
            if child.type == "string" and node.type == "translated_string":
                return self._filled(child, depth)
            if child.type == "string_content":
                continue
            found.append(_Part(in_quotes(self._text(start, child.start_byte))))
            found += self._parts(child, depth, quoted=True)
            start = child.end_byte
        found.append(_Part(in_quotes(self._text(start, node.end_byte - 1))))
        return found

    def _expansion(self, node: Node, depth: int, *, quoted: bool) -> list[_Part]:
        raw = self._raw(node)
        name = next((self._raw(child) for child in node.named_children if "variable" in child.type), "")
        if name == "IFS" and not quoted:
            return [_Part(_SPLIT)]
        if raw in (f"${name}", f"${{{name}}}"):
            value = self.variables.get(name)
            if value is None:
                return [_Part(raw, unknown=True)]
            return [_Part(value if quoted else _SPLIT.join(value.split()))]
        if (default := re.match(r"\$\{\w+:?[-=+]", raw)) and name not in self.variables:
            inner = [
                child for child in node.named_children if child.start_byte >= node.start_byte + default.end()
            ]
            return [part for child in inner for part in self._parts(child, depth, quoted=quoted)]
        self._substitutions(node, depth)
        return [_Part(raw, unknown=True)]

    def _substitutions(self, node: Node, depth: int) -> None:
        """Add the commands of all substitutions below `node`, which itself runs nothing."""
        for child in node.named_children:
            if child.type in ("command_substitution", "process_substitution"):
                self._parts(child, depth, quoted=True)
            elif depth > _MAX_DEPTH:
                raise UnreadableError("it is nested too deeply")
            else:
                self._substitutions(child, depth + 1)

    def _raw(self, node: Node | None) -> str:
        return "" if node is None else self._text(node.start_byte, node.end_byte)

    def _text(self, start: int, end: int) -> str:
        return self.source[start:end].decode("utf-8", "replace")


def constant_output(commands: tuple[Command, ...]) -> str | None:
    """What one `echo`, `printf`, `yes` or `cat` writes, where its words say so; None for anything else."""
    if len(commands) != 1 or not commands[0].words:
        return None
    command, words = commands[0], [word.text for word in commands[0].words[1:]]
    match command.name:
        case "echo":
            escapes = False
            while words and re.fullmatch(r"-[neE]+", words[0]):
                escapes = escapes or "e" in words.pop(0)
            return ansi_c(" ".join(words)) if escapes else " ".join(words)
        case "printf":
            form, *rest = words or [""]
            form = re.sub(r"%[-0-9.]*[sbq]", lambda _: rest.pop(0) if rest else "", ansi_c(form))
            return " ".join([form, *rest])
        case "true" | ":" | "false":
            return ""
        case "yes":
            return " ".join(words)
        case "cat" | "tee" if command.name == "tee" or all(word == "-" for word in words):
            return command.stdin
    return None


def piped_output(commands: tuple[Command, ...]) -> str | None:
    """The same for what a pipe carries. Some shells' `echo` resolves escapes, some do not: both follow."""
    known = constant_output(commands)
    if known is None or "\\" not in known or commands[0].name != "echo":
        return known
    return f"{known}\n{ansi_c(known)}"
