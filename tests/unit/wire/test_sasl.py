"""The mechanisms, with the examples of their RFCs, and malformed exchanges."""

import base64
import json
import traceback

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relate_wire.sasl import (
    MAX_MESSAGE_OCTETS,
    MAX_PLAIN_OCTETS,
    MECHANISMS,
    Credentials,
    SaslCancelled,
    SaslError,
    authenticate,
)
from relate_wire.secret import Secret

TOKEN = "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg=="
# RFC 7628: §4.1, the success in IMAP and in SMTP; §4.3, no token; §4.4, which has `user=` where RFC 5801 has `a=`.
RFC_7628_IMAP = (
    b"bixhPXVzZXJAZXhhbXBsZS5jb20sAWhvc3Q9c2VydmVyLmV4YW1wbGUuY29tAXBvcnQ9MTQzAWF1dGg9QmVhcmVyI"
    b"HZGOWRmdDRxbVRjMk52YjNSbGNrQmhiSFJoZG1semRHRXVZMjl0Q2c9PQEB"
)
RFC_7628_SMTP = (
    b"bixhPXVzZXJAZXhhbXBsZS5jb20sAWhvc3Q9c2VydmVyLmV4YW1wbGUuY29tAXBvcnQ9NTg3AWF1dGg9QmVhcmVyI"
    b"HZGOWRmdDRxbVRjMk52YjNSbGNrQmhiSFJoZG1semRHRXVZMjl0Q2c9PQEB"
)
RFC_7628_NO_TOKEN = b"bixhPXVzZXJAZXhhbXBsZS5jb20sAWhvc3Q9c2VydmVyLmV4YW1wbGUuY29tAXBvcnQ9MTQzAWF1dGg9AQE="
RFC_7628_USER = (
    b"bix1c2VyPXNvbWV1c2VyQGV4YW1wbGUuY29tLAFhdXRoPUJlYXJl"
    b"ciB2RjlkZnQ0cW1UYzJOdmIzUmxja0JoZEhSaGRtbHpkR0V1WTI5dENnPT0BAQ=="
)
DUMMY = b"AQ=="  # the client's response to an error challenge, §3.2.3


class Client:
    """Responds to challenges with given lines, and records the challenges."""

    def __init__(self, *lines: bytes) -> None:
        self.lines = list(lines)
        self.challenges: list[bytes] = []

    async def ask(self, challenge: bytes) -> bytes:
        self.challenges.append(challenge)
        return self.lines.pop(0)


async def from_initial(mechanism: str, message: bytes) -> Credentials:
    client = Client(DUMMY)
    return await authenticate(mechanism, base64.b64encode(message), client.ask)


def plain(login: str, password: str, authorize_as: str = "") -> Credentials:
    return Credentials("PLAIN", login, Secret(password), authorize_as)


# --- PLAIN


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (b"\0tim\0tanstaaftanstaaf", plain("tim", "tanstaaftanstaaf")),  # RFC 4616 §4, first example
        (b"Ursel\0Kurt\0xipj3plmq", plain("Kurt", "xipj3plmq", "Ursel")),  # RFC 4616 §4, second example
        (b"test\0test\x001234", plain("test", "1234")),  # RFC 4954 §4.1
        ("\0jürgen\0paßwort".encode(), plain("jürgen", "paßwort")),
        (b"\0a b\0 spaces kept ", plain("a b", " spaces kept ")),
        (b"\0a\0" + b"x" * (MAX_PLAIN_OCTETS - 3), plain("a", "x" * (MAX_PLAIN_OCTETS - 3))),
    ],
)
async def test_a_plain_message_returns_credentials(message: bytes, expected: Credentials) -> None:
    assert await from_initial("PLAIN", message) == expected


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"tim",
        b"tim\0secret",
        b"\0tim\0secret\0",
        b"\0tim\0sec\0ret",
        b"\0\0secret",
        b"\0tim\0",
        b"tim\0\0",
        b"\0\xfftim\0secret",
        b"\0tim\0\xc3",
        b"\0a\0" + b"x" * (MAX_PLAIN_OCTETS - 2),
    ],
)
async def test_malformed_plain_message_is_refused(message: bytes) -> None:
    with pytest.raises(SaslError):
        await from_initial("PLAIN", message)


async def test_plain_without_an_initial_response_sends_an_empty_challenge() -> None:
    client = Client(b"dGVzdAB0ZXN0ADEyMzQ=")  # RFC 4954 §4.1
    assert await authenticate("PLAIN", None, client.ask) == plain("test", "1234")
    assert client.challenges == [b""]


async def test_an_initial_response_sends_no_challenge() -> None:
    client = Client()
    assert await authenticate("PLAIN", b"dGVzdAB0ZXN0ADEyMzQ=", client.ask) == plain("test", "1234")
    assert client.challenges == []


# --- LOGIN


async def test_login_prompts_for_name_and_password() -> None:
    client = Client(b"dGlt", b"dGFuc3RhYWY=")
    assert await authenticate("LOGIN", None, client.ask) == Credentials("LOGIN", "tim", Secret("tanstaaf"))
    assert client.challenges == [b"VXNlcm5hbWU6", b"UGFzc3dvcmQ6"]


async def test_login_accepts_the_name_as_initial_response() -> None:
    client = Client(b"dGFuc3RhYWY=")
    assert await authenticate("LOGIN", b"dGlt", client.ask) == Credentials("LOGIN", "tim", Secret("tanstaaf"))
    assert client.challenges == [b"UGFzc3dvcmQ6"]


@pytest.mark.parametrize(
    "fields",
    [
        (b"", b"secret"),
        (b"tim", b""),
        (b"\0tim", b"secret"),
        (b"tim", b"sec\0ret"),
        (b"\xff", b"secret"),
        (b"tim", b"\xff"),
        (b"x" * (MAX_PLAIN_OCTETS + 1), b"secret"),
    ],
)
async def test_malformed_login_is_refused(fields: tuple[bytes, bytes]) -> None:
    with pytest.raises(SaslError):
        await authenticate("LOGIN", None, Client(*map(base64.b64encode, fields)).ask)


# --- OAUTHBEARER


@pytest.mark.parametrize("initial", [RFC_7628_IMAP, RFC_7628_SMTP], ids=["IMAP", "SMTP"])
async def test_oauthbearer_example_of_the_rfc(initial: bytes) -> None:
    credentials = await authenticate("OAUTHBEARER", initial, Client().ask)
    assert credentials == Credentials("OAUTHBEARER", "user@example.com", Secret(TOKEN))


@pytest.mark.parametrize(("answer", "error"), [(DUMMY, SaslError), (b"*", SaslCancelled)])
async def test_oauthbearer_without_a_token_sends_an_error_challenge(answer: bytes, error: type[SaslError]) -> None:
    client = Client(answer)
    with pytest.raises(error):
        await authenticate("OAUTHBEARER", RFC_7628_NO_TOKEN, client.ask)
    assert [json.loads(base64.b64decode(challenge)) for challenge in client.challenges] == [{"status": "invalid_token"}]


async def test_a_malformed_oauthbearer_header_is_refused() -> None:
    with pytest.raises(SaslError, match="Malformed"):
        await authenticate("OAUTHBEARER", RFC_7628_USER, Client().ask)


@pytest.mark.parametrize(
    ("message", "login", "token"),
    [
        (b"n,,\1auth=Bearer abc\1\1", "", "abc"),
        (b"y,,\1auth=Bearer abc\1\1", "", "abc"),
        (b"n,a=me,\1auth=bearer  a-b._~+/c==\1\1", "me", "a-b._~+/c=="),
        (b"n,a=a=2Cb=3Dc,\1auth=Bearer abc\1\1", "a,b=c", "abc"),
        (b"n,a==3D2C,\1auth=Bearer abc\1\1", "=2C", "abc"),
        (b"n,a=me,\1auth=Bearer abc\1host=a=b\1\1", "me", "abc"),
        (b"n,a=me,\1host=\1auth=Bearer abc\1\1", "me", "abc"),
        (b"n,,\1auth=Bearer " + b"x" * 8000 + b"\1\1", "", "x" * 8000),
    ],
)
async def test_an_oauthbearer_message_returns_credentials(message: bytes, login: str, token: str) -> None:
    assert await from_initial("OAUTHBEARER", message) == Credentials("OAUTHBEARER", login, Secret(token))


@pytest.mark.parametrize(
    "message",
    [
        b"\1",  # the response to an error challenge, without the challenge
        b"",
        b"n,,",
        b"n,,\1",
        b"n,,\1\1",
        b"n,,\1auth=Bearer abc",
        b"n,,\1auth=Bearer abc\1",
        b"n,,\1auth=Bearer abc\1\1\1x",
        b"n,,\1auth=Bearer abc\1\1x",
        b"n,,\1auth=Basic abc\1\1",
        b"n,,\1auth=Bearer\1\1",
        b"n,,\1auth=Bearer a b\1\1",
        b"n,,\1auth=Bearer =\1\1",
        b"n,,\1host=server\1\1",
        b"p=tls-unique,,\1auth=Bearer abc\1\1",
        b"F,n,,\1auth=Bearer abc\1\1",
        b"n,a=,\1auth=Bearer abc\1\1",
        b"n,a=a=b,\1auth=Bearer abc\1\1",
        b"n,a=a\0b,\1auth=Bearer abc\1\1",
        b"n,me,\1auth=Bearer abc\1\1",
        b"n,a=\xff,\1auth=Bearer abc\1\1",
        b"n,,\1auth=Bearer " + b"x" * MAX_MESSAGE_OCTETS + b"\1\1",
    ],
)
async def test_malformed_oauthbearer_message_is_refused(message: bytes) -> None:
    with pytest.raises(SaslError):
        await from_initial("OAUTHBEARER", message)


# --- the exchange


@pytest.mark.parametrize("mechanism", MECHANISMS)
async def test_client_cancels_with_an_asterisk(mechanism: str) -> None:
    with pytest.raises(SaslCancelled):
        await authenticate(mechanism, None, Client(b"*").ask)


async def test_client_cancels_after_a_response() -> None:
    with pytest.raises(SaslCancelled):
        await authenticate("LOGIN", b"dGlt", Client(b"*").ask)


async def test_asterisk_is_no_initial_response() -> None:
    with pytest.raises(SaslError) as raised:
        await authenticate("PLAIN", b"*", Client().ask)
    assert not isinstance(raised.value, SaslCancelled)


@pytest.mark.parametrize("mechanism", ["CRAM-MD5", "", "EXTERNAL", "PLAIN "])
async def test_unknown_mechanism_is_refused(mechanism: str) -> None:
    with pytest.raises(SaslError):
        await authenticate(mechanism, None, Client().ask)


async def test_mechanism_names_are_case_insensitive() -> None:
    assert await authenticate("plain", b"dGVzdAB0ZXN0ADEyMzQ=", Client().ask) == plain("test", "1234")


async def test_equals_sign_is_an_empty_initial_response() -> None:
    client = Client()
    with pytest.raises(SaslError, match="Empty"):
        await authenticate("LOGIN", b"=", Client(b"dGFuc3RhYWY=").ask)
    with pytest.raises(SaslError, match="PLAIN"):
        await authenticate("PLAIN", b"=", client.ask)
    assert client.challenges == []


@pytest.mark.parametrize(
    "encoded", [b"a", b"dGlt=AAA", b"=AAA", b"AAA=BBB", b"dGlt\n", b" dGlt", b"dG lt", b"\xff\xff", b"dGl-", b"dGlt*"]
)
async def test_malformed_base64_is_refused(encoded: bytes) -> None:
    with pytest.raises(SaslError, match="base64"):
        await authenticate("LOGIN", encoded, Client().ask)
    with pytest.raises(SaslError, match="base64"):
        await authenticate("LOGIN", None, Client(encoded).ask)


async def test_an_exception_of_ask_is_raised() -> None:
    async def ask(challenge: bytes) -> bytes:
        raise ConnectionError

    with pytest.raises(ConnectionError):
        await authenticate("PLAIN", None, ask)


async def test_errors_and_credentials_contain_no_secret() -> None:
    assert "tanstaaf" not in repr(await from_initial("PLAIN", b"\0tim\0tanstaaf"))
    for message in (b"\0tim\0tanstaaf\xff", b"\0tim\0tanstaaf\0"):
        with pytest.raises(SaslError) as raised:
            await from_initial("PLAIN", message)
        assert "tanstaaf" not in "".join(traceback.format_exception(raised.value))
        assert raised.value.__context__ is None


messages = st.binary(max_size=40) | st.lists(
    st.sampled_from([b"\0", b"a", b"\1", b"n,,", b"auth=", b"Bearer ", b"=", b",", b"\xff"])
).map(b"".join)


@given(mechanism=st.sampled_from(sorted(MECHANISMS)), message=messages, second=messages)
async def test_any_message_returns_credentials_or_raises_an_error(
    mechanism: str, message: bytes, second: bytes
) -> None:
    client = Client(base64.b64encode(message), base64.b64encode(second))
    try:
        credentials = await authenticate(mechanism, None, client.ask)
    except SaslError:
        return
    assert credentials.mechanism == mechanism
    assert credentials.secret.reveal()


@given(mechanism=st.sampled_from([*MECHANISMS, "X"]), lines=st.lists(st.binary(max_size=20), min_size=3, max_size=3))
async def test_any_line_returns_credentials_or_raises_an_error(mechanism: str, lines: list[bytes]) -> None:
    try:
        credentials = await authenticate(mechanism, lines[0], Client(*lines[1:]).ask)
    except SaslError:
        return
    assert credentials.mechanism == mechanism
    assert credentials.secret.reveal()
