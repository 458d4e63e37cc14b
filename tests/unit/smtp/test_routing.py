"""Where mail goes when nothing is relayed."""

import pytest

from relate_accounts.types import Recipient
from relate_smtp.routing import LocalOnly, Unroutable
from tests.unit.smtp.office import PostOffice


@pytest.fixture
async def office() -> PostOffice:
    office = PostOffice()
    await office.add_person("bob@example.net", quota=1000, aliases=("chief@example.com",))
    return office


@pytest.mark.parametrize("address", ["bob@example.net", "BOB@Example.NET", "bob+list@example.net", '"bob"@example.net'])
async def test_mail_for_a_user_goes_to_the_user(office: PostOffice, address: str) -> None:
    found = await LocalOnly(office.directory).route(address, None)

    assert isinstance(found, Recipient)
    assert found.quota == 1000


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("carol@example.net", Unroutable.NO_SUCH_USER),
        ("carol@EXAMPLE.com", Unroutable.NO_SUCH_USER),
        ("bob@example.org", Unroutable.NOT_LOCAL),
        ("bob@[192.0.2.1]", Unroutable.NOT_LOCAL),
        ('"bob@example.net"@example.org', Unroutable.NOT_LOCAL),
        ("bob%example.org@example.net", Unroutable.NO_SUCH_USER),
    ],
)
async def test_other_mail_goes_nowhere(office: PostOffice, address: str, why: Unroutable) -> None:
    user = await office.accounts.user_by_address("bob@example.net")

    assert await LocalOnly(office.directory).route(address, None) is why
    assert await LocalOnly(office.directory).route(address, user) is why
