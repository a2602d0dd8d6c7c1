"""Secrets are masked wherever a process's words are shown, and ordinary words are not."""

from __future__ import annotations

import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hermes_cli.processes import redaction
from hermes_cli.processes.redaction import CONTEXT, MASK, Redactor, secret_names

# Put together here, so that no scanner of this repository takes them for real ones.
GITHUB = "ghp_" + "abcdefghijklmnopqrstuvwxyz0123456789"
JWT = ".".join(["eyJ" + "hbGciOiJIUzI1NiJ9", "eyJ" + "zdWIiOiIxMjM0NTYifQ", "c2lnbmF0dXJl-_x"])
PEM = "\n".join(["MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj"] * 20) + "\nMzEfYyji=="
BEGIN, END = "-----BEGIN RSA PRIVATE KEY-----", "-----END RSA PRIVATE KEY-----"


SHAPED = [
    ("Authorization: Bearer abcdefgh", "abcdefgh"),
    ('-H "authorization: Basic dXNlcjpwYXNz"', "dXNlcjpwYXNz"),
    ("using bearer abcdef0123456789abcdef", "abcdef0123456789abcdef"),
    ("key sk-proj-abc123DEF456ghi789 used", "sk-proj-abc123DEF456ghi789"),
    ("sk_live_" + "abcdefghijklmnop1234", "sk_live_abcdefghijklmnop1234"),
    (f"remote: {GITHUB}", GITHUB),
    ("github_pat_" + "11ABCDEFG0aBcDeFgHiJkL_mNoPqRsTuV", "github_pat_11ABCDEFG0aBcDeFgHiJkL_mNoPqRsTuV"),
    ("glpat-" + "abcdefghij0123456789", "glpat-abcdefghij0123456789"),
    ("xoxb-" + "123456789012-abcdefGHIJKL", "xoxb-123456789012-abcdefGHIJKL"),
    ("id AKIA" + "IOSFODNN7EXAMPLE.", "AKIAIOSFODNN7EXAMPLE"),
    ("AIza" + "SyA1234567890abcdefghijklmnopqrstuv", "AIzaSyA1234567890abcdefghijklmnopqrstuv"),
    (f"session {JWT};", JWT),
    ("bot 1234567890:AA" + "Habcdefghijklmnopqrstuvwxyz012345", "AAHabcdefghijklmnopqrstuvwxyz012345"),
    ("postgres://bob:s3c@ret@db:5432/x", "s3c@ret"),
    ("https://oauth2:abcd@git.example.com/x.git", "abcd"),
    ("DB_PASSWORD=hunter2", "hunter2"),
    ("export API_TOKEN=a(b)c&d;e", "a(b)c&d;e"),
    ("PASSWORD=abc", "abc"),
    ('MY_SECRET="two words"', "two words"),
    ("client_secret='it\\'s'", "it\\'s"),
    ("https://x/y?access_token=abcdefgh&page=2", "abcdefgh"),
    ('{"api_key": "abcdef", "n": 1}', "abcdef"),
    ('"{\\"password\\": \\"abcdef\\"}"', "abcdef"),
    ("password: hunter2", "hunter2"),
    ("mysql --password hunter22 -h db", "hunter22"),
    ("deploy --api-key=abcdefgh", "abcdefgh"),
    ("DefaultEndpointsProtocol=https;AccountKey=abcdefgh==;", "abcdefgh=="),
    (f"{BEGIN}\n{PEM}\n{END}\n", PEM),
    (f"{BEGIN}\r\n{PEM}\r\n{END}\r\n".replace("\n", "\r\n"), PEM.splitlines()[0]),
    (f'{{"k": "{BEGIN}\\n{"A" * 64}\\nbcdef\\n{END}\\n"}}', "bcdef"),
    (f"{BEGIN}\n{PEM}\n", PEM.splitlines()[-2]),
    (f"{PEM}\n{END}\n", PEM),
]


@pytest.mark.parametrize(("text", "secret"), SHAPED)
def test_a_secret_of_a_known_shape_is_masked(text: str, secret: str) -> None:
    shown = Redactor().text(text)
    assert secret in text
    assert secret not in shown
    assert MASK in shown


@pytest.mark.parametrize("name", ["AUTH", "auth"])
def test_what_is_no_secret_around_one_stays_readable(name: str) -> None:
    text = f"a {name}_token='abcdef' postgres://bob:pass@db/x {BEGIN}\n{PEM}\n{END} b"
    assert Redactor().text(text) == (
        f"a {name}_token='{MASK}' postgres://bob:{MASK}@db/x {BEGIN}{MASK}{END} b"
    )


@pytest.mark.parametrize(
    "text",
    [
        "commit 3b18e512dba79e4c8300dd08aeb37f8e728b8dad",
        "id 123e4567-e89b-12d3-a456-426614174000",
        "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "data:image/png;base64," + "iVBORw0KGgoAAAANSUhEUgAAAAUA/eyJAKIA+" * 30 + "==",
        "Listening on http://localhost:8080",
        "GET http://host:8080?to=a@b.example",
        "git clone git@github.com:org/repo.git",
        "ssh://git@github.com/org/repo",
        "PWD=/opt/data",
        "OLDPWD=/",
        "GPG_KEY=A035C8C19219BA821ECEA86B64E628F8D684696D",
        "max_tokens: 4096, tokens=120",
        "max_token=4096",
        "token = get_token(request)",
        "SyntaxError: Unexpected token: 'export'",
        "error: unexpected token: semicolon",
        "password: str | None = None",
        "Enter the password: ",
        "--token TOKEN  the token to use",
        "API_KEY=$API_KEY",
        "password=${PASSWORD}",
        "token == expected",
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGFiY2RlZmdo user@host",
        f"{BEGIN}\n{PEM}\n{END}".replace("RSA PRIVATE KEY", "CERTIFICATE"),
        "class sk-fading-circle-with-many-dots",
        "bearer authentication-is-required",
        "the secret: patience",
        "use_token=true",
        "permissions: id-token: write",
    ],
)
def test_ordinary_text_is_left_alone(text: str) -> None:
    assert Redactor(["some-other-secret"]).text(text) == text
    assert Redactor().page("", text + "\n", more=True) == (text + "\n", len(text) + 1)


@pytest.mark.parametrize("prompt", ["Password: ", ">>> ", "Enter the token: ", "Continue? [y/n] ", "task"])
def test_a_prompt_is_not_held_back(prompt: str) -> None:
    assert Redactor(["some-secret"]).holdback(f"login\n{prompt}") == 0


def test_known_values_are_masked_wherever_they_are() -> None:
    redactor = Redactor(["hunter2", "ünïcode", "hunter2-longer"])
    assert redactor.text("xhunter2x ünïcode hunter2-longer") == f"x{MASK}x {MASK} {MASK}"
    assert redactor.spans("xhunter2") == [(1, 8)]


def test_values_too_short_or_ordinary_are_not_taken_for_secrets() -> None:
    assert Redactor(["abc", "", "true", "None"]).text("abc true None") == "abc true None"


def test_a_value_of_several_lines_is_known_as_a_terminal_shows_it_and_line_by_line() -> None:
    redactor = Redactor(["first line of it\nsecond line of it"])
    assert redactor.text("a first line of it\r\nsecond line of it b") == f"a {MASK} b"
    assert redactor.text("only the second line of it") == f"only the {MASK}"


def test_masking_twice_changes_nothing() -> None:
    once = Redactor().text(
        f"TOKEN=abc password: hunter2 {GITHUB} 'api_key': 'abcdef' redis://:abcd@h {BEGIN}\n{PEM}"
    )
    assert Redactor().text(once) == once


def cuts_an_anchor(text: str, cut: int) -> bool:
    """The first letters of a token's fixed beginning are no secret, and are shown when they come alone."""
    anchors = [anchor for shape in redaction._SHAPES for anchor in shape.anchors]
    return any(
        text.startswith(anchor, cut - length)
        for anchor in anchors
        for length in range(1, min(len(anchor), cut + 1))
    )


def pages(redactor: Redactor, text: str, cuts: list[int]) -> str:
    """Show the text as a poller does that sees it grow up to each cut, then its end."""
    shown, cursor = "", 0
    for cut in sorted(cuts):
        part, taken = redactor.page(text[max(0, cursor - CONTEXT) : cursor], text[cursor:cut], more=True)
        shown, cursor = shown + part, cursor + taken
    part, taken = redactor.page(text[max(0, cursor - CONTEXT) : cursor], text[cursor:], more=False)
    assert cursor + taken == len(text)
    return shown + part


@pytest.mark.parametrize("text", [text for text, _ in SHAPED if not text.startswith(PEM)])
def test_a_secret_cut_anywhere_is_masked_as_if_it_came_at_once(text: str) -> None:
    redactor = Redactor()
    whole = redactor.text(text)
    for cut in range(len(text) + 1):
        if not cuts_an_anchor(text, cut):
            assert pages(redactor, text, [cut]) == whole, cut


PARTS = st.one_of(
    st.sampled_from(
        (
            *(" ", "\n", "x", "=", ":", '"', "'", "\\", "/", "@", "-", "$", ".", "ß", "7", "token", "key"),
            *("hunter2", "hunt", "er2", "hunter2-longer", "first line of it\n", "second line of it"),
            *("API_TOKEN=", "password: ", '"secret": "', "Bearer ", "Authorization: Basic ", "http://u:"),
            *(GITHUB, JWT, "sk-abc", "123def456ghi789", "AKIA" + "IOSFODNN7EXAMPLE", "get_token(", "eyJ"),
            *("--token ", f"{BEGIN}\n{PEM}\n{END}", "-----BEGIN "),
        )
    ),
    st.text("abkey:=\"' 1", max_size=5),
)


@settings(max_examples=500, deadline=None)
@given(parts=st.lists(PARTS, max_size=12), data=st.data())
def test_a_poller_sees_the_same_wherever_its_cursor_cuts(parts: list[str], data: st.DataObject) -> None:
    redactor = Redactor(["hunter2", "hunter2-longer", "first line of it\nsecond line of it"])
    text = "".join(parts)
    cuts = data.draw(st.lists(st.integers(0, len(text)), max_size=5))
    cuts = [cut for cut in cuts if not cuts_an_anchor(text, cut)]
    assert pages(redactor, text, cuts) == redactor.text(text)


@settings(max_examples=500, deadline=None)
@given(text=st.text(), values=st.lists(st.text(min_size=4, max_size=8), max_size=3))
def test_any_text_at_all_keeps_what_is_outside_of_the_spans(text: str, values: list[str]) -> None:
    redactor = Redactor(values)
    spans = redactor.spans(text)
    assert all(0 <= a < b <= len(text) for a, b in spans)
    assert all(one[1] <= following[0] for one, following in pairwise(spans))
    assert 0 <= redactor.holdback(text) <= min(len(text), CONTEXT)
    kept = "".join(
        text[a:b]
        for a, b in zip([0, *(b for _, b in spans)], [*(a for a, _ in spans), len(text)], strict=True)
    )
    assert redactor.text(text).replace(MASK, "") == kept.replace(MASK, "")


def test_half_a_secret_waits_for_its_rest_and_not_for_ever() -> None:
    redactor = Redactor(["hunter2"])
    assert redactor.page("", "it is hunt", more=True) == ("it is ", 6)
    assert redactor.page("it is ", "hunter", more=False) == ("hunter", 6)
    assert redactor.page("", "x" + "TOKEN=" + "a" * 100_000, more=True)[1] > 100_000 - CONTEXT


HOSTILE = [
    *("token=", "token:", "token: ", "token=$", "token='", 'token="', 'token=\\"', "token=\\'", "password=("),
    *(
        "token=a(",
        "--token ",
        "key",
        "api_key",
        "api_key=",
        "bearer",
        "bearer ",
        "bearer: ",
        "authorization:",
    ),
    *(
        "authorization: basic ",
        "eyJ",
        "eyJ.",
        "eyJa.",
        "eyJaaaaaaaaa.",
        "sk-",
        "-sk-",
        "sk-aaaaaaaaaaaaaaaaaaaa-",
    ),
    *(
        "_ghp_",
        "_github_pat_",
        "AKIA",
        "SG.",
        "SG.aaaaaaaaaaaaaaaaa.",
        "1:AA",
        "://",
        "://a:",
        "://a:b",
        "://:@",
    ),
    *(
        BEGIN,
        f"{BEGIN}\n",
        END,
        "-----BEGIN ",
        "-----END ",
        "A" * 40 + "\n",
        "A",
        "-",
        "\\",
        "\\n",
        "\n",
        " ",
        "ß",
    ),
    *("a", "aaab", "aaaaaaa ", "\0", "\ud800"),
]


@pytest.mark.parametrize("unit", HOSTILE, ids=[repr(unit[:20]) for unit in HOSTILE])
def test_hostile_output_takes_time_in_proportion_to_its_length(unit: str) -> None:
    redactor = Redactor(["aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab" * 30, "hunter2"])

    def took(size: int) -> float:
        text = (unit * (size // len(unit) + 1))[:size]
        began = time.process_time()
        redactor.spans(text)
        redactor.holdback(text)
        return time.process_time() - began

    # Quadratic would be 256 times as long: seconds.
    assert min(took(1 << 18) for _ in range(2)) < 0.6
    assert min(took(1 << 18) for _ in range(2)) < 48 * max(0.001, min(took(1 << 14) for _ in range(3)))


def test_a_page_of_ordinary_output_is_masked_in_a_few_milliseconds() -> None:
    redactor = Redactor([f"secret-value-{number}" for number in range(30)])
    text = "[12:00:01] worker 17: handled GET /index.html in 12 ms, token count, key = 3\n" * 1000
    best = 1.0
    for _ in range(5):
        began = time.thread_time()
        redactor.text(text[:65536])
        best = min(best, time.thread_time() - began)
    print(f"redaction of 64 KiB: {best * 1000:.1f} ms")
    assert best < 0.03


def test_the_names_of_secret_variables_are_known_and_others_are_not() -> None:
    secrets = [
        *(
            "GITHUB_TOKEN",
            "OPENAI_API_KEY",
            "ANTHROPIC_KEY",
            "AWS_SECRET_ACCESS_KEY",
            "AWS_ACCESS_KEY_ID",
            "DB_PASS",
        ),
        *(
            "PGPASSWORD",
            "MYSQL_PWD",
            "my_secret",
            "PROD_SECRET_2",
            "DATABASE_URL",
            "SLACK_WEBHOOK_URL",
            "REDISCLI_AUTH",
        ),
        *("DJANGO_SECRET_KEY", "SSH_PRIVATE_KEY", "KEY", "SENTRY_DSN", "TOKEN", "API_TOKEN_GITHUB"),
    ]
    others = [
        *(
            "PATH",
            "HOME",
            "PWD",
            "OLDPWD",
            "GPG_KEY",
            "SSH_AUTH_SOCK",
            "XAUTHORITY",
            "TOKEN_FILE",
            "MAX_TOKENS",
            "",
        ),
        *(
            "PUBLIC_KEY",
            "KEYBOARD",
            "TOKENIZERS_PARALLELISM",
            "PASSENGER",
            "AUTHOR",
            "TOKEN_TTL",
        ),
    ]
    assert secret_names(dict.fromkeys(secrets + others, "value")) == tuple(sorted(secrets))


def test_the_module_needs_the_standard_library_alone() -> None:
    code = """
import sys
sys.path.insert(0, sys.argv[1])
from hermes_cli.processes import redaction
print(redaction.Redactor().text("TOKEN=abc"))
"""
    program = [sys.executable, "-S", "-I", "-c", code, str(Path(redaction.__file__).parents[2])]
    assert subprocess.run(program, capture_output=True, text=True, check=True).stdout == f"TOKEN={MASK}\n"
