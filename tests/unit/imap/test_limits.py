"""What a client may ask for has limits, and what takes long is done beside the loop."""

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from relate_imap.context import INLINE_STEPS, Context
from relate_imap.handlers.list_status import MAX_PATTERN_CHARACTERS
from relate_imap.offload import in_threads
from relate_imap.search.keys import HasHeader
from relate_imap.search.run import MAX_LOOKUPS, matching_fields
from relate_mailstore import mailbox_names
from relate_mailstore.keywords import MAX_MAILBOX_KEYWORDS, MAX_MESSAGE_KEYWORDS
from tests.support.imap.engine import KEY, Talk, context_of
from tests.support.memory_backend import MemoryBackend

USER = "limits@example.test"


async def selected(messages: int = 2, **changes: Any) -> tuple[MemoryBackend, Talk]:
    """A client that has selected a mailbox with so many messages; `changes` are of the context."""
    world = MemoryBackend()
    await world.add_user(USER, KEY)
    for number in range(messages):
        await world.add_message(b"Subject: %d\r\nX-One: first\r\nX-Two: second\r\n\r\nhello\r\n" % number)
    talk = Talk(replace(context_of(world), **changes))
    await talk.log_in(USER)
    assert (await talk.ask("SELECT INBOX")).status == "OK"
    return world, talk


async def code(talk: Talk, command: str) -> tuple[str, str]:
    answer = await talk.ask(command)
    assert answer.tagged is not None
    return answer.status, answer.tagged.code_name or ""


def keywords(count: int, start: int = 0) -> str:
    return " ".join(f"k{number}" for number in range(start, start + count))


async def test_a_message_has_so_many_keywords() -> None:
    _, talk = await selected()
    assert await code(talk, f"STORE 1 FLAGS ({keywords(MAX_MESSAGE_KEYWORDS + 1)})") == ("NO", "LIMIT")
    assert await code(talk, f"STORE 1 FLAGS ({keywords(MAX_MESSAGE_KEYWORDS)})") == ("OK", "")
    assert await code(talk, "STORE 1 +FLAGS (another)") == ("NO", "LIMIT")
    assert await code(talk, "STORE 1 +FLAGS (K0)") == ("OK", "")
    message = f"({keywords(MAX_MESSAGE_KEYWORDS + 1)}) {{3+}}\r\nabc"
    assert await code(talk, f"APPEND INBOX {message}") == ("NO", "LIMIT")
    assert await code(talk, f"STORE 2 FLAGS ({'x' * 256})") == ("NO", "LIMIT")


async def test_a_mailbox_has_so_many_keywords() -> None:
    _, talk = await selected(messages=MAX_MAILBOX_KEYWORDS // MAX_MESSAGE_KEYWORDS + 1)
    for number in range(MAX_MAILBOX_KEYWORDS // MAX_MESSAGE_KEYWORDS):
        names = keywords(MAX_MESSAGE_KEYWORDS, number * MAX_MESSAGE_KEYWORDS)
        assert await code(talk, f"STORE {number + 1} FLAGS ({names})") == ("OK", "")
    assert await code(talk, "STORE * FLAGS (another)") == ("NO", "LIMIT")
    assert await code(talk, "APPEND INBOX (another) {3+}\r\nabc") == ("NO", "LIMIT")
    assert await code(talk, "STORE * FLAGS (K1)") == ("OK", "")


async def test_an_account_has_so_many_mailboxes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mailbox_names, "MAX_MAILBOXES", len(mailbox_names.DEFAULT_MAILBOXES) + 2)
    _, talk = await selected()
    assert await code(talk, "CREATE a") == ("OK", "MAILBOXID")
    assert await code(talk, "CREATE b/c") == ("OK", "MAILBOXID")  # for what is above it there is no room
    assert await code(talk, "CREATE d") == ("NO", "LIMIT")
    assert await code(talk, "RENAME a d") == ("OK", "")
    assert await code(talk, "DELETE d") == ("OK", "")
    assert await code(talk, "CREATE d") == ("OK", "MAILBOXID")


async def test_the_patterns_of_a_list_are_only_so_long() -> None:
    _, talk = await selected()
    names = " ".join(["a" * 99] * (MAX_PATTERN_CHARACTERS // 100))
    assert await code(talk, f'LIST "" ({names})') == ("OK", "")
    assert await code(talk, f'LIST "aa" ({names})') == ("NO", "LIMIT")


async def test_a_search_looks_for_only_so_many_texts() -> None:
    _, talk = await selected()
    texts = [f"BODY {number}" for number in range(MAX_LOOKUPS)]
    assert await code(talk, f"SEARCH {' '.join(texts)}") == ("OK", "")
    assert await code(talk, f"SEARCH {' '.join(texts)} TEXT x") == ("NO", "LIMIT")
    assert await code(talk, f"SEARCH {' '.join(texts)} SUBJECT x") == ("OK", "")


async def test_a_header_is_read_once_for_all_keys() -> None:
    _, talk = await selected()
    answer = await talk.ask("SEARCH HEADER X-One FIRST HEADER X-Two second NOT HEADER X-Two first NOT HEADER X-No a")
    assert [response.values for response in answer.of("SEARCH")] == [(b"1", b"2")]


def test_keys_find_their_fields() -> None:
    keys = [HasHeader("A", "x"), HasHeader("A", "y"), HasHeader("B", ""), HasHeader("C", "")]
    assert matching_fields(keys, b"a: only x\r\nA: only Y\r\nc:\r\n\r\n") == [keys[0], keys[1], keys[3]]


LONG = {
    "SEARCH": f"SEARCH {'OR LARGER 1 ' * 40}SMALLER 1",
    "SORT": "SORT (SUBJECT FROM TO CC) UTF-8 ALL",
    "THREAD": "THREAD REFERENCES UTF-8 ALL",
    "LIST": f'LIST "" ({" ".join(["*a*b"] + [f"%x%{n}" for n in range(40)])})',
}


@pytest.mark.parametrize("command", LONG.values(), ids=LONG.keys())
async def test_what_takes_long_is_done_beside_the_loop(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    aside: list[object] = []

    async def noted(work: Callable[[], Any]) -> Any:
        aside.append(work)
        return work()

    monkeypatch.setattr("relate_imap.context.INLINE_STEPS", 50)
    _, talk = await selected(5, aside=noted)
    await talk.ask("FETCH 1 FLAGS")
    assert not aside
    assert (await talk.ask(command)).status == "OK"
    assert aside


async def test_what_is_short_is_done_at_once_and_what_is_long_in_a_thread() -> None:
    world = MemoryBackend()
    threaded = replace(context_of(world), aside=in_threads())
    assert isinstance(threaded, Context)
    names = [await threaded.work(steps, _thread) for steps in (INLINE_STEPS, INLINE_STEPS + 1)]
    assert names[0] == _thread()
    assert names[1].startswith("imap")


def _thread() -> str:
    return threading.current_thread().name
