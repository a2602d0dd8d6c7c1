"""The door opens for the password and the token, each for its role, and for nothing else."""

from __future__ import annotations

import pytest

from hermes_cli.dashboard.auth import Credentials, Forms

ALL = Credentials("password", "token", "read-password", "read-token")


def forms(key: bytes = b"k" * 32) -> Forms:
    return Forms(lambda: key)


def test_each_secret_opens_for_its_own_role() -> None:
    assert [ALL.role(guess) for guess in ("password", "token")] == ["operator"] * 2
    assert [ALL.role(guess) for guess in ("read-password", "read-token")] == ["reader"] * 2


@pytest.mark.parametrize("guess", ["", "passwor", "password ", "tok", "PASSWORD", "read-", "\ud800"])
def test_only_the_exact_secret_opens(guess: str) -> None:
    assert ALL.role(guess) is None
    assert ALL.role_of_token(guess) is None


def test_a_program_gets_in_by_a_token_alone() -> None:
    assert ALL.role_of_token("token") == "operator"
    assert ALL.role_of_token("read-token") == "reader"
    assert ALL.role_of_token("password") is None
    assert ALL.role_of_token("read-password") is None


def test_a_missing_secret_matches_nothing() -> None:
    assert Credentials(token="token").role("") is None
    assert Credentials(password="password").role_of_token("") is None
    assert Credentials().role("") is None


def test_material_changes_with_each_secret_of_the_role_and_no_other() -> None:
    def both(credentials: Credentials) -> tuple[bytes, bytes]:
        return credentials.material("operator"), credentials.material("reader")

    operator, reader = both(ALL)
    for other in (
        Credentials("x", "token", "r", "s"),
        Credentials("password", "x"),
        Credentials("token", "password"),
    ):
        assert other.material("operator") != operator
    assert both(Credentials("password", "token", "new", "read-token"))[0] == operator
    assert both(Credentials("password", "token", "new", "read-token"))[1] != reader


def test_a_form_is_valid_for_its_own_cookie_and_installation_only() -> None:
    assert forms().valid("cookie", forms().token("cookie"))
    assert not forms().valid("other", forms().token("cookie"))
    assert not forms().valid("cookie", forms(b"o" * 32).token("cookie"))
    assert not forms().valid(None, forms().token(""))
    assert not forms().valid("cookie", "")
    assert not forms().valid("cookie", "\ud800")
