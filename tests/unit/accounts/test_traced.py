from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from relate_accounts.authenticator import KeyAuthenticator
from relate_accounts.errors import AccountsUnavailable
from relate_accounts.traced import TracedAuthenticator
from relate_accounts.types import Denied, Granted, Scope
from tests.unit.accounts.gated_store import GatedStore

CLIENT = "192.0.2.1"


class RecordedLogins:
    """An `AuthSeam` that records (user, arguments of `finish`) for each login."""

    def __init__(self) -> None:
        self.attempts: list[tuple[str | None, dict[str, object]]] = []
        self.errors: list[Exception] = []

    def finish(
        self,
        *,
        success: bool,
        cache_hit: bool,
        rate_limited: bool = False,
        failure_reason: str | None = None,
        key_name: str | None = None,
        owner: str | None = None,
    ) -> None:
        self.attempts[-1][1].update(
            success=success,
            cache_hit=cache_hit,
            rate_limited=rate_limited,
            failure_reason=failure_reason,
            key_name=key_name,
            owner=owner,
        )

    @contextmanager
    def validate(self, user: str | None) -> Iterator["RecordedLogins"]:
        self.attempts.append((user, {}))
        try:
            yield self
        except Exception as error:
            self.errors.append(error)
            raise


@pytest.fixture
def recorded() -> RecordedLogins:
    return RecordedLogins()


@pytest.fixture
def traced(authenticator: KeyAuthenticator, recorded: RecordedLogins) -> TracedAuthenticator:
    return TracedAuthenticator(authenticator, recorded)


async def test_each_login_is_recorded_with_all_attributes(
    store: GatedStore, traced: TracedAuthenticator, recorded: RecordedLogins
) -> None:
    user = await store.add_user("alice@example.org")
    new = await store.create_key(user.id, "phone", [Scope.IMAP])
    for login, scope in (("alice@example.org", Scope.IMAP), ("alice@example.org", Scope.POP3), ("x@y.z", Scope.IMAP)):
        await traced.validate(login, new.secret, scope, CLIENT)
    common = {"rate_limited": False, "owner": None}
    assert recorded.attempts == [
        (
            "alice@example.org",
            common | {"success": True, "cache_hit": False, "failure_reason": None, "key_name": "phone"},
        ),
        (
            "alice@example.org",
            common | {"success": False, "cache_hit": True, "failure_reason": "missing_scope", "key_name": None},
        ),
        (
            "x@y.z",
            common | {"success": False, "cache_hit": False, "failure_reason": "user_not_found", "key_name": None},
        ),
    ]


async def test_a_rate_limited_login_is_marked_and_has_a_reason(
    traced: TracedAuthenticator, recorded: RecordedLogins
) -> None:
    for number in range(100):
        await traced.validate("x@y.z", f"wrong {number}", Scope.IMAP, CLIENT)
    assert recorded.attempts[-1][1] == {
        "success": False,
        "cache_hit": False,
        "rate_limited": True,
        "failure_reason": "invalid_key",
        "key_name": None,
        "owner": None,
    }


async def test_the_owner_of_a_key_is_known_after_success_only(
    store: GatedStore, traced: TracedAuthenticator, recorded: RecordedLogins
) -> None:
    user = await store.add_user("alice@example.org")
    new = await store.create_key(user.id, "script", [Scope.API_READ])
    assert isinstance(await traced.validate_key(new.secret, CLIENT), Granted)
    assert isinstance(await traced.validate_key("wrong", CLIENT), Denied)
    assert [(name, attributes["key_name"], attributes["owner"]) for name, attributes in recorded.attempts] == [
        (None, "script", "alice@example.org"),
        (None, None, None),
    ]


async def test_an_exception_is_raised_through_the_span(
    store: GatedStore, traced: TracedAuthenticator, recorded: RecordedLogins
) -> None:
    store.broken = True
    with pytest.raises(AccountsUnavailable):
        await traced.validate("alice@example.org", "secret", Scope.IMAP, CLIENT)
    assert [type(error) for error in recorded.errors] == [AccountsUnavailable]
    assert recorded.attempts == [("alice@example.org", {})]


async def test_a_login_as_another_user_is_recorded_and_denied(
    store: GatedStore, traced: TracedAuthenticator, recorded: RecordedLogins
) -> None:
    user = await store.add_user("alice@example.org")
    new = await store.create_key(user.id, "phone", [Scope.IMAP])
    for secret in (new.secret, "wrong"):
        verdict = await traced.validate("alice@example.org", secret, Scope.IMAP, CLIENT, "bob@example.org")
        assert isinstance(verdict, Denied)
    assert [(name, attributes["success"], attributes["failure_reason"]) for name, attributes in recorded.attempts] == [
        ("alice@example.org", False, "missing_scope"),
        ("alice@example.org", False, "invalid_key"),
    ]
