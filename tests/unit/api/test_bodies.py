"""The text of a message: selection of the parts, decoding, truncation."""

import httpx
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from relate_api.emails.bodies import MAX_TEXT_OCTETS, read_bodies
from relate_mailstore.memory import MemoryRawMessage
from relate_mailstore.types import AccountId
from relate_mime import index_message
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
        simple(body="Forwarded text.\r\n"),
        b"--b--",
        b"",
    ]
)


async def bodies(raw: bytes) -> tuple[str | None, str | None, bool]:
    return await read_bodies(MemoryRawMessage(raw, None), index_message(raw))


def encoded(encoding: str, charset: str, octets: bytes) -> bytes:
    head = f"Content-Type: text/plain; charset={charset}\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n"
    return head.encode() + octets


async def test_a_message_without_text_has_no_bodies() -> None:
    assert await bodies(b"Content-Type: image/png\r\n\r\n\x89PNG") == (None, None, False)


async def test_encodings_and_charsets_are_decoded() -> None:
    assert await bodies(encoded("quoted-printable", "iso-8859-1", b"gr=FC=DFe")) == ("grüße", None, False)
    assert await bodies(encoded("base64", "utf-8", b"Z3LDvMOfZQ==")) == ("grüße", None, False)


async def test_the_text_of_an_attached_message_is_not_used() -> None:
    text, html, _ = await bodies(FORWARDED)
    assert (text, html) == (None, "<p>See below.</p>")


async def test_a_text_beyond_the_limit_is_truncated_and_marked() -> None:
    longest = "x" * MAX_TEXT_OCTETS
    assert await bodies(simple(body=longest)) == (longest, None, False)
    assert await bodies(simple(body=longest + "y")) == (longest, None, True)


@given(
    octets=st.binary(max_size=400) | st.builds(bytes.replace, st.just(multipart()), st.binary(max_size=3), st.binary())
)
@settings(max_examples=examples(100), derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_any_delivered_message_can_be_listed_and_read(
    world: MemoryBackend, alice: AccountId, client: httpx.AsyncClient, octets: bytes
) -> None:
    email = (await world.store.deliver(delivery(alice, raw=octets))).message_id
    assert (await client.get(f"{EMAILS}?limit=1")).json()["items"][0]["id"] == str(email)
    assert (await client.get(f"{EMAILS}/{email}")).status_code == 200
    assert (await client.get(f"{EMAILS}/{email}/raw")).content == octets
