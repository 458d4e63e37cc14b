"""The text of a message: which parts it is, how they are decoded, and where they are cut."""

import httpx
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from relate_api.emails.bodies import MAX_BODY, read_bodies
from relate_mailstore.memory import MemoryRawMessage
from relate_mailstore.mime import index_message
from relate_mailstore.types import AccountId
from tests.support.examples import examples
from tests.support.factories import CRLF, delivery, multipart, simple
from tests.support.memory_backend import MemoryBackend
from tests.unit.api.clients import EMAILS

FORWARDED = CRLF.join(
    [
        b"MIME-Version: 1.0",
        b'Content-Type: multipart/mixed; boundary="b"',
        b"",
        b"--b",
        b"Content-Type: text/html",
        b"",
        b"<p>See below.</p>",
        b"--b",
        b"Content-Type: message/rfc822",
        b"Content-Disposition: attachment",
        b"",
        simple(body="Somebody else's words.\r\n"),
        b"--b--",
        b"",
    ]
)


async def bodies_of(raw: bytes) -> tuple[str | None, str | None, bool]:
    return await read_bodies(MemoryRawMessage(raw, None), index_message(raw))


def encoded(encoding: str, charset: str, octets: bytes) -> bytes:
    head = f"Content-Type: text/plain; charset={charset}\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n"
    return head.encode() + octets


async def test_a_message_without_text_has_none() -> None:
    assert await bodies_of(b"Content-Type: image/png\r\n\r\n\x89PNG") == (None, None, False)


async def test_encodings_and_charsets_are_undone() -> None:
    assert await bodies_of(encoded("quoted-printable", "iso-8859-1", b"gr=FC=DFe")) == ("grüße", None, False)
    assert await bodies_of(encoded("base64", "utf-8", b"Z3LDvMOfZQ==")) == ("grüße", None, False)


async def test_what_is_in_an_attached_message_is_not_the_text() -> None:
    text, html, _ = await bodies_of(FORWARDED)
    assert (text, html) == (None, "<p>See below.</p>")


async def test_a_text_is_cut_at_the_limit_and_says_so() -> None:
    whole = "x" * MAX_BODY
    assert await bodies_of(simple(body=whole)) == (whole, None, False)
    assert await bodies_of(simple(body=whole + "y")) == (whole, None, True)


@given(
    octets=st.binary(max_size=400) | st.builds(bytes.replace, st.just(multipart()), st.binary(max_size=3), st.binary())
)
@settings(max_examples=examples(100), derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_whatever_was_delivered_can_be_listed_and_read(
    world: MemoryBackend, alice: AccountId, client: httpx.AsyncClient, octets: bytes
) -> None:
    email = (await world.store.deliver(delivery(alice, raw=octets))).message_id
    assert (await client.get(f"{EMAILS}?limit=1")).json()["items"][0]["id"] == str(email)
    assert (await client.get(f"{EMAILS}/{email}")).status_code == 200
    assert (await client.get(f"{EMAILS}/{email}/raw")).content == octets
