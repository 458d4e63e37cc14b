"""Parsing of requests: limits on head and chunks, independent of how the octets are split."""

from collections.abc import Iterator

import h11
import pytest

from relate_api.http.framing import MAX_CHUNKS, MAX_FIELDS, MAX_HEAD_OCTETS, MAX_PARAMETERS, SLICE_OCTETS, RequestReader

START = b"GET / HTTP/1.1\r\nHost: x\r\n"
CHUNKED = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
PIECE_OCTETS = [1, 7, SLICE_OCTETS - 1, 1_000_000]


def events(octets: bytes, size: int = 1_000_000, reader: RequestReader | None = None) -> Iterator[object]:
    """The events of octets that arrive in pieces of `size`."""
    reader = reader or RequestReader()
    for start in range(0, len(octets), size):
        reader.receive_data(octets[start : start + size])
        while (event := reader.next_event()) not in (h11.NEED_DATA, h11.PAUSED):
            yield event


def refused_status(octets: bytes, size: int = 1_000_000) -> int:
    """The status of the response to these malformed octets."""
    reader = RequestReader()
    with pytest.raises(h11.RemoteProtocolError):
        list(events(octets, size, reader))
    return reader.error_status


def kinds(octets: bytes, size: int = 1_000_000) -> set[type]:
    return {type(event) for event in events(octets, size)}


@pytest.mark.parametrize("size", PIECE_OCTETS)
def test_fields_are_accepted_up_to_the_limit(size: int) -> None:
    assert kinds(START + b"a:b\r\n" * (MAX_FIELDS - 1) + b"\r\n", size) == {h11.Request, h11.EndOfMessage}
    assert refused_status(START + b"a:b\r\n" * MAX_FIELDS + b"\r\n", size) == 431


@pytest.mark.parametrize("size", PIECE_OCTETS)
@pytest.mark.parametrize("field", [b"a:b\r\n", b"a:\n", b" folded\r\n"])
def test_too_many_fields_are_refused_before_the_end_of_the_head(size: int, field: bytes) -> None:
    assert refused_status(START + b"a: b\r\n" + field * 12_000 + b"\r\n", size) == 431


@pytest.mark.parametrize("size", PIECE_OCTETS)
def test_a_too_long_head_is_refused(size: int) -> None:
    long = b"a: " + b"x" * (MAX_HEAD_OCTETS - 1000) + b"\r\n\r\n"
    assert kinds(START + long, size) == {h11.Request, h11.EndOfMessage}
    assert refused_status(START + b"a: " + b"x" * (MAX_HEAD_OCTETS + SLICE_OCTETS) + b"\r\n\r\n", size) == 431
    assert (
        refused_status(b"GET /" + b"x" * (MAX_HEAD_OCTETS + SLICE_OCTETS) + b" HTTP/1.1\r\nHost: x\r\n\r\n", size)
        == 431
    )


@pytest.mark.parametrize("body", [b"\n" * 2_000, b"x" * 100_000])
def test_lines_of_a_body_are_not_counted_as_fields(body: bytes) -> None:
    head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body)
    data = [event.data for event in events(head + body) if isinstance(event, h11.Data)]
    assert b"".join(data) == body


def test_a_pipelined_request_has_the_same_limits() -> None:
    reader = RequestReader()
    pipelined = START + b"\r\n" + START + b"a:b\r\n" * 12_000 + b"\r\n"
    assert [type(event) for event in events(pipelined, reader=reader)] == [h11.Request, h11.EndOfMessage]
    reader.send(h11.Response(status_code=200, headers=[("Content-Length", "0")]))
    reader.send(h11.EndOfMessage())
    reader.start_next_cycle()
    with pytest.raises(h11.RemoteProtocolError):
        reader.next_event()
    assert reader.error_status == 431


@pytest.mark.parametrize("size", PIECE_OCTETS)
def test_too_many_chunks_are_refused(size: int) -> None:
    assert refused_status(CHUNKED + b"1\r\nx\r\n" * (MAX_CHUNKS + 1), size) == 413
    read = events(CHUNKED + b"1\r\nx\r\n" * MAX_CHUNKS + b"0\r\n\r\n", size)
    assert b"".join(event.data for event in read if isinstance(event, h11.Data)) == b"x" * MAX_CHUNKS


def test_one_large_chunk_is_accepted() -> None:
    chunk = b"%x\r\n" % 2_000_000 + b"x" * 2_000_000 + b"\r\n"
    assert kinds(CHUNKED + chunk + b"0\r\n\r\n") == {h11.Request, h11.Data, h11.EndOfMessage}


@pytest.mark.parametrize("size", PIECE_OCTETS)
@pytest.mark.parametrize("trailer", [b"a:b\r\n" * (MAX_FIELDS + 1), b"a:b\r\n" * 12_000, b"a: " + b"x" * 100_000])
def test_a_trailer_has_the_limits_of_a_head(size: int, trailer: bytes) -> None:
    assert refused_status(CHUNKED + b"0\r\n" + trailer + b"\r\n", size) == 431


@pytest.mark.parametrize("size", PIECE_OCTETS)
def test_an_endless_chunk_extension_is_refused(size: int) -> None:
    assert refused_status(CHUNKED + b"1;" + b"x" * 100_000, size) in {400, 431}


@pytest.mark.parametrize("host", ["a", "a.example:8080", "127.0.0.1", "[::1]:80", "", "münchen.example"])
def test_a_host_may_be_a_name_or_an_address(host: str) -> None:
    request = b"GET / HTTP/1.1\r\nHost: " + host.encode("idna" if "ü" in host else "ascii") + b"\r\n\r\n"
    assert kinds(request) == {h11.Request, h11.EndOfMessage}


@pytest.mark.parametrize("host", ["x/healthz/", "x/health?", "x#", "a@b/c", "a b", "a\\b", "[::1", "a:b", "[x]", "<a>"])
def test_a_host_with_url_delimiters_is_malformed(host: str) -> None:
    assert refused_status(f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()) == 400


def test_url_parameters_are_accepted_up_to_the_limit() -> None:
    def request(count: int) -> bytes:
        return b"GET /?" + b"&".join([b"a"] * count) + b" HTTP/1.1\r\nHost: x\r\n\r\n"

    assert kinds(request(MAX_PARAMETERS)) == {h11.Request, h11.EndOfMessage}
    assert refused_status(request(MAX_PARAMETERS + 1)) == 414


def test_another_protocol_is_a_bad_request() -> None:
    assert refused_status(b"EHLO client.example\r\n\r\n") == 400
    assert refused_status(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\n\r\n") == 400


def test_content_length_and_transfer_encoding_together_are_a_bad_request() -> None:
    fields = [b"Content-Length: 5", b"Transfer-Encoding: chunked"]
    for first, second in (fields, reversed(fields)):
        head = b"\r\n".join([b"POST / HTTP/1.1", b"Host: x", first, second, b"", b"0\r\n\r\n"])
        assert refused_status(head) == 400


@pytest.mark.parametrize("version", [b"0.9", b"2.0", b"3.0"])
def test_another_major_version_is_not_supported(version: bytes) -> None:
    assert refused_status(b"GET / HTTP/" + version + b"\r\nHost: x\r\n\r\n") == 505


@pytest.mark.parametrize("version", [b"1.0", b"1.1", b"1.2"])
def test_every_minor_version_is_supported(version: bytes) -> None:
    assert kinds(b"GET / HTTP/" + version + b"\r\nHost: x\r\n\r\n") == {h11.Request, h11.EndOfMessage}


@pytest.mark.parametrize("size", PIECE_OCTETS)
@pytest.mark.parametrize(
    ("target", "origin_form"),
    [
        (b"http://a.example/path?q=http://b/", b"/path?q=http://b/"),
        (b"HTTPS://a.example/", b"/"),
        (b"http://a.example", b"/"),
        (b"http://a.example?q", b"/?q"),
        (b"/http://a.example/", b"/http://a.example/"),
    ],
)
def test_a_target_in_absolute_form_has_the_path_and_the_host(size: int, target: bytes, origin_form: bytes) -> None:
    octets = b"GET " + target + b" HTTP/1.1\r\nA: 1\r\nHost: other\r\n\r\n"
    (request,) = (event for event in events(octets, size) if isinstance(event, h11.Request))
    assert request.target == origin_form
    host = b"other" if target == origin_form else b"a.example"
    assert sorted(request.headers) == [(b"a", b"1"), (b"host", host)]


@pytest.mark.parametrize("authority", [b"user@a.example", b"a b", b"[::1", b"a:b"])
def test_a_malformed_host_of_a_target_is_refused(authority: bytes) -> None:
    assert refused_status(b"GET http://" + authority + b"/ HTTP/1.1\r\nHost: x\r\n\r\n") == 400
