"""The registry: docs/registry/ is up to date, each name is declared once, and its values are those of the code."""

import ast
import pkgutil
import re
from collections import Counter
from importlib import import_module
from itertools import chain
from pathlib import Path
from typing import TypeGuard, get_args

import opentelemetry.semconv._incubating.attributes
import opentelemetry.semconv.attributes
import pytest
import yaml
from opentelemetry.trace import SpanKind

from deploy.registry.weaver import files
from relate_accounts.types import FailureReason
from relate_config.cache_budget import CACHE_SHARES
from relate_imap.states import State as ImapState
from relate_pop3.states import State as Pop3State
from relate_smtp.states import State as SmtpState
from relate_telemetry import names
from relate_telemetry.names import INSTRUMENTS, OUTCOMES, OWN_INSTRUMENTS, ProtocolName, SourceName
from relate_telemetry.registry.attributes import (
    ATTRIBUTE_GROUPS,
    ATTRIBUTES,
    CACHE_NAMES,
    END_REASON_VALUES,
    FAILURE_REASON_VALUES,
    LOG_KEYS,
    OUTCOME_VALUES,
    STATE_VALUES,
)
from relate_telemetry.registry.conventions import (
    CONVENTIONAL_ATTRIBUTES,
    CONVENTIONAL_ENTITIES,
    CONVENTIONAL_EVENTS,
    CONVENTIONAL_INSTRUMENTS,
    LIBRARY_INSTRUMENTS,
)
from relate_telemetry.registry.spans import SPAN_TYPES
from relate_telemetry.registry.spans.store import (
    FILTER_OPERATIONS,
    LABEL_OPERATIONS,
    QUEUE_OPERATIONS,
    STORE_OPERATIONS,
)
from relate_wire.ports import Farewell
from tests.support.telemetry.receiver import Recorder, recording_telemetry
from tests.support.telemetry.registry import find_span_type, undeclared, undeclared_of_lines

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "docs" / "registry"
LOG_METHODS = frozenset({"debug", "info", "warning", "error", "exception"})
TRACED = ROOT / "shared" / "mailstore" / "relate_mailstore" / "traced"
TRACED_QUEUE, TRACED_FILTERS = TRACED / "queue.py", TRACED / "filters.py"


def documents() -> list[dict[str, object]]:
    return [yaml.safe_load(path.read_text()) for path in sorted(FOLDER.glob("*.yaml"))]


def groups() -> list[dict[str, object]]:
    found = [document.get("groups", []) for document in documents()]
    return [group for part in found if isinstance(part, list) for group in part]


def is_log_call(node: ast.AST) -> TypeGuard[ast.Call]:
    """Whether a node writes a log line, or reports an exception with attributes of its line."""
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
        return False
    owner, method = ast.unparse(node.func.value), node.func.attr
    return (owner in {"log", "_log"} and method in LOG_METHODS) or (owner.endswith("supervisor") and method == "report")


def recorder_of_span(name: str, kind: SpanKind, **attributes: object) -> Recorder:
    """A recorder that received one span; dots of keys are written as `__`."""
    telemetry, recorder = recording_telemetry()
    keys = {key.replace("__", "."): value for key, value in attributes.items()}
    telemetry.tracer_provider.get_tracer("test").start_span(name, kind=kind, attributes=keys).end()  # type: ignore[arg-type] # a test of wrong types
    return recorder


def test_committed_files_are_up_to_date() -> None:
    written = {path.name: path.read_text() for path in FOLDER.glob("*.yaml")}
    assert written == dict(files()), "python -m deploy.registry"


def test_each_id_is_defined_once() -> None:
    assert set(Counter(str(group["id"]) for group in groups()).values()) == {1}
    keys = [attribute.key for group in ATTRIBUTE_GROUPS for attribute in group.attributes]
    assert len(keys) == len(set(keys)) == len(ATTRIBUTES)


def test_each_reference_is_declared() -> None:
    instruments = (*INSTRUMENTS, *OWN_INSTRUMENTS, *CONVENTIONAL_INSTRUMENTS, *LIBRARY_INSTRUMENTS)
    used = {key for span in SPAN_TYPES for key in span.attributes}
    used |= {key for instrument in instruments for key in instrument.attributes}
    assert used - ATTRIBUTES.keys() - CONVENTIONAL_ATTRIBUTES.keys() == set()


def test_an_attribute_has_examples_or_values_unless_it_is_a_boolean() -> None:
    for attribute in ATTRIBUTES.values():
        given = bool(attribute.examples) + bool(attribute.values)
        assert given == (attribute.type != "boolean"), attribute.key


def test_every_attribute_of_sessions_commands_and_logins_is_declared() -> None:
    keys = {*chain.from_iterable(names.command_keys(protocol) for protocol in get_args(ProtocolName))}
    keys |= {*chain.from_iterable(names.auth_keys(source) for source in get_args(SourceName))}
    assert keys | {names.CLIENT_WAIT, names.USER} <= ATTRIBUTES.keys()


def test_every_operation_of_the_store_is_declared() -> None:
    source = "".join(path.read_text() for path in TRACED.glob("*.py") if path not in (TRACED_QUEUE, TRACED_FILTERS))
    traced = re.findall(r'_span\("(\w+)"', source) + re.findall(r'operation\("mailstore\.(\w+)"', source)
    assert set(STORE_OPERATIONS) == set(traced)
    assert set(QUEUE_OPERATIONS) == set(re.findall(r'_span\("(\w+)"', TRACED_QUEUE.read_text()))
    of_labels, of_filters = TRACED_FILTERS.read_text().split("class TracedFilters")
    assert set(LABEL_OPERATIONS) == set(re.findall(r'_span\("(\w+)"', of_labels))
    assert set(FILTER_OPERATIONS) == set(re.findall(r'_span\("(\w+)"', of_filters))


def test_every_attribute_of_our_log_lines_is_declared() -> None:
    sources = [
        path for path in (*ROOT.glob("shared/**/*.py"), *ROOT.glob("services/**/*.py")) if "demo" not in path.parts
    ]
    calls = [node for path in sources for node in ast.walk(ast.parse(path.read_text())) if is_log_call(node)]
    keys = {keyword.arg for call in calls for keyword in call.keywords if keyword.arg}
    assert calls
    assert keys - {"exc_info"} <= LOG_KEYS


def test_tables_of_values_are_those_of_the_code() -> None:
    assert OUTCOME_VALUES.keys() >= OUTCOMES
    assert {reason.value for reason in Farewell} < END_REASON_VALUES.keys()
    assert {reason.value for reason in FailureReason} == FAILURE_REASON_VALUES.keys()
    assert set(CACHE_NAMES) == CACHE_SHARES.keys()
    states = {"smtp": SmtpState, "pop3": Pop3State, "imap": ImapState}
    assert {name: set(state) for name, state in states.items()} == {name: set(of) for name, of in STATE_VALUES.items()}


def test_conventional_attributes_are_opentelemetrys() -> None:
    known: set[object] = set()
    for package in (opentelemetry.semconv.attributes, opentelemetry.semconv._incubating.attributes):
        for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            known |= {each for each in vars(import_module(module.name)).values() if isinstance(each, str)}
    used = {*CONVENTIONAL_ATTRIBUTES, *chain.from_iterable(CONVENTIONAL_ENTITIES.values())}
    assert used | {*chain.from_iterable(CONVENTIONAL_EVENTS.values())} <= known


@pytest.mark.parametrize(
    ("name", "kind", "span_id"),
    [
        ("smtp.command.mail", "INTERNAL", "smtp.command"),
        ("imap.command.uid_fetch", "SERVER", "imap.command"),
        ("GET /api/external/emails/{email_id}", "SERVER", "api.request"),
        ("GET", "SERVER", "api.request"),
        ("SELECT", "CLIENT", "database.statement"),
        ("mailstore.open", "INTERNAL", "mailstore.open"),
    ],
)
def test_a_span_is_found_by_its_name_and_kind(name: str, kind: str, span_id: str) -> None:
    found = find_span_type(name, kind)
    assert found is not None
    assert found.id == span_id


def test_a_declared_span_is_accepted() -> None:
    recorder = recorder_of_span(
        "smtp.command.noop", SpanKind.INTERNAL, smtp__outcome="ok", relate__client_wait=0.5, smtp__octets__sent=3
    )
    assert undeclared(recorder) == []


@pytest.mark.parametrize(
    ("name", "kind", "attributes"),
    [
        ("smtp.unknown", SpanKind.INTERNAL, {}),
        ("smtp.command.noop", SpanKind.SERVER, {}),
        ("smtp.command.noop", SpanKind.INTERNAL, {"smtp.made_up": 1}),
        ("smtp.command.noop", SpanKind.INTERNAL, {"imap.state": "selected"}),
        ("smtp.command.noop", SpanKind.INTERNAL, {"smtp.outcome": "fine"}),
        ("smtp.command.noop", SpanKind.INTERNAL, {"smtp.octets.sent": "3"}),
        ("smtp.command.noop", SpanKind.INTERNAL, {"smtp.octets.sent": True}),
        ("smtp.command.noop", SpanKind.INTERNAL, {"relate.client_wait": 1}),
    ],
)
def test_an_undeclared_span_attribute_type_or_value_is_found(
    name: str, kind: SpanKind, attributes: dict[str, object]
) -> None:
    (found,) = undeclared(recorder_of_span(name, kind, **attributes))
    assert name in found


@pytest.mark.parametrize(
    ("name", "unit", "attributes"),
    [
        ("smtp.made_up", "messages", {}),
        ("smtp.messages.received", "s", {}),
        ("smtp.messages.received", "messages", {"command": "NOOP"}),
        ("relate.cache.lookups", "lookups", {"relate.cache.result": "perhaps"}),
    ],
)
def test_an_undeclared_metric_unit_or_label_is_found(name: str, unit: str, attributes: dict[str, str]) -> None:
    telemetry, recorder = recording_telemetry()
    telemetry.meter_provider.get_meter("test").create_counter(name, unit).add(1, attributes)
    (found,) = undeclared(recorder)
    assert name in found


def test_an_undeclared_event_or_link_is_found() -> None:
    telemetry, recorder = recording_telemetry()
    tracer = telemetry.tracer_provider.get_tracer("test")
    linked = tracer.start_span("pop3.session", kind=SpanKind.SERVER)
    span = tracer.start_span("pop3.session", kind=SpanKind.SERVER)
    span.add_event("exception", {"exception.type": "ValueError", "made_up.event": 1})
    span.add_event("made_up.name")
    span.add_link(linked.get_span_context(), {"made_up.link": 1})
    span.end()
    assert undeclared(recorder) == [
        "event exception has made_up.event, which is not declared for it",
        "event made_up.name of pop3.session is not declared",
        "link of pop3.session has made_up.link, which is not declared for it",
    ]


def test_an_undeclared_field_of_a_log_line_is_found() -> None:
    lines = [
        '{"event": "declared", "level": "info", "reason": "free text", "seconds": 0.1, "variables": ["A"]}',
        "no line",
    ]
    assert undeclared_of_lines("\n".join(lines)) == []
    lines += ['{"event": "new", "made_up": 1}', '{"event": "wrong type", "status": "500"}']
    assert undeclared_of_lines("\n".join(lines)) == [
        "log line 'new' has made_up, which is not declared for log lines",
        "log line 'wrong type' has status='500', which is no int",
    ]
