"""`/admin/domains`: the records of domains, and whether the DNS has them."""

from contextlib import nullcontext
from html import unescape

import httpx
import pytest
from fastapi import FastAPI

from relate_api.admin.domains.looking_up import RecordLookUps, no_dns
from relate_mailstore.types import AccountId
from relate_outbound.dns.ports import DnsFault, MxRecord
from relate_service.config import RelaySettings
from tests.support.fake_dns import FakeDns
from tests.support.memory_backend import MemoryBackend
from tests.unit.api.clients import SERVER_NAME, create_api
from tests.unit.api.page.admin.operating import send

DNS = FakeDns(
    mx={"example.org": [MxRecord(10, "mx.elsewhere.example")], "example.net": DnsFault.TIMEOUT},
    txt={
        "example.org": [b"v=spf1 mx -all"],
        "_dmarc.example.org": [b"v=DMARC1; p=reject"],
        "example.net": DnsFault.TIMEOUT,
        "_dmarc.example.net": DnsFault.TIMEOUT,
    },
)


@pytest.fixture
def app(world: MemoryBackend, alice: AccountId) -> FastAPI:
    """The API with a scripted DNS."""
    return create_api(world, look_ups=RecordLookUps(SERVER_NAME, RelaySettings(), lambda: nullcontext(DNS)))


async def test_the_records_are_those_that_the_api_has(operator: httpx.AsyncClient, world: MemoryBackend) -> None:
    await world.add_user("admin@example.org", "admin")
    shown = unescape((await operator.get("/admin/domains/example.org")).text)
    for value in ("10 mail.example.org.", '"v=spf1 mx -all"', "0 1 993 mail.example.org."):
        assert value in shown
    assert "relate domain add example.org" in shown  # it has no keys
    assert "example.org" in (await operator.get("/admin/domains")).text
    assert (await operator.get("/admin/domains/elsewhere.example")).status_code == 404


async def test_a_domain_is_added(operator: httpx.AsyncClient, world: MemoryBackend) -> None:
    response = await send(operator, "/admin/domains", name="new.example")
    assert response.headers["location"] == "/admin/domains/new.example?done=domain_added"
    assert await world.accounts.has_domain("new.example")
    refused = await send(operator, "/admin/domains", name="no domain")
    assert refused.status_code == 422
    assert 'value="no domain"' in refused.text


async def test_a_look_up_shows_what_is_there_and_the_overview_tells(operator: httpx.AsyncClient) -> None:
    assert "2 of 2 not looked up" in (await operator.get("/admin")).text
    shown = (await send(operator, "/admin/domains/example.org/look-up")).text
    assert "1 record that mail needs is missing or different." in shown
    assert "10 mx.elsewhere.example." in shown
    assert "Another one serves" in shown  # the DMARC record
    assert "Missing, optional" in shown
    assert "1 missing or different" in (await operator.get("/admin/domains")).text
    overview = (await operator.get("/admin")).text
    assert "1 record missing or different" in overview
    assert "1 of 2 not looked up" in overview


async def test_a_silent_dns_is_no_missing_record(operator: httpx.AsyncClient) -> None:
    shown = (await send(operator, "/admin/domains/example.net/look-up")).text
    assert "The DNS did not answer all questions within 5 seconds." in shown
    assert "No answer" in shown


async def test_without_a_name_server_the_page_names_the_setting(app: FastAPI, operator: httpx.AsyncClient) -> None:
    app.state.look_ups = RecordLookUps(SERVER_NAME, RelaySettings(), no_dns)
    shown = (await send(operator, "/admin/domains/example.org/look-up")).text
    assert "There is no name server: set Relay__Resolver" in shown
