"""Operations: spans of stores, and links from the readers of a message to its delivery."""

import asyncio
import contextlib

import pytest

from relate_telemetry.links import MAX_LINKS
from relate_telemetry.names import USER
from relate_telemetry.ports import CommandResult
from relate_telemetry.redaction import UserNames
from relate_telemetry.telemetry import Telemetry, no_telemetry
from tests.support.telemetry.endpoints import ENDPOINTS
from tests.support.telemetry.receiver import Recorder, recording_telemetry

OK = CommandResult("ok")


@pytest.fixture
def recorded() -> tuple[Telemetry, Recorder]:
    return recording_telemetry()


@pytest.fixture
def telemetry(recorded: tuple[Telemetry, Recorder]) -> Telemetry:
    return recorded[0]


@pytest.fixture
def seen(recorded: tuple[Telemetry, Recorder]) -> Recorder:
    return recorded[1]


def test_an_operation_is_a_span_below_its_command(telemetry: Telemetry, seen: Recorder) -> None:
    operations = telemetry.operations("imap")
    session = telemetry.protocol("imap").session("s1", *ENDPOINTS)
    with session.command("FETCH", "selected") as command:
        with operations.operation("mailstore.open", {"mailstore.octets": 7}) as operation:
            operation.set("mailstore.cached", value=True)
        command.finish(OK)
    span = seen.span("mailstore.open")
    assert (span.parent_id, span.scope, span.kind) == (
        seen.span("imap.command.fetch").span_id,
        "Relate.Imap",
        "INTERNAL",
    )
    assert span.attributes == {"mailstore.octets": 7, "mailstore.cached": True}


def test_operations_of_the_api_have_its_scope(telemetry: Telemetry, seen: Recorder) -> None:
    with telemetry.operations("api").operation("api.messages.list"):
        pass
    assert seen.span("api.messages.list").scope == "Relate.Api"


class Refused(Exception):
    temporary = False


class Busy(Exception):
    temporary = True


@pytest.mark.parametrize(
    ("error", "status"), [(RuntimeError("x"), "ERROR"), (Busy(), "ERROR"), (Refused(), "UNSET"), (KeyError(), "UNSET")]
)
def test_only_an_error_of_ours_sets_the_status(
    telemetry: Telemetry, seen: Recorder, error: Exception, status: str
) -> None:
    operations = telemetry.operations("smtp")
    with contextlib.suppress(type(error)), operations.operation("mailstore.deliver", {}, (KeyError,)):
        raise error
    assert seen.span("mailstore.deliver").status == status


def test_an_exception_that_is_a_result_is_named(telemetry: Telemetry, seen: Recorder) -> None:
    with contextlib.suppress(Refused), telemetry.operations("smtp").operation("mailstore.deliver"):
        raise Refused
    attributes = seen.span("mailstore.deliver").attributes
    assert attributes["error.type"].endswith("Refused")
    assert "exception.type" not in attributes


@pytest.mark.parametrize(("mode", "emitted"), [("clear", "bob"), ("hash", "81b637d8fcd2c6da"), ("drop", None)])
def test_users_are_emitted_as_configured(mode: UserNames, emitted: str | None) -> None:
    telemetry, seen = recording_telemetry(mode)
    operations = telemetry.operations("api")
    with operations.operation("first", {USER: "bob", "n": 1}), operations.operation("second") as second:
        second.set(USER, "bob")
    assert [seen.span(name).attributes.get(USER) for name in ("first", "second")] == [emitted, emitted]
    assert seen.span("first").attributes["n"] == 1


# Origins and links


def test_the_origin_of_a_message_is_its_transaction(telemetry: Telemetry, seen: Recorder) -> None:
    operations = telemetry.operations("smtp")
    session = telemetry.protocol("smtp").session("s1", *ENDPOINTS)
    with session.command("MAIL", "ready") as command:
        command.finish(OK)
    session.settle(in_transaction=True)
    with session.command("DATA", "transaction") as command:
        with operations.operation("mailstore.deliver"):
            origin = operations.origin()
        command.finish(OK)
    session.settle(in_transaction=False)
    transaction = seen.span("smtp.transaction")
    assert origin is not None
    assert origin.split("-")[:3] == ["00", transaction.trace_id, transaction.span_id]


def test_without_a_transaction_the_origin_is_the_current_span(telemetry: Telemetry, seen: Recorder) -> None:
    operations = telemetry.operations("imap")
    session = telemetry.protocol("imap").session("s1", *ENDPOINTS)
    with session.command("APPEND", "authenticated") as command:
        origin = operations.origin()
        command.finish(OK)
    assert origin is not None
    assert seen.span("imap.command.append").span_id in origin


def test_without_any_span_there_is_no_origin(telemetry: Telemetry) -> None:
    assert telemetry.operations("smtp").origin() is None


async def test_the_origin_is_known_in_tasks(telemetry: Telemetry, seen: Recorder) -> None:
    operations = telemetry.operations("smtp")
    session = telemetry.protocol("smtp").session("s1", *ENDPOINTS)

    async def store() -> str | None:
        return operations.origin()

    with session.command("MAIL", "ready") as command:
        origin = await asyncio.create_task(store())
        command.finish(OK)
    session.settle(in_transaction=False)
    assert origin is not None
    assert seen.span("smtp.transaction").span_id in origin


def test_a_reader_links_to_the_origin(telemetry: Telemetry, seen: Recorder) -> None:
    operations = telemetry.operations("imap")
    session = telemetry.protocol("imap").session("s1", *ENDPOINTS)
    with session.command("FETCH", "selected") as command:
        with operations.operation("mailstore.open"):
            operations.link_reader(f"00-{1:032x}-{2:016x}-01")
        command.finish(OK)
    fetch = seen.span("imap.command.fetch")
    assert [(link.trace_id, link.span_id) for link in fetch.links[1:]] == [(f"{1:032x}", f"{2:016x}")]
    assert seen.span("mailstore.open").links == ()


def test_links_of_a_reader_are_unique_and_bounded(telemetry: Telemetry, seen: Recorder) -> None:
    operations = telemetry.operations("imap")
    session = telemetry.protocol("imap").session("s1", *ENDPOINTS)
    with session.command("FETCH", "selected") as command:
        for _ in range(2):
            for number in range(1, MAX_LINKS * 2):
                operations.link_reader(f"00-{number:032x}-{number:016x}-01")
        command.finish(OK)
    links = seen.span("imap.command.fetch").links
    assert len(links) == len({link.span_id for link in links}) == MAX_LINKS


@pytest.mark.parametrize(
    "traceparent",
    [
        None,
        "",
        "nonsense",
        f"00-{0:032x}-{1:016x}-01",
        f"00-{1:032x}-{0:016x}-01",
        f"ff-{1:032x}-{1:016x}-01",
        "00-é-1-01",
    ],
)
def test_a_malformed_traceparent_is_ignored(telemetry: Telemetry, seen: Recorder, traceparent: str | None) -> None:
    operations = telemetry.operations("smtp")
    with operations.operation("mailstore.open") as operation:
        operation.link(traceparent)
        operations.link_reader(traceparent)
    assert seen.span("mailstore.open").links == ()


def test_an_operation_links_to_a_traceparent(telemetry: Telemetry, seen: Recorder) -> None:
    with telemetry.operations("smtp").operation("mailstore.deliver") as operation:
        operation.link(f"00-{3:032x}-{4:016x}-01")
    assert [link.span_id for link in seen.span("mailstore.deliver").links] == [f"{4:016x}"]


def test_without_telemetry_operations_do_nothing() -> None:
    operations = no_telemetry().operations("smtp")
    with operations.operation("mailstore.deliver", {USER: "bob"}) as operation:
        operation.set("n", 1)
        operation.link(f"00-{3:032x}-{4:016x}-01")
        operations.link_reader(f"00-{3:032x}-{4:016x}-01")
        assert operations.origin() is None
