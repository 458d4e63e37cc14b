"""The routing of a server that relays nothing, and of one that relays for its users."""

import pytest

from relate_accounts.types import Recipient
from relate_submission.routing import Elsewhere, LocalOnly, Relaying, Unroutable
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


@pytest.mark.parametrize(
    ("address", "domain"),
    [
        ("carol@Example.ORG", "example.org"),
        ("carol@bücher.example", "xn--bcher-kva.example"),
        ("carol@[192.0.2.1]", "[192.0.2.1]"),
        ('"bob@example.net"@example.org', "example.org"),
    ],
)
async def test_a_users_mail_goes_elsewhere_and_a_strangers_does_not(
    backend: SmtpBackend, address: str, domain: str
) -> None:
    user = await backend.accounts.user_by_address("bob@example.net")
    routing = Relaying(backend.directory)

    assert await routing.route(address, user) == Elsewhere(domain)
    assert await routing.route(address, None) is Unroutable.NOT_LOCAL


@pytest.mark.parametrize("address", ["carol@example.net", "bob%example.org@example.net", "carol@named.example"])
async def test_an_unknown_address_of_a_local_domain_is_never_relayed(backend: SmtpBackend, address: str) -> None:
    await backend.accounts.add_domain("named.example")
    user = await backend.accounts.user_by_address("bob@example.net")

    assert await Relaying(backend.directory).route(address, user) is Unroutable.NO_SUCH_USER


async def test_what_is_no_domain_is_refused(backend: SmtpBackend) -> None:
    user = await backend.accounts.user_by_address("bob@example.net")

    assert await Relaying(backend.directory).route("carol@a_b", user) is Unroutable.NOT_LOCAL
