"""Attachments: decoded content, ranges of it, and names and types that cannot do harm."""

import base64
import quopri

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relate_api.http.disposition import MAX_NAME_CHARACTERS, attachment, safe_name
from relate_api.http.ranges import NotSatisfiableError, OctetRange, parse_range
from relate_mailstore.types import AccountId
from tests.support.factories import UNKNOWN_MESSAGE, delivery, multipart
from tests.support.memory_backend import MemoryBackend
from tests.unit.api.clients import OWN_EMAILS, expect_problem

CONTENT = bytes(range(256)) * 20
LARGE = b"".join(b"%07d\n" % number for number in range(300_000))  # more than is buffered


def with_attachment(
    content: bytes, encoding: str = "base64", media_type: str = "application/pdf", name: str = 'filename="a.pdf"'
) -> bytes:
    match encoding:
        case "base64":
            body = base64.encodebytes(content).replace(b"\n", b"\r\n")
        case "quoted-printable":
            body = quopri.encodestring(content).replace(b"\n", b"\r\n")
        case _:
            body = content
    head = (
        "Subject: x\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\ntext\r\n--b\r\n"
        f"Content-Type: {media_type}\r\nContent-Transfer-Encoding: {encoding}\r\n"
        f"Content-Disposition: attachment; {name}\r\n\r\n"
    )
    return head.encode() + body + b"\r\n--b--\r\n"


async def new_path(world: MemoryBackend, account: AccountId, raw: bytes) -> str:
    return f"{OWN_EMAILS}/{(await world.store.deliver(delivery(account, raw=raw))).message_id}/attachments/2"


@pytest.mark.parametrize("encoding", ["base64", "quoted-printable", "8bit", "x-unknown"])
@pytest.mark.parametrize("content", [b"", b"a", LARGE[:100_000], LARGE], ids=["none", "one", "some", "many"])
async def test_content_is_decoded(
    world: MemoryBackend, alice: AccountId, client: httpx.AsyncClient, encoding: str, content: bytes
) -> None:
    path = await new_path(world, alice, with_attachment(content, encoding))
    response = await client.get(path)
    received = response.content.replace(b"\r\n", b"\n") if encoding == "quoted-printable" else response.content
    assert (response.status_code, received) == (200, content)
    assert response.headers["content-length"] == str(len(response.content))
    assert response.headers["accept-ranges"] == "bytes"
    assert response.headers["content-disposition"] == 'attachment; filename="a.pdf"'
    head = await client.head(path, headers={"Range": "bytes=0-0"})
    assert (head.status_code, head.content, head.headers) == (200, b"", response.headers)


async def test_each_listed_attachment_has_its_content(
    world: MemoryBackend, alice: AccountId, client: httpx.AsyncClient
) -> None:
    email = (await world.store.deliver(delivery(alice, raw=multipart()))).message_id
    (listed,) = (await client.get(f"{OWN_EMAILS}/{email}")).json()["attachments"]
    response = await client.get(f"{OWN_EMAILS}/{email}/attachments/{listed['id']}")
    assert response.content.startswith(b"%PDF-1.4")
    assert response.headers["content-type"] == listed["contentType"]


@pytest.mark.parametrize("encoding", ["base64", "quoted-printable", "8bit"])
@pytest.mark.parametrize("content", [LARGE[:5_000], LARGE], ids=["some", "many"])
async def test_a_range_is_of_the_decoded_content(
    world: MemoryBackend, alice: AccountId, client: httpx.AsyncClient, encoding: str, content: bytes
) -> None:
    path = await new_path(world, alice, with_attachment(content, encoding))
    whole = (await client.get(path)).content
    size = len(whole)
    for field, start, stop in (
        ("bytes=0-0", 0, 1),
        ("bytes=10-99", 10, 100),
        ("bytes=4990-", 4990, size),
        ("bytes=-10", size - 10, size),
        (f"bytes={size - 1}-{size * 9}", size - 1, size),
        (f"bytes=-{size * 9}", 0, size),
    ):
        response = await client.get(path, headers={"Range": field})
        assert (response.status_code, response.content) == (206, whole[start:stop])
        assert response.headers["content-range"] == f"bytes {start}-{stop - 1}/{size}"
        assert response.headers["content-length"] == str(stop - start)


async def test_ranges_are_ignored_or_refused_as_the_rfc_says(
    world: MemoryBackend, alice: AccountId, client: httpx.AsyncClient
) -> None:
    path = await new_path(world, alice, with_attachment(CONTENT))
    for field in ("bytes=5-1", "bytes=0-1,5-6", "lines=0-1", "bytes", "bytes=-", "bytes=a-b", f"bytes={'9' * 99}-"):
        response = await client.get(path, headers={"Range": field})
        assert (response.status_code, response.content) == (200, CONTENT)
    for field in (f"bytes={len(CONTENT)}-", "bytes=-0", "bytes=999999999999-"):
        response = await client.get(path, headers={"Range": field})
        expect_problem(response, 416)
        assert response.headers["content-range"] == f"bytes */{len(CONTENT)}"


async def test_a_range_of_another_representation_is_ignored(
    world: MemoryBackend, alice: AccountId, client: httpx.AsyncClient
) -> None:
    path = await new_path(world, alice, with_attachment(CONTENT))
    etag = (await client.get(path)).headers["etag"]
    for condition, status in ((etag, 206), (f"W/{etag}", 200), ('"x"', 200), ("Mon, 30 Nov 2026 09:30:00 GMT", 200)):
        response = await client.get(path, headers={"Range": "bytes=0-1", "If-Range": condition})
        assert response.status_code == status
    current = await client.get(path, headers={"If-None-Match": etag, "Range": "bytes=0-1"})
    assert (current.status_code, current.content) == (304, b"")


@pytest.mark.parametrize("attachment_id", ["1", "3", "x", "2.1", "%2e%2e%2f2", "2%0d%0a", "0" * 200])
async def test_an_unknown_attachment_is_not_found(
    world: MemoryBackend, alice: AccountId, client: httpx.AsyncClient, attachment_id: str
) -> None:
    path = await new_path(world, alice, with_attachment(CONTENT))
    expect_problem(await client.get(path.removesuffix("2") + attachment_id), 404)


async def test_another_users_attachment_is_not_found(
    world: MemoryBackend, bob: AccountId, client: httpx.AsyncClient
) -> None:
    path = await new_path(world, bob, with_attachment(CONTENT))
    response = await client.get(path)
    expect_problem(response, 404)
    assert response.content == (await client.get(f"{OWN_EMAILS}/{UNKNOWN_MESSAGE}/attachments/2")).content


@pytest.mark.parametrize(
    ("media_type", "sent"),
    [
        ("image/png", "image/png"),
        ("text/plain; charset=utf-8", "text/plain"),
        ("text/html", "application/octet-stream"),
        ("image/svg+xml", "application/octet-stream"),
        ("application/javascript", "application/octet-stream"),
        ("a/b<script>", "application/octet-stream"),
    ],
)
async def test_active_content_is_never_displayed(
    world: MemoryBackend, alice: AccountId, client: httpx.AsyncClient, media_type: str, sent: str
) -> None:
    response = await client.get(await new_path(world, alice, with_attachment(CONTENT, media_type=media_type)))
    assert response.headers["content-type"] == sent
    assert response.headers["content-disposition"].startswith("attachment;")
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["content-security-policy"] == "sandbox; default-src 'none'"


async def test_a_hostile_name_stays_in_its_field(
    world: MemoryBackend, alice: AccountId, client: httpx.AsyncClient
) -> None:
    name = "filename*=utf-8''..%2F..%2Fa%0D%0ASet-Cookie%3A%20b%22%E2%80%AE.pdf"
    response = await client.get(await new_path(world, alice, with_attachment(CONTENT, name=name)))
    assert response.headers["content-disposition"] == 'attachment; filename="a Set-Cookie_ b_.pdf"'
    assert "set-cookie" not in response.headers


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("report.pdf", "report.pdf"),
        ("/etc/passwd", "passwd"),
        ("C:\\temp\\a.exe", "a.exe"),
        ("..", "default"),
        ("", "default"),
        (" .hidden. ", "hidden"),
        ("a\r\nb\0c", "a bc"),
        ("gnp.\u202eexe", "gnp.exe"),
        ("Größe: 1?.txt", "Größe_ 1_.txt"),
        ("a" * 200 + ".pdf", "a" * 146 + ".pdf"),
        ("a." + "b" * 200, "a." + "b" * 148),
    ],
)
def test_names_are_made_safe(name: str, safe: str) -> None:
    assert safe_name(name, "default") == safe


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("a b.pdf", 'attachment; filename="a b.pdf"'),
        ("Größe.pdf", "attachment; filename=\"Groe.pdf\"; filename*=UTF-8''Gr%C3%B6%C3%9Fe.pdf"),
        ("日本", "attachment; filename=\"download\"; filename*=UTF-8''%E6%97%A5%E6%9C%AC"),
    ],
)
def test_names_are_written_for_old_and_new_clients(name: str, field: str) -> None:
    assert attachment(name) == field


@given(name=st.text())
def test_any_name_becomes_one_field_without_a_path(name: str) -> None:
    safe = safe_name(name, "default")
    assert safe
    assert len(safe) <= MAX_NAME_CHARACTERS
    assert not {*'/\\\r\n\0"'} & {*safe}
    field = attachment(safe)
    assert field.isascii()
    assert field.isprintable()
    assert field.count('"') == 2
    assert safe_name(safe, "default") == safe


@given(field=st.from_regex(r"bytes=[0-9]{0,4}-[0-9]{0,4}", fullmatch=True), size=st.integers(0, 5_000))
def test_a_range_lies_within_the_size(field: str, size: int) -> None:
    try:
        selected = parse_range(field, size)
    except NotSatisfiableError:
        return
    assert selected is None or (0 <= selected.start < selected.stop <= selected.size == size)


def test_a_range_is_written_as_the_rfc_says() -> None:
    assert str(OctetRange(0, 500, 1234)) == "bytes 0-499/1234"
