"""The routing of a server that relays nothing."""

import pytest

from relate_accounts.types import Recipient
from relate_smtp.routing import LocalOnly, Unroutable
from tests.unit.smtp.smtp_fixtures import SmtpBackend


@pytest.fixture
async def backend() -> SmtpBackend:
    backend = SmtpBackend()
    await backend.add_person("bob@example.net", quota=1000, aliases=("chief@example.com",))
    return backend


@pytest.mark.parametrize("address", ["bob@example.net", "BOB@Example.NET", "bob+list@example.net", '"bob"@example.net'])
async def test_address_of_a_user_is_routed_to_the_account(backend: SmtpBackend, address: str) -> None:
    found = await LocalOnly(backend.directory).route(address, None)

    assert isinstance(found, Recipient)
    assert found.quota == 1000


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("carol@example.net", Unroutable.NO_SUCH_USER),
        ("carol@EXAMPLE.com", Unroutable.NO_SUCH_USER),
        ("bob@example.org", Unroutable.NOT_LOCAL),
        ("bob@[192.0.2.1]", Unroutable.NOT_LOCAL),
        ('"bob@example.net"@example.org', Unroutable.NOT_LOCAL),
        ("bob%example.org@example.net", Unroutable.NO_SUCH_USER),
    ],
)
async def test_other_address_is_unroutable(backend: SmtpBackend, address: str, reason: Unroutable) -> None:
    user = await backend.accounts.user_by_address("bob@example.net")

    assert await LocalOnly(backend.directory).route(address, None) is reason
    assert await LocalOnly(backend.directory).route(address, user) is reason
