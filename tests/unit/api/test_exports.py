"""Exports: one message as a file, many as mbox."""

import re

import httpx
import pytest

from relate_mailstore.types import AccountId, Destination, Flag
from tests.support.factories import UNKNOWN_MESSAGE, big, delivery, simple
from tests.support.memory_backend import MemoryBackend
from tests.unit.api.clients import OWN_EMAILS, expect_problem

DAY = 86_400


@pytest.mark.parametrize(
    ("subject", "disposition"),
    [
        ("Annual report", 'attachment; filename="Annual report.eml"'),
        ("../../a\tb", 'attachment; filename="_.._a b.eml"'),
        ("Invoice 12/2026 AC/DC", 'attachment; filename="Invoice 12_2026 AC_DC.eml"'),
        ("C:\\a", 'attachment; filename="C__a.eml"'),
        ("Größe", "attachment; filename=\"Groe.eml\"; filename*=UTF-8''Gr%C3%B6%C3%9Fe.eml"),
    ],
)
async def test_a_message_is_exported_as_it_is_stored(
    world: MemoryBackend, alice: AccountId, client: httpx.AsyncClient, subject: str, disposition: str
) -> None:
    email = (await world.store.deliver(delivery(alice, raw=simple(subject)))).message_id
    response = await client.get(f"{OWN_EMAILS}/{email}/export/eml")
    assert response.content == simple(subject)
    assert response.headers["content-type"] == "message/rfc822"
    assert response.headers["content-disposition"] == disposition
    etag = response.headers["etag"]
    assert (await client.get(f"{OWN_EMAILS}/{email}/export/eml", headers={"If-None-Match": etag})).status_code == 304


async def test_a_message_without_subject_is_named_by_its_id(
    world: MemoryBackend, alice: AccountId, bob: AccountId, client: httpx.AsyncClient
) -> None:
    email = (await world.store.deliver(delivery(alice, raw=b"\r\n"))).message_id
    response = await client.get(f"{OWN_EMAILS}/{email}/export/eml")
    assert response.headers["content-disposition"] == f'attachment; filename="{email}.eml"'
    theirs = (await world.store.deliver(delivery(bob))).message_id
    for other in (theirs, UNKNOWN_MESSAGE):
        expect_problem(await client.get(f"{OWN_EMAILS}/{other}/export/eml"), 404)


async def test_mail_is_exported_oldest_first_with_its_flags(
    world: MemoryBackend, alice: AccountId, bob: AccountId, client: httpx.AsyncClient
) -> None:
    quoted = b"Subject: quoted\r\n\r\nFrom here\r\n>From there\r\n"
    placed = Destination(alice, "Archive", flags=Flag.SEEN | Flag.FLAGGED, keywords=("work",))
    await world.store.deliver(delivery(placed, raw=quoted, internal_date=DAY))
    await world.store.deliver(delivery(alice, raw=b"Subject: first\r\n\r\nno line end", internal_date=0))
    await world.store.deliver(delivery(bob, raw=simple("his")))
    response = await client.get(f"{OWN_EMAILS}/export/mbox")
    assert response.headers["content-type"] == "application/mbox"
    assert response.headers["content-disposition"] == 'attachment; filename="mail.mbox"'
    assert response.content == (
        b"From MAILER-DAEMON Thu Jan  1 00:00:00 1970\nStatus: O\nX-Status: \nX-Keywords: \n"
        b"Subject: first\n\nno line end\n\n"
        b"From MAILER-DAEMON Fri Jan  2 00:00:00 1970\nStatus: RO\nX-Status: F\nX-Keywords: work\n"
        b"Subject: quoted\n\n>From here\n>>From there\n\n"
    )


async def test_an_export_has_the_mail_of_a_mailbox_and_a_time(
    world: MemoryBackend, alice: AccountId, client: httpx.AsyncClient
) -> None:
    for number in range(130):  # three pages
        mailbox = "Archive" if number % 10 == 0 else "INBOX"
        raw = simple(f"number {number}", body="x\r\n" * 30_000 if number == 60 else "x\r\n")
        await world.store.deliver(delivery(Destination(alice, mailbox), raw=raw, internal_date=number * DAY))

    async def exported(**query: str) -> list[int]:
        text = (await client.get(f"{OWN_EMAILS}/export/mbox", params=query)).text
        numbers = re.findall(r"^Subject: number (\d+)$", text, re.MULTILINE)
        assert text.count("From MAILER-DAEMON ") == len(numbers)
        return [int(number) for number in numbers]

    assert await exported() == list(range(130))
    assert await exported(mailbox="Archive") == list(range(0, 130, 10))
    assert await exported(mailbox="Trash") == []
    assert await exported(fromDate="1970-01-11", toDate="1970-01-13") == [10, 11, 12]
    assert await exported(toDate="1970-01-02T00:00:00Z") == [0, 1]


async def test_a_mailbox_that_does_not_exist_is_not_exported(client: httpx.AsyncClient) -> None:
    response = await client.get(f"{OWN_EMAILS}/export/mbox", params={"mailbox": "nosuch"})
    assert expect_problem(response, 404)["detail"] == "there is no such mailbox"
    assert (await client.get(f"{OWN_EMAILS}/export/mbox", params={"mailbox": "inbox"})).status_code == 200


async def test_a_large_message_is_exported_in_pieces(
    world: MemoryBackend, alice: AccountId, client: httpx.AsyncClient
) -> None:
    await world.store.deliver(delivery(alice, raw=big(300_000), internal_date=0))
    content = (await client.get(f"{OWN_EMAILS}/export/mbox")).content
    assert content.endswith(big(300_000).replace(b"\r\n", b"\n") + b"\n" * (1 + (not big(300_000).endswith(b"\n"))))


@pytest.mark.parametrize("query", ["page=1", "fromDate=yesterday", f"mailbox={'x' * 1001}"])
async def test_an_invalid_export_is_refused(client: httpx.AsyncClient, query: str) -> None:
    expect_problem(await client.get(f"{OWN_EMAILS}/export/mbox?{query}"), 422)
