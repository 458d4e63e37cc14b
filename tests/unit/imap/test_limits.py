"""Limits of what a client may request, and offloading of long computations."""

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from relate_imap.context import MAX_INLINE_STEPS, Context
from relate_imap.handlers.list_status import MAX_PATTERN_CHARACTERS
from relate_imap.offload import thread_offload
from relate_imap.search.keys import HasHeader
from relate_imap.search.run import MAX_LOOKUPS, matching_fields
from relate_mailstore import mailbox_names
from relate_mailstore.keywords import MAX_MAILBOX_KEYWORDS, MAX_MESSAGE_KEYWORDS
from tests.support.imap.engine import KEY, EngineClient, context_of
from tests.support.memory_backend import MemoryBackend

USER = "limits@example.test"


async def selected(messages: int = 2, **changes: Any) -> tuple[MemoryBackend, EngineClient]:
    """A client with a selected mailbox of `messages` messages; `changes` replace fields of the context."""
    backend = MemoryBackend()
    await backend.add_user(USER, KEY)
    for number in range(messages):
        await backend.add_message(b"Subject: %d\r\nX-One: first\r\nX-Two: second\r\n\r\nhello\r\n" % number)
    client = EngineClient(replace(context_of(backend), **changes))
    await client.log_in(USER)
    assert (await client.ask("SELECT INBOX")).status == "OK"
    return backend, client


async def code(client: EngineClient, command: str) -> tuple[str, str]:
    answer = await client.ask(command)
    assert answer.tagged is not None
    return answer.status, answer.tagged.code_name or ""


def keywords(count: int, start: int = 0) -> str:
    return " ".join(f"k{number}" for number in range(start, start + count))


async def test_message_keywords_are_limited() -> None:
    _, client = await selected()
    assert await code(client, f"STORE 1 FLAGS ({keywords(MAX_MESSAGE_KEYWORDS + 1)})") == ("NO", "LIMIT")
    assert await code(client, f"STORE 1 FLAGS ({keywords(MAX_MESSAGE_KEYWORDS)})") == ("OK", "")
    assert await code(client, "STORE 1 +FLAGS (another)") == ("NO", "LIMIT")
    assert await code(client, "STORE 1 +FLAGS (K0)") == ("OK", "")
    message = f"({keywords(MAX_MESSAGE_KEYWORDS + 1)}) {{3+}}\r\nabc"
    assert await code(client, f"APPEND INBOX {message}") == ("NO", "LIMIT")
    assert await code(client, f"STORE 2 FLAGS ({'x' * 256})") == ("NO", "LIMIT")


async def test_mailbox_keywords_are_limited() -> None:
    _, client = await selected(messages=MAX_MAILBOX_KEYWORDS // MAX_MESSAGE_KEYWORDS + 1)
    for number in range(MAX_MAILBOX_KEYWORDS // MAX_MESSAGE_KEYWORDS):
        names = keywords(MAX_MESSAGE_KEYWORDS, number * MAX_MESSAGE_KEYWORDS)
        assert await code(client, f"STORE {number + 1} FLAGS ({names})") == ("OK", "")
    assert await code(client, "STORE * FLAGS (another)") == ("NO", "LIMIT")
    assert await code(client, "APPEND INBOX (another) {3+}\r\nabc") == ("NO", "LIMIT")
    assert await code(client, "STORE * FLAGS (K1)") == ("OK", "")


async def test_mailboxes_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mailbox_names, "MAX_MAILBOXES", len(mailbox_names.DEFAULT_MAILBOXES) + 2)
    _, client = await selected()
    assert await code(client, "CREATE a") == ("OK", "MAILBOXID")
    assert await code(client, "CREATE b/c") == ("OK", "MAILBOXID")  # its parent exceeds the limit
    assert await code(client, "CREATE d") == ("NO", "LIMIT")
    assert await code(client, "RENAME a d") == ("OK", "")
    assert await code(client, "DELETE d") == ("OK", "")
    assert await code(client, "CREATE d") == ("OK", "MAILBOXID")


async def test_names_below_a_renamed_mailbox_are_limited() -> None:
    _, client = await selected()
    assert await code(client, f"CREATE a/{'b' * (mailbox_names.MAX_NAME_OCTETS - 2)}") == ("OK", "MAILBOXID")
    assert await code(client, "RENAME a bc") == ("NO", "LIMIT")
    assert await code(client, "RENAME a b") == ("OK", "")


async def test_list_patterns_are_limited() -> None:
    _, client = await selected()
    names = " ".join(["a" * 99] * (MAX_PATTERN_CHARACTERS // 100))
    assert await code(client, f'LIST "" ({names})') == ("OK", "")
    assert await code(client, f'LIST "aa" ({names})') == ("NO", "LIMIT")


async def test_search_texts_are_limited() -> None:
    _, client = await selected()
    texts = [f"BODY {number}" for number in range(MAX_LOOKUPS)]
    assert await code(client, f"SEARCH {' '.join(texts)}") == ("OK", "")
    assert await code(client, f"SEARCH {' '.join(texts)} TEXT x") == ("NO", "LIMIT")
    assert await code(client, f"SEARCH {' '.join(texts)} SUBJECT x") == ("OK", "")


async def test_header_is_matched_by_all_keys_at_once() -> None:
    _, client = await selected()
    answer = await client.ask("SEARCH HEADER X-One FIRST HEADER X-Two second NOT HEADER X-Two first NOT HEADER X-No a")
    assert [response.values for response in answer.of("SEARCH")] == [(b"1", b"2")]


def test_header_keys_match_fields() -> None:
    keys = [HasHeader("A", "x"), HasHeader("A", "y"), HasHeader("B", ""), HasHeader("C", "")]
    assert matching_fields(keys, b"a: only x\r\nA: only Y\r\nc:\r\n\r\n") == [keys[0], keys[1], keys[3]]


LONG = {
    "SEARCH": f"SEARCH {'OR LARGER 1 ' * 40}SMALLER 1",
    "SORT": "SORT (SUBJECT FROM TO CC) UTF-8 ALL",
    "THREAD": "THREAD REFERENCES UTF-8 ALL",
    "LIST": f'LIST "" ({" ".join(["*a*b"] + [f"%x%{n}" for n in range(40)])})',
}


@pytest.mark.parametrize("command", LONG.values(), ids=LONG.keys())
async def test_long_computation_is_offloaded(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    offload: list[object] = []

    async def noted(work: Callable[[], Any]) -> Any:
        offload.append(work)
        return work()

    monkeypatch.setattr("relate_imap.context.MAX_INLINE_STEPS", 50)
    _, client = await selected(5, offload=noted)
    await client.ask("FETCH 1 FLAGS")
    assert not offload
    assert (await client.ask(command)).status == "OK"
    assert offload


async def test_short_computation_is_inline_and_long_in_thread() -> None:
    backend = MemoryBackend()
    threaded = replace(context_of(backend), offload=thread_offload())
    assert isinstance(threaded, Context)
    names = [await threaded.compute(steps, _thread) for steps in (MAX_INLINE_STEPS, MAX_INLINE_STEPS + 1)]
    assert names[0] == _thread()
    assert names[1].startswith("imap")


def _thread() -> str:
    return threading.current_thread().name
