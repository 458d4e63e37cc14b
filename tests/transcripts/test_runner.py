"""The transcript runner: each deviation from a transcript is an error that names its line."""

from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import pytest

from relate_pop3.context import Context
from relate_pop3.session import Pop3Engine
from tests.support.memory_backend import MemoryBackend
from tests.support.scripted import Connection
from tests.support.transcript import compile_pattern, encode_line, parse_transcript, replay

Converse = Callable[[str], Awaitable[None]]


@pytest.fixture
def converse(tmp_path: Path) -> Converse:
    """Replays a transcript against a POP3 server without users."""
    backend = MemoryBackend()
    context = Context(backend.store, backend.authenticator, "dewey", lambda _: True, starttls_available=True)

    async def play(text: str) -> None:
        path = tmp_path / "talk.txt"
        path.write_text(text, encoding="utf-8")
        await replay(parse_transcript(path), lambda: Connection(partial(Pop3Engine, context=context)))

    return play


async def test_a_wrong_reply_is_reported_with_line_and_octets(converse: Converse) -> None:
    with pytest.raises(AssertionError, match=r"talk\.txt:2: S: \+OK goodbye\n    but the server said: '\+OK POP3"):
        await converse("# a comment\nS: +OK goodbye\n")


async def test_an_unexpected_reply_is_an_error(converse: Converse) -> None:
    with pytest.raises(AssertionError, match=r"talk\.txt:1: C: QUIT\n    but unexpected output of the server: '\+OK"):
        await converse("C: QUIT\n")


async def test_an_unread_reply_at_the_end_is_an_error(converse: Converse) -> None:
    with pytest.raises(AssertionError, match=r"talk\.txt:2: C: QUIT\n    but unexpected output .* signing off"):
        await converse("S: «.*»\nC: QUIT\n")


async def test_a_missing_reply_is_an_error(converse: Converse) -> None:
    with pytest.raises(AssertionError, match="nothing more"):
        await converse("S: «.*»\nC: QUIT\nS: +OK «.*»\nS: +OK\n")


async def test_an_open_connection_fails_an_expected_close(converse: Converse) -> None:
    with pytest.raises(AssertionError, match=r"talk\.txt:2: S- closes\n    but it waits for more"):
        await converse("S: «.*»\nS- closes\n")


async def test_sending_on_a_closed_connection_is_an_error(converse: Converse) -> None:
    with pytest.raises(AssertionError, match="the connection is closed"):
        await converse("S: «.*»\nC: QUIT\nS: «.*»\nC: NOOP\nS: +OK\n")


@pytest.mark.parametrize("text", ["what?", "S- explodes", "C: QUIT\nuser: late"])
async def test_an_invalid_transcript_is_refused(converse: Converse, text: str) -> None:
    with pytest.raises(ValueError, match=r"talk\.txt:\d: "):
        await converse(text)


def test_a_pattern_is_literal_outside_of_guillemets() -> None:
    assert compile_pattern("+OK «[0-9]+» (all)").fullmatch(b"+OK 12 (all)\r\n")
    assert not compile_pattern("+OK .").fullmatch(b"+OK 1\r\n")
    assert not compile_pattern("+OK").fullmatch(b"+OK\n")


def test_octets_in_guillemets_are_sent_from_hexadecimal() -> None:
    assert encode_line("NO«00»OP«41*3» é") == b"NO\0OPAAA \xc3\xa9\r\n"


def test_the_match_of_a_named_group_can_be_sent() -> None:
    match = compile_pattern("* OK [UIDNEXT «(?P<next>[0-9]+)»]").fullmatch(b"* OK [UIDNEXT 12]\r\n")
    assert match
    assert encode_line("a FETCH «$next» FLAGS", match.groupdict()) == b"a FETCH 12 FLAGS\r\n"
