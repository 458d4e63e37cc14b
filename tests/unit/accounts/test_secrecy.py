"""Presented and stored keys are neither in representations, logs and errors nor in the caches."""

import gc
import logging
import traceback

import pytest
from structlog.testing import capture_logs

from relate_accounts.authenticator import KeyAuthenticator
from relate_accounts.errors import AccountsUnavailable
from relate_accounts.last_used import LastUsedWriter
from relate_accounts.types import Scope
from tests.unit.accounts.gated_store import GatedStore

CLIENT = "192.0.2.1"
MARK = "marked-wrong-password"


def shown(*values: object) -> str:
    return "".join(f"{value!r}{value}" for value in values)


async def test_verdicts_logs_and_errors_contain_no_key(
    store: GatedStore,
    authenticator: KeyAuthenticator,
    last_used: LastUsedWriter,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    user = await store.add_user("alice@example.org")
    new = await store.create_key(user.id, "phone", [Scope.IMAP])
    everything = [new.key, user]
    with capture_logs() as logs:
        for secret in (new.secret, new.secret, MARK, MARK):
            everything.append(await authenticator.validate("alice@example.org", secret, Scope.IMAP, CLIENT))
            everything.append(await authenticator.validate_key(secret, CLIENT))
        store.broken = True
        await last_used.flush()
        with pytest.raises(AccountsUnavailable) as raised:
            await authenticator.validate("alice@example.org", MARK + "2", Scope.IMAP, CLIENT)
    trace = "".join(traceback.format_exception(raised.value))
    text = shown(*everything, vars(authenticator), logs, caplog.text) + trace
    assert new.secret not in text
    assert MARK not in text


async def test_the_caches_contain_no_key_and_no_password(store: GatedStore, authenticator: KeyAuthenticator) -> None:
    user = await store.add_user("alice@example.org")
    new = await store.create_key(user.id, "phone", [Scope.IMAP])
    for secret in (new.secret, MARK):
        await authenticator.validate("alice@example.org", secret, Scope.IMAP, CLIENT)
    accepted, refused = authenticator._accepted._held, authenticator._refused._held
    gc.collect()
    held = shown(dict(accepted), dict(refused))
    assert len(accepted) == len(refused) == 1
    assert new.secret not in held
    assert MARK not in held
