"""Address lists (RFC 5322 §3.4), valid and malformed."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relate_mime import Address, AddressStructure, decode_address, index_message, parse_addresses
from relate_mime.address_lists import _read_any, _read_list, _read_plain
from relate_mime.addresses import MAX_ADDRESSES
from tests.support.examples import examples

END = (None, None, None, None)

LISTS = {
    # RFC 5322 appendix A.1
    b"John Doe <jdoe@machine.example>": [(b"John Doe", None, b"jdoe", b"machine.example")],
    b'"Joe Q. Public" <john.q.public@example.com>': [(b"Joe Q. Public", None, b"john.q.public", b"example.com")],
    b"Mary Smith <mary@x.test>, jdoe@example.org, Who? <one@y.test>": [
        (b"Mary Smith", None, b"mary", b"x.test"),
        (None, None, b"jdoe", b"example.org"),
        (b"Who?", None, b"one", b"y.test"),
    ],
    b'<boss@nil.test>, "Giant; \\"Big\\" Box" <sysservices@example.net>': [
        (None, None, b"boss", b"nil.test"),
        (b'Giant; "Big" Box', None, b"sysservices", b"example.net"),
    ],
    b"A Group:Ed Jones <c@a.test>,joe@where.test,John <jdoe@one.test>;": [
        (None, None, b"A Group", None),
        (b"Ed Jones", None, b"c", b"a.test"),
        (None, None, b"joe", b"where.test"),
        (b"John", None, b"jdoe", b"one.test"),
        END,
    ],
    b"Undisclosed recipients:;": [(None, None, b"Undisclosed recipients", None), END],
    # A.5
    b"Pete(A nice \\) chap) <pete(his account)@silly.test(his host)>": [(b"Pete", None, b"pete", b"silly.test")],
    b"A Group(Some people)\r\n     :Chris Jones <c@(Chris's host.)public.example>,\r\n"
    b"         joe@example.org,\r\n  John <jdoe@one.test> (my dear friend); (the end of the group)": [
        (None, None, b"A Group", None),
        (b"Chris Jones", None, b"c", b"public.example"),
        (None, None, b"joe", b"example.org"),
        (b"John", None, b"jdoe", b"one.test"),
        END,
    ],
    b"(Empty list)(start)Hidden recipients  :(nobody(that I know))  ;": [
        (None, None, b"Hidden recipients", None),
        END,
    ],
    # A.6.1
    b"Joe Q. Public <john.q.public@example.com>": [(b"Joe Q. Public", None, b"john.q.public", b"example.com")],
    b"Mary Smith <@node.test:mary@example.net>, , jdoe@test  . example": [
        (b"Mary Smith", b"@node.test", b"mary", b"example.net"),
        (None, None, b"jdoe", b"test.example"),
    ],
    b"<@a.test,@b.test:c@d.test>": [(None, b"@a.test,@b.test", b"c", b"d.test")],
    # A.6.3
    b"John Doe <jdoe@machine(comment).  example>": [(b"John Doe", None, b"jdoe", b"machine.example")],
    # The rest of the grammar
    b"jdoe@example.org (John Doe)": [(b"John Doe", None, b"jdoe", b"example.org")],
    b'"john doe"@example.org': [(None, None, b"john doe", b"example.org")],
    b'"a@b"@c.example': [(None, None, b"a@b", b"c.example")],
    b"a@[192.0.2.1]": [(None, None, b"a", b"[192.0.2.1]")],
    b"=?utf-8?q?J=C3=B6rg?= =?utf-8?q?_X?= <j@x>": [(b"=?utf-8?q?J=C3=B6rg?= =?utf-8?q?_X?=", None, b"j", b"x")],
    b"J\xc3\xb6rg <j\xc3\xb6@b\xc3\xbc.example>": [(b"J\xc3\xb6rg", None, b"j\xc3\xb6", b"b\xc3\xbc.example")],
    b'"A" "B" C <a@b>': [(b"A B C", None, b"a", b"b")],
    b"A\r\n  B <a@b>": [(b"A B", None, b"a", b"b")],
    b"g: a@b; , c@d": [(None, None, b"g", None), (None, None, b"a", b"b"), END, (None, None, b"c", b"d")],
    b"a: b@c, d: e@f;": [
        (None, None, b"a", None),
        (None, None, b"b", b"c"),
        (b"d:", None, b"e", b"f"),  # groups do not nest
        END,
    ],
    # Invalid, but seen in real mail
    b"": [],
    b" , ,": [],
    b"(nobody)": [],
    b"john": [(None, None, b"john", b"")],
    b"undisclosed recipients": [(None, None, b"undisclosed recipients", b"")],
    b"<>": [(None, None, b"", b"")],
    b"MAILER-DAEMON <>": [(b"MAILER-DAEMON", None, b"", b"")],
    b"Name <john>": [(b"Name", None, b"john", b"")],
    b"Name <a@b": [(b"Name", None, b"a", b"b")],
    b"Name <a@b, c@d": [(b"Name", None, b"a", b"b"), (None, None, b"c", b"d")],
    b"a@b>, c@d": [(None, None, b"a", b"b"), (None, None, b"c", b"d")],
    b"a@b@c": [(None, None, b"a@b", b"c")],
    b"@": [(None, None, b"", b"")],
    b"g:": [(None, None, b"g", None), END],
    b";": [],
    b'"never closed <a@b>': [(b"never closed", None, b"a", b"b")],
    b"a@b; c@d": [(None, None, b"a", b"b"), (None, None, b"c", b"d")],
}


@pytest.mark.parametrize(("value", "expected"), LISTS.items())
def test_addresses_are_found(value: bytes, expected: list[tuple[bytes | None, ...]]) -> None:
    assert [tuple(structure) for structure in parse_addresses(value)] == expected


BROKEN: dict[bytes, list[tuple[bytes | None, bytes | None, bytes | None]]] = {  # without routes
    # Words that are apart stay apart
    b"Big Bug bb@bug.example": [(b"Big Bug", b"bb", b"bug.example")],
    b"bb@bug.example Big Bug": [(b"Big Bug", b"bb", b"bug.example")],
    b"tim@p.example con@p.example": [(None, b"tim", b"p.example"), (None, b"con", b"p.example")],
    b"tim@p.example\r\n con@p.example": [(None, b"tim", b"p.example"), (None, b"con", b"p.example")],
    b"Tim tim@p.example Con con@p.example": [(b"Tim", b"tim", b"p.example"), (b"Con", b"con", b"p.example")],
    b"Tim <tim@p.example> Con <con@p.example>": [(b"Tim", b"tim", b"p.example"), (b"Con", b"con", b"p.example")],
    b"<tim@p.example><con@p.example>": [(None, b"tim", b"p.example"), (None, b"con", b"p.example")],
    b"<tim@p.example> con@p.example": [(None, b"tim", b"p.example"), (None, b"con", b"p.example")],
    b"Tim <tim@p.example con@p.example>": [(b"Tim", b"tim", b"p.example"), (None, b"con", b"p.example")],
    b"tim@p.example (Tim) con@p.example": [(b"Tim", b"tim", b"p.example"), (None, b"con", b"p.example")],
    b"<john doe@x.example>": [(None, b"john doe", b"x.example")],
    b"<john@x example>": [(None, b"john", b"x example")],
    b"Goodz Inc. support@goodz.example": [(b"Goodz Inc.", b"support", b"goodz.example")],
    b"bb@bug.example. Bob": [(b"Bob", b"bb", b"bug.example.")],
    b"bob(Bob)smith@x.example": [(b"bob", b"smith", b"x.example")],
    b"tim@p.example <tim@p.example>": [(b"tim@p.example", b"tim", b"p.example")],
    b'"Bob" bob@x.example': [(b"Bob", b"bob", b"x.example")],
    b"Bob <bob@x.example> Smith": [(b"Bob Smith", b"bob", b"x.example")],
    b"bob @ x.example": [(None, b"bob", b"x.example")],
    b"bob . smith @ x . example": [(None, b"bob.smith", b"x.example")],
    b"mailto: bob@x.example": [(None, b"mailto", None), (None, b"bob", b"x.example"), (None, None, None)],
    # One address with a comma in its name
    b"Doe, John <jd@ex.example>": [(b"Doe, John", b"jd", b"ex.example")],
    b"Doe , John <jd@ex.example>": [(b"Doe, John", b"jd", b"ex.example")],
    b"Doe, John jd@ex.example": [(b"Doe, John", b"jd", b"ex.example")],
    b"Goodz, Inc. <s@goodz.example>": [(b"Goodz, Inc.", b"s", b"goodz.example")],
    b"Doe, John, Jr. <jd@ex.example>": [(b"Doe, John, Jr.", b"jd", b"ex.example")],
    b"Doe, John <jd@ex.example>, Roe, Jane <jr@ex.example>": [
        (b"Doe, John", b"jd", b"ex.example"),
        (b"Roe, Jane", b"jr", b"ex.example"),
    ],
    b"a@b.example, Doe, John <jd@ex.example>": [(None, b"a", b"b.example"), (b"Doe, John", b"jd", b"ex.example")],
    b"Doe, <jd@ex.example>": [(b"Doe", b"jd", b"ex.example")],
    b'"Doe", John <jd@ex.example>': [(b"Doe, John", b"jd", b"ex.example")],
    b"=?utf-8?q?D=C3=B6?=, John <jd@ex.example>": [(b"=?utf-8?q?D=C3=B6?=, John", b"jd", b"ex.example")],
    b"D\xc3\xb6, J\r\n <jd@ex.example>": [(b"D\xc3\xb6, J", b"jd", b"ex.example")],
    b"G: Doe, John <jd@ex.example>;": [
        (None, b"G", None),
        (b"Doe, John", b"jd", b"ex.example"),
        (None, None, None),
    ],
    b"john, mary, bob@x.example": [(None, b"john", b""), (None, b"mary", b""), (None, b"bob", b"x.example")],
    b"john; Mary <m@x.example>": [(None, b"john", b""), (b"Mary", b"m", b"x.example")],
    b"a, b": [(None, b"a", b""), (None, b"b", b"")],
    # An unclosed delimiter swallows nothing
    b'"Tan Tanaka <dt@ex.example>': [(b"Tan Tanaka", b"dt", b"ex.example")],
    b'Tan Tanaka" <dt@ex.example>': [(b"Tan Tanaka", b"dt", b"ex.example")],
    b'"Tan" Tanaka" <dt@ex.example>': [(b"Tan Tanaka", b"dt", b"ex.example")],
    b'"Tan, Dr. <dt@ex.example>': [(b"Tan, Dr.", b"dt", b"ex.example")],
    b'"Tan <dt@ex.example>, Bob <bob@x.example>': [(b"Tan", b"dt", b"ex.example"), (b"Bob", b"bob", b"x.example")],
    b'"Tan <dt@ex.example>, "Bob" <bob@x.example>': [(b"Tan", b"dt", b"ex.example"), (b"Bob", b"bob", b"x.example")],
    b'a@b.example, "Tan <dt@ex.example>': [(None, b"a", b"b.example"), (b"Tan", b"dt", b"ex.example")],
    b"Tan <dt@ex.example": [(b"Tan", b"dt", b"ex.example")],
    b"Tan (at work <dt@ex.example>": [(b"Tan at work", b"dt", b"ex.example")],
    b"Tan) <dt@ex.example>": [(b"Tan", b"dt", b"ex.example")],
    b"(a (b) <dt@ex.example>": [(b"a b", b"dt", b"ex.example")],
    b"[Tan <dt@ex.example>": [(b"[Tan", b"dt", b"ex.example")],
    b"a@[192.0.2.1, b@c.example": [(None, b"a", b"[192.0.2.1"), (None, b"b", b"c.example")],
    b'"Smith <s@x.example>, John" <a@b.example>': [(b"Smith <s@x.example>, John", b"a", b"b.example")],
}


@pytest.mark.parametrize(("value", "expected"), BROKEN.items())
def test_malformed_lists_yield_exactly_the_written_addresses(
    value: bytes, expected: list[tuple[bytes | None, ...]]
) -> None:
    assert [(name, mailbox, host) for name, _, mailbox, host in parse_addresses(value)] == expected


tokens = st.lists(
    st.sampled_from((b"a", b"b.c", b"d@e.example", b"<f@g.example>", b'"h', b'"', b",", b"(", b";")), max_size=12
)


@given(tokens)
@settings(max_examples=examples(300))
def test_only_written_addresses_are_found(words: list[bytes]) -> None:
    written = {(b"d", b"e.example"), (b"f", b"g.example")}
    found = [(address.mailbox, address.host) for address in parse_addresses(b" ".join(words)) if address.host]
    assert set(found) <= written


def test_sender_is_the_first_address_with_a_domain() -> None:
    assert index_message(b"From: Sales, sales@x.example\r\n\r\n").sender == Address("", "sales@x.example")
    assert index_message(b"From: root\r\n\r\n").sender == Address("", "root")


DECODED = [
    ((b"=?utf-8?q?J=C3=B6rg?=", None, b"j", b"x.example"), ("Jörg", "j@x.example")),
    ((b"J\xc3\xb6rg", None, b"j\xc3\xb6", b"x"), ("Jörg", "jö@x")),
    ((b"J\xf6rg", None, b"j", b"x"), ("Jörg", "j@x")),
    ((None, None, b"a b", b"x"), ("", '"a b"@x')),
    ((None, None, b'a"\\b', b"x"), ("", '"a\\"\\\\b"@x')),
    ((None, None, b"a@b", b"x"), ("", '"a@b"@x')),
    ((None, None, b"john", b""), ("", "john")),
    ((None, None, b"", b""), ("", "")),
    ((b"a\0b", None, b"c\0d", b"x"), ("a b", '"c d"@x')),
]


@pytest.mark.parametrize(("structure", "address"), DECODED)
def test_addresses_are_decoded(structure: tuple[bytes, None, bytes, bytes], address: tuple[str, str]) -> None:
    assert decode_address(AddressStructure(*structure)) == Address(*address)


def test_number_of_addresses_is_limited() -> None:
    for value in (b"a@b, " * 5_000, b"(c) a@b, " * 5_000):
        read = _read_list(value)
        assert len(read.addresses) == MAX_ADDRESSES
        assert read.encoded.count(b"NIL NIL") + read.encoded.count(b'"c" NIL') == MAX_ADDRESSES


plain_names = st.sampled_from((b"", b"Bob ", b"Bob  B. ", b'"Bob, B" ', b"'Bob' ", b"=?utf-8?q?J=C3=B6rg?= ", b'"" '))
plain_lists = st.lists(
    st.one_of(
        st.builds(lambda name: name + b"<bob@b.example>", plain_names),
        st.sampled_from((b"bob@b.example", b"o'bob+tag=x@sub.b.example", b" bob@b ")),
    ),
    min_size=1,
    max_size=5,
).map(b",".join)


@given(plain_lists)
def test_fast_path_equals_the_parser_for_plain_lists(value: bytes) -> None:
    plain = _read_plain(value)
    assert plain is not None
    assert plain == _read_any(value)


pieces = st.sampled_from(
    (b"a", b"b.c", b" ", b"@", b"<", b">", b",", b'"', b"(", b")", b":", b";", b"\\", b"[", b"]", b"\xff")
)


@given(st.lists(pieces, max_size=24).map(b"".join))
def test_fast_path_declines_or_equals_the_parser(value: bytes) -> None:
    value = value.strip()
    plain = _read_plain(value)
    assert plain is None or plain == _read_any(value)
