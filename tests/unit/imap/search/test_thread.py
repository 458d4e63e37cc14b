"""THREAD: trees for each step of RFC 5256 §3, and properties of all trees."""

import re
from collections.abc import Sequence
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relate_imap.commands import Thread
from relate_imap.handlers.thread import on_thread
from relate_imap.search import keys
from relate_imap.search.thread import Messages, by_references, by_subject, encode_threads
from relate_imap.selected.sequence_set import make_set
from relate_mailstore.types import Entry, EntryList, MessageId, ModSeq, Summary, Uid
from tests.support import factories
from tests.support.growth import super_linear
from tests.support.imap.responses import parse_response
from tests.unit.imap.handler_harness import open_harness

# A message: id, references, subject, date of sending (by default its number).
MessageSpec = tuple[str, str, str] | tuple[str, str, str, int | None]


def messages(specs: Sequence[MessageSpec]) -> Messages:
    summaries = [
        Summary(subject, "", "", "", "", date[0] if date else number, 0, name, tuple(references.split()), "")
        for number, (name, references, subject, *date) in enumerate(specs, 1)
    ]
    entries = [
        Entry(Uid(position + 1), MessageId(UUID(int=position)), 1, 0, (), 50, ModSeq(1), 0)
        for position in range(len(specs))
    ]
    return Messages(range(len(specs)), EntryList(entries), summaries)


def references(*specs: MessageSpec) -> str:
    return encode_threads(by_references(messages(specs)), lambda position: position + 1)


CASES: dict[str, tuple[str, list[MessageSpec]]] = {
    "nothing": ("", []),
    "alone": ("(1)", [("a", "", "x")]),
    "strangers": ("(1)(2)", [("a", "", "x"), ("b", "", "y")]),
    "a chain": ("(1 2 3)", [("a", "", "x"), ("b", "a", "re: x"), ("c", "a b", "re: x")]),
    "two answers": ("(1 (2)(3))", [("a", "", "x"), ("b", "a", "re: x"), ("c", "a", "re: x")]),
    "as the RFC draws it": (
        "(2)(3 6 (4 23)(44 7 96))".replace("44", "5").replace("23", "8").replace("96", "9").replace("(2)", "(1)(2)"),
        [
            ("1", "", "one"),
            ("2", "", "two"),
            ("3", "", "three"),
            ("4", "3 6", "four"),
            ("5", "3 6", "five"),
            ("6", "3", "six"),
            ("7", "5", "seven"),
            ("8", "4", "eight"),
            ("9", "7", "nine"),
        ],
    ),
    "the answer came first": ("(2 1)", [("b", "a", "re: x", 2), ("a", "", "x", 1)]),
    "1: what others presume gives way to what a message says": (
        "(1 3 2)",
        [("a", "", "x"), ("c", "b q", "y"), ("q", "a", "z")],
    ),
    "1: a message without references has no parent": ("(2 1)", [("c", "a b", "x"), ("b", "", "y")]),
    "1: the same id twice": ("(1 3)(2)", [("a", "", "x"), ("a", "", "y"), ("b", "a", "z")]),
    "1: no id": ("(1)(2)(3)", [("", "", "x"), ("", "", "y"), ("", "q", "z")]),
    "1: itself": ("(1)", [("a", "a", "x")]),
    "1: each other": ("(2 1)", [("a", "b", "x"), ("b", "a", "y")]),
    "1: a long loop": ("(3 1 2)", [("b", "a", "x"), ("c", "b", "y"), ("a", "c", "z")]),
    "3: a dummy between is left out": ("(1 2)", [("a", "", "x"), ("c", "a b", "y")]),
    "3: a dummy with one child at the root is left out": ("(1 2)", [("b", "a", "x"), ("c", "a b", "y")]),
    "3: a dummy with two children at the root stays": ("((1)(2))", [("b", "a", "x"), ("c", "a", "y")]),
    "3: dummies in dummies": ("((1)(2)(3))", [("c", "a b", "x"), ("d", "a b", "y"), ("e", "a", "z")]),
    "4: roots by date": ("(2)(1)", [("a", "", "x", 9), ("b", "", "y", 8)]),
    "4: no date": ("(1)(3)(2)", [("a", "", "x", 49), ("b", "", "y", 51), ("c", "", "z", None)]),
    "4: a dummy by its first child": ("(4)((3)(1))(2)", [
        ("b", "a", "x", 9), ("q", "", "q", 8), ("c", "a", "y", 5), ("r", "", "r", 4)]),
    "5: an answer that lost its references": ("(1 2)", [("a", "", "x"), ("b", "", "re: x")]),
    "5: the answer was sent first": ("(1 2)", [("a", "", "x", 9), ("b", "", "re: x", 1)]),
    "5: the same subject twice": ("((1)(2))", [("a", "", "x"), ("b", "", "x")]),
    "5: the same subject three times": ("((1)(2)(3))", [("a", "", "x"), ("b", "", "x"), ("c", "", "[l] x")]),
    "5: two answers to nothing": ("((1)(2))", [("a", "", "re: x"), ("b", "", "re: x")]),
    "5: an answer to a dummy": ("((1)(2)(3))", [("b", "a", "x"), ("c", "a", "x"), ("d", "", "re: x")]),
    "5: two dummies": ("((1)(2)(3)(4))", [("b", "a", "x"), ("c", "a", "x"), ("e", "d", "x"), ("f", "d", "x")]),
    "5: a dummy and what was before it": ("((1)(2)(3))", [("q", "", "x"), ("b", "a", "x"), ("c", "a", "x")]),
    "5: no subject is not the same subject": ("(1)(2)(3)", [("a", "", ""), ("b", "", ""), ("c", "", "re:")]),
    "5: subjects below the root do not matter": ("(1 2)(3)", [("a", "", "x"), ("b", "a", "y"), ("c", "", "re: y")]),
    "6: siblings by date": ("(1 (3)(2))", [("a", "", "x", 1), ("b", "a", "y", 9), ("c", "a", "z", 8)]),
    "6: roots once more": ("(3)((2)(1))", [("a", "", "x", 9), ("b", "", "x", 7), ("c", "", "y", 6)]),
    "6: of the same second, by number": ("(1 (2)(3))", [("a", "", "x", 1), ("b", "a", "y", 5), ("c", "a", "z", 5)]),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_references_threads(name: str) -> None:
    tree, specs = CASES[name]
    assert references(*specs) == tree


@pytest.mark.parametrize(
    ("tree", "specs"),
    [
        ("", []),
        ("(1 3)(2)", [("", "", "x"), ("", "", "y"), ("", "", "re: x")]),
        ("(1 (2)(3))", [("", "", "x"), ("", "", "fwd: x"), ("", "", "x")]),
        ("(2 1)(3)", [("", "", "x", 3), ("", "", "x", 2), ("", "", "y", 9)]),
        ("(3)(1)(2)", [("", "", "x", 3), ("", "", "q", 9), ("", "", "y", 2)]),
        ("(1 2)", [("", "", ""), ("", "", "re:")]),
    ],
)
def test_orderedsubject_threads(tree: str, specs: list[MessageSpec]) -> None:
    assert encode_threads(by_subject(messages(specs)), lambda position: position + 1) == tree


IDS = [*"abcdefghij", ""]
SPECS = st.tuples(
    st.sampled_from(IDS),
    st.lists(st.sampled_from(IDS[:-1]), max_size=5).map(" ".join),
    st.sampled_from(["", "x", "re: x", "y", "re: y"]),
    st.integers(0, 5) | st.none(),
)


@given(st.lists(SPECS, max_size=15))
def test_every_message_appears_once(specs: list[MessageSpec]) -> None:
    for algorithm in (by_references, by_subject):
        threads = encode_threads(algorithm(messages(specs)), lambda position: position + 1)
        assert sorted(map(int, re.findall(r"\d+", threads))) == [*range(1, len(specs) + 1)]
        parse_response(f"* THREAD {threads}".rstrip().encode() + b"\r\n")


def test_deep_thread_needs_no_recursion() -> None:
    count = 20_000
    specs: list[MessageSpec] = [(f"m{n}", f"m{n - 1}" if n else "", "re: x") for n in range(count)]
    assert references(*specs) == f"({' '.join(str(number) for number in range(1, count + 1))})"


def test_hostile_references_are_bounded() -> None:
    chain: list[MessageSpec] = [(f"m{n}", f"m{n - 1}", "x") for n in range(3_000, 0, -1)]
    hostile: list[MessageSpec] = [(f"h{n}", " ".join(["m2999", "m0"] * 50), "x") for n in range(300)]
    assert references(*chain, *hostile).count("(") > 300


async def test_thread_responses() -> None:
    def reply(name: str, to: str) -> bytes:
        raw = factories.simple("Re: x" if to else "x", headers=(f"References: <{to}>",) if to else ())
        return raw.replace(b"simple@example.org", name.encode())

    harness = await open_harness(reply("gone", ""), reply("a", ""), reply("b", "a"), reply("c", "a"))
    await harness.expunge(1)
    await harness.select()
    everything, none = keys.All(), keys.Not(keys.All())
    cases: list[tuple[str, keys.SearchKey, str]] = [
        ("THREAD", everything, "* THREAD (1 (2)(3))"),
        ("UID THREAD", everything, "* THREAD (2 (3)(4))"),
        ("UID THREAD", keys.InSequenceSet(make_set([(2, 3)])), "* THREAD ((3)(4))"),
        ("THREAD", none, "* THREAD"),
    ]
    for verb, key, line in cases:
        assert (await harness.execute(on_thread, Thread("a1", verb, "REFERENCES", key))).line == line
    assert (
        await harness.execute(on_thread, Thread("a1", "THREAD", "ORDEREDSUBJECT", everything))
    ).line == "* THREAD (1 (2)(3))"
    assert (await harness.execute(on_thread, Thread("a1", "THREAD", "OTHER", everything))).tagged.status == "BAD"


def test_deep_chain_of_dummies_is_linear() -> None:
    """Each message refers to a hundred missing ones, so that a message with many replies lies deep below all of
    these.
    """

    def shape(size: int) -> Messages:
        length = size // 256
        chain: list[MessageSpec] = [
            (f"m{number}", " ".join(f"d{99 * number + step}" for step in range(100)), "x") for number in range(length)
        ]
        return messages([*chain, *((f"a{number}", f"d{99 * length}", "x") for number in range(20 * length))])

    assert super_linear(by_references, shape) is None
