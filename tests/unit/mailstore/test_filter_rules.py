"""The evaluator of filters: what each condition compares, and what a failure means."""

from uuid import UUID

from relate_mailstore.filter_rules import (
    MAX_FIELD_CHARACTERS,
    Fields,
    fields_of,
    find_matches,
    meeting_header,
    meets,
)
from relate_mailstore.filter_types import Actions, Conditions, DeliveryFilter, FilterId, FilterKey
from relate_mailstore.folding import fold
from relate_mailstore.identifiers import AccountId
from relate_mime import index_message
from tests.support.factories import UNKNOWN_MESSAGE, multipart, simple


def read(raw: bytes) -> Fields:
    index = index_message(raw)
    return fields_of(index, fold(index.subject))


def has_no_text(text: str) -> bool:
    raise AssertionError(f"asked for {text}")


def one(conditions: Conditions, number: int = 1) -> DeliveryFilter:
    return DeliveryFilter(FilterKey(AccountId(1), FilterId(UUID(int=number))), conditions, Actions(stop=True))


def test_every_address_of_a_field_is_compared_and_no_name() -> None:
    fields = read(simple(sender='"x@y" <ann@a.example>, Bob <bob@b.example>', to="a@c.example", cc="d@d.example"))
    for address in ("ANN@a", "bob@b.example"):
        assert meets(Conditions(from_address=address), fields, has_no_text)
    for address in ("x@y", "Bob ", "a.examplebob", "@c.example"):
        assert not meets(Conditions(from_address=address), fields, has_no_text)
    assert meets(Conditions(to_address="a@c.example"), fields, has_no_text)
    assert meets(Conditions(to_address="d@d"), fields, has_no_text)


def test_the_sender_stands_for_a_missing_author() -> None:
    assert meets(Conditions(from_address="s@s"), read(b"Sender: s@s.example\r\n\r\n"), has_no_text)


def test_addresses_are_compared_up_to_a_limit() -> None:
    many = ", ".join(f"user{number}@example.org" for number in range(990))
    fields = read(simple(to=many))
    assert len(fields.recipients) == MAX_FIELD_CHARACTERS
    assert meets(Conditions(to_address="user5@"), fields, has_no_text)
    assert not meets(Conditions(to_address="user989@"), fields, has_no_text)


def test_a_subject_is_compared_as_searches_do() -> None:
    fields = read(simple("=?utf-8?q?Stra=C3=9Fe?=  =?utf-8?q?=EF=BD=86ull?="))
    assert meets(Conditions(subject="STRASSEfull"), fields, has_no_text)
    assert not meets(Conditions(subject="utf-8"), fields, has_no_text)


def test_a_size_must_be_exceeded() -> None:
    raw = multipart()
    assert meets(Conditions(larger=len(raw) - 1, has_attachments=True), read(raw), has_no_text)
    assert not meets(Conditions(larger=len(raw)), read(raw), has_no_text)
    assert not meets(Conditions(has_attachments=False), read(raw), has_no_text)


def test_a_body_is_searched_only_where_all_else_holds() -> None:
    asked: list[str] = []

    def has_text(text: str) -> bool:
        asked.append(text)
        return True

    fields = read(simple())
    assert not meets(Conditions(subject="no", body="B"), fields, has_text)
    assert not asked
    assert meets(Conditions(subject="hello", body="B  c"), fields, has_text)
    assert asked == ["b c"]


def test_the_fields_of_messages_that_meet_the_header_are_kept() -> None:
    indexes = {UNKNOWN_MESSAGE: index_message(simple())}
    assert [*meeting_header(Conditions(subject="hello", body="x"), indexes)] == [UNKNOWN_MESSAGE]
    assert [*meeting_header(Conditions(subject="no"), indexes)] == []


def test_matches_are_in_the_order_of_filters_and_a_failure_is_told_without_its_message() -> None:
    def fail(text: str) -> bool:
        if text == "secret":
            raise ValueError("secret")
        return text == "b"

    filters = [one(Conditions(body=body), number) for number, body in enumerate(("b", "no", "secret"))]
    matches = find_matches(filters, lambda: read(simple()), fail)
    assert [(match.filter.key.id.int, match.problem) for match in matches] == [
        (0, ""),
        (2, "evaluation failed: ValueError"),
    ]


def test_fields_that_cannot_be_read_are_a_failure_of_each_filter() -> None:
    def fail() -> Fields:
        raise RuntimeError("a defect")

    assert [match.problem for match in find_matches([one(Conditions())], fail, has_no_text)] == [
        "evaluation failed: RuntimeError"
    ]
