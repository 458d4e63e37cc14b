"""Telemetry of a request: the server span, login and store spans below it, links to deliveries, redaction."""

from collections.abc import AsyncIterator
from urllib.parse import unquote

import httpx
import pytest
from fastapi import FastAPI
from opentelemetry import propagate, trace
from opentelemetry.context import Context
from opentelemetry.propagators.textmap import CarrierT, Getter, default_getter
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from structlog.testing import capture_logs

from relate_accounts.errors import AccountsUnavailable
from relate_accounts.ratelimit import PER_CLIENT
from relate_accounts.traced import TracedAuthenticator
from relate_api.config import ApiSettings
from relate_mailstore.errors import StoreUnavailable
from relate_mailstore.event_types import EventQuery
from relate_mailstore.memory import MemoryMailStore
from relate_mailstore.traced import TracedMailStore
from relate_mailstore.types import AccountId, MessagePage, MessageQuery
from relate_telemetry.telemetry import Telemetry
from tests.support.factories import UNKNOWN_MESSAGE, delivery, simple
from tests.support.memory_backend import MemoryBackend
from tests.support.telemetry.received import ReceivedSpan
from tests.support.telemetry.receiver import Recorder, recording_telemetry
from tests.unit.api.clients import EMAILS, KEYS, create_api, create_client

SENDER_TRACE, SENDER_SPAN = "1" * 32, "2" * 16
ORIGIN = f"00-{SENDER_TRACE}-{SENDER_SPAN}-01"
LIST_EMAILS = f"GET {EMAILS}"
GET_EMAIL = f"GET {EMAILS}/{{email_id:uuid}}"
MARKER = "mark-5a1f"


class FailingStore(MemoryMailStore):
    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    async def find(self, account_id: AccountId, query: MessageQuery) -> MessagePage:
        raise self.error


def traced_api(
    world: MemoryBackend,
    telemetry: Telemetry,
    store: MemoryMailStore | None = None,
    settings: ApiSettings = ApiSettings(),  # noqa: B008 - settings are frozen
) -> FastAPI:
    """The API as `__main__` assembles it."""
    app = create_api(
        world,
        TracedMailStore(store or world.store, telemetry.operations("api")),
        TracedAuthenticator(world.authenticator, telemetry.auth("api")),
        settings,
    )
    telemetry.instrument_app(app)
    return app


@pytest.fixture
def telemetry_and_recorder() -> tuple[Telemetry, Recorder]:
    return recording_telemetry()


@pytest.fixture
def recorder(telemetry_and_recorder: tuple[Telemetry, Recorder]) -> Recorder:
    return telemetry_and_recorder[1]


@pytest.fixture
def app(world: MemoryBackend, alice: AccountId, telemetry_and_recorder: tuple[Telemetry, Recorder]) -> FastAPI:
    return traced_api(world, telemetry_and_recorder[0])


@pytest.fixture
async def wrong_key_client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    async with create_client(app, MARKER) as client:
        yield client


def assert_below(server: ReceivedSpan, *spans: ReceivedSpan) -> None:
    assert {(span.trace_id, span.parent_id) for span in spans} == {(server.trace_id, server.span_id)}


async def test_login_and_store_spans_are_children_of_the_request(client: httpx.AsyncClient, recorder: Recorder) -> None:
    await client.get(EMAILS)
    server, login, found, counted = (
        recorder.span(LIST_EMAILS),
        recorder.span("api.auth.validate"),
        recorder.span("mailstore.find"),
        recorder.span("mailstore.counts"),
    )
    assert len(recorder.spans()) == 4
    assert_below(server, login, found, counted)
    assert (server.kind, server.parent_id, server.status) == ("SERVER", "", "UNSET")
    assert server.attributes["http.route"] == EMAILS
    assert server.attributes["http.response.status_code"] == 200
    assert login.scope == found.scope == "Relate.Api"
    assert login.attributes == {
        "api.auth.user": "alice@example.org",
        "api.auth.success": True,
        "api.auth.cache_hit": False,
        "api.auth.rate_limited": False,
        "api.auth.key_name": "laptop",
    }


async def test_the_second_login_is_a_cache_hit(client: httpx.AsyncClient, recorder: Recorder) -> None:
    for _ in range(2):
        await client.get(EMAILS)
    assert [span.attributes["api.auth.cache_hit"] for span in recorder.spans("api.auth.validate")] == [False, True]


async def test_a_wrong_key_is_not_a_server_error(wrong_key_client: httpx.AsyncClient, recorder: Recorder) -> None:
    for _ in range(PER_CLIENT.burst + 1):
        await wrong_key_client.get(EMAILS)
    first, *_, last = recorder.spans("api.auth.validate")
    assert first.attributes["api.auth.success"] is last.attributes["api.auth.success"] is False
    assert first.attributes["api.auth.failure_reason"] == "invalid_key"
    assert last.attributes["api.auth.rate_limited"] is True
    assert {span.status for span in recorder.spans()} == {"UNSET"}
    assert recorder.total("api.auth.failures") == recorder.total("api.auth.attempts") == PER_CLIENT.burst + 1


@pytest.mark.parametrize("path", ["", "/raw"])
async def test_reading_a_message_links_to_its_delivery_once(
    world: MemoryBackend, alice: AccountId, client: httpx.AsyncClient, recorder: Recorder, path: str
) -> None:
    email = (await world.store.deliver(delivery(alice, origin=ORIGIN))).message_id
    assert (await client.get(f"{EMAILS}/{email}{path}")).status_code == 200
    server, opened = recorder.span(GET_EMAIL + path), recorder.span("mailstore.open")
    assert [(link.trace_id, link.span_id) for link in server.links] == [(SENDER_TRACE, SENDER_SPAN)]
    assert_below(server, opened)
    assert opened.attributes["mailstore.octets"] == len(simple())


async def test_listing_messages_links_to_no_delivery(
    world: MemoryBackend, alice: AccountId, client: httpx.AsyncClient, recorder: Recorder
) -> None:
    await world.store.deliver(delivery(alice, origin=ORIGIN))
    await client.get(EMAILS)
    assert not recorder.span(LIST_EMAILS).links


async def test_a_missing_message_is_not_an_error_span(client: httpx.AsyncClient, recorder: Recorder) -> None:
    assert (await client.get(f"{EMAILS}/{UNKNOWN_MESSAGE}")).status_code == 404
    assert {span.status for span in recorder.spans()} == {"UNSET"}


@pytest.mark.parametrize(
    "error", [StoreUnavailable("no answer"), AccountsUnavailable("no answer"), RuntimeError("a bug")]
)
async def test_a_server_error_marks_store_and_request_spans(
    world: MemoryBackend, alice: AccountId, telemetry_and_recorder: tuple[Telemetry, Recorder], error: Exception
) -> None:
    telemetry, recorder = telemetry_and_recorder
    async with create_client(traced_api(world, telemetry, FailingStore(error)), "alice") as client:
        with capture_logs():
            assert (await client.get(EMAILS)).is_server_error
    assert recorder.span("mailstore.find").status == recorder.span(LIST_EMAILS).status == "ERROR"


async def test_head_requests_have_their_own_span_name(client: httpx.AsyncClient, recorder: Recorder) -> None:
    await client.head(EMAILS)
    assert recorder.span(f"HEAD {EMAILS}").attributes["http.route"] == EMAILS


async def test_health_probes_have_no_span(client: httpx.AsyncClient, recorder: Recorder) -> None:
    for path in ("/healthz/live", "/healthz/ready"):
        await client.get(path)
    assert not recorder.spans()


async def test_keys_mail_and_search_terms_are_never_exported(
    world: MemoryBackend,
    alice: AccountId,
    client: httpx.AsyncClient,
    wrong_key_client: httpx.AsyncClient,
    recorder: Recorder,
) -> None:
    raw = simple(f"Subject {MARKER}", body=f"Body {MARKER}")
    email = (await world.store.deliver(delivery(alice, raw=raw))).message_id
    for path in (f"/search?q={MARKER}", f"?label={MARKER}&cursor={MARKER}", f"/{email}", f"/{email}/raw"):
        await client.get(EMAILS + path)
    await client.patch(f"{EMAILS}/{email}", json={"addLabels": [MARKER], MARKER: MARKER})
    made = (await client.post(KEYS, json={"name": "phone", "scopes": ["imap"]})).json()
    await wrong_key_client.get(EMAILS)
    everything = recorder.everything()
    assert "mailstore.find" in everything
    assert MARKER not in everything
    assert made["key"] not in everything


async def test_fastapis_own_telemetry_is_disabled(
    world: MemoryBackend,
    alice: AccountId,
    telemetry_and_recorder: tuple[Telemetry, Recorder],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    telemetry, recorder = telemetry_and_recorder
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: telemetry.tracer_provider)
    async with create_client(create_api(world), "alice") as client:
        assert (await client.get(f"{EMAILS}/search?q={MARKER}")).status_code == 200
    assert not recorder.spans()


TRACE, SPAN = "3" * 32, "4" * 16
TRACE_FIELDS = {
    "sampled": {"traceparent": f"00-{TRACE}-{SPAN}-01"},
    "not sampled": {"traceparent": f"00-{TRACE}-{SPAN}-00"},
    "with state": {"traceparent": f"00-{TRACE}-{SPAN}-01", "tracestate": "by=mallory", "baggage": "user=mallory"},
}


@pytest.mark.parametrize("fields", TRACE_FIELDS.values(), ids=TRACE_FIELDS.keys())
async def test_the_traceparent_of_an_unauthenticated_client_is_ignored(
    app: FastAPI,
    wrong_key_client: httpx.AsyncClient,
    anonymous: httpx.AsyncClient,
    recorder: Recorder,
    fields: dict[str, str],
) -> None:
    for client in (wrong_key_client, anonymous):
        await client.get(EMAILS, headers=fields)
    servers = recorder.spans(LIST_EMAILS)
    assert [(span.parent_id, span.links) for span in servers] == [("", ())] * 2
    assert TRACE not in {span.trace_id for span in recorder.spans()}
    assert "mallory" not in recorder.everything()


@pytest.mark.parametrize("fields", TRACE_FIELDS.values(), ids=TRACE_FIELDS.keys())
async def test_the_traceparent_of_a_user_becomes_a_link(
    client: httpx.AsyncClient, recorder: Recorder, fields: dict[str, str]
) -> None:
    await client.get(EMAILS, headers=fields)
    await client.get(EMAILS)
    named, unnamed = recorder.spans(LIST_EMAILS)
    assert named.parent_id == ""
    assert "mallory" not in recorder.everything()
    expected = [] if fields == TRACE_FIELDS["not sampled"] else [(TRACE, SPAN)]  # a span that is nowhere
    assert [(link.trace_id, link.span_id) for link in named.links] == expected
    assert not unnamed.links
    assert named.trace_id not in {TRACE, unnamed.trace_id}


@pytest.mark.parametrize(
    "fields",
    [
        [("traceparent", "junk")],
        [("traceparent", f"00-{'0' * 32}-{SPAN}-01")],
        [("traceparent", f"ff-{TRACE}-{SPAN}-01")],
        [("traceparent", f"00-{TRACE}-{SPAN}-01"), ("traceparent", f"00-{'5' * 32}-{SPAN}-01")],
    ],
)
async def test_an_invalid_traceparent_is_ignored(
    client: httpx.AsyncClient, recorder: Recorder, fields: list[tuple[str, str]]
) -> None:
    await client.get(EMAILS, headers=fields)
    assert not recorder.span(LIST_EMAILS).links


async def test_fields_of_other_propagators_are_ignored(
    world: MemoryBackend,
    alice: AccountId,
    telemetry_and_recorder: tuple[Telemetry, Recorder],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    telemetry, recorder = telemetry_and_recorder

    class Other(TraceContextTextMapPropagator):
        """Reads the same context from another field."""

        fields = {"x-other-trace"}  # noqa: RUF012 - a property, above

        def extract(
            self, carrier: CarrierT, context: Context | None = None, getter: Getter[CarrierT] = default_getter
        ) -> Context:
            values = getter.get(carrier, "x-other-trace") or []
            return super().extract({"traceparent": "".join(values)}, context)

    monkeypatch.setattr(propagate, "propagator", Other())
    async with create_client(traced_api(world, telemetry), "alice") as client:
        await client.get(EMAILS, headers={"X-Other-Trace": f"00-{TRACE}-{SPAN}-01"})
    assert recorder.span(LIST_EMAILS).parent_id == ""


async def test_the_span_has_the_client_of_a_trusted_proxy(
    world: MemoryBackend, alice: AccountId, telemetry_and_recorder: tuple[Telemetry, Recorder]
) -> None:
    telemetry, recorder = telemetry_and_recorder
    app = traced_api(world, telemetry, settings=ApiSettings(trusted_proxies="10.0.0.0/8"))
    for proxy in ("10.0.0.1", "198.51.100.1"):
        async with create_client(app, "alice", proxy) as client:
            await client.get(EMAILS, headers={"Forwarded": 'for="[2001:db8::17]:4711";proto=https'})
    trusted, untrusted = recorder.spans(LIST_EMAILS)
    assert (trusted.attributes["client.address"], trusted.attributes["client.port"]) == ("2001:db8::17", 4711)
    assert untrusted.attributes["client.address"] == "198.51.100.1"


@pytest.mark.parametrize("key", [f"rm_{'aB3-_' * 9}", f"RM_{'x' * 43}", "rm_secret", "%72m_%41bcdefgh"])
@pytest.mark.parametrize(
    "target",
    [f"{KEYS}/{{}}", f"{EMAILS}/{{}}/raw", "/{}", "/a/b{}c", "/?{}", "/?{}=1", "/?key={}", f"{EMAILS}?cursor={{}}"],
)
async def test_a_key_in_a_url_is_redacted(client: httpx.AsyncClient, recorder: Recorder, target: str, key: str) -> None:
    with capture_logs() as logged:
        assert not (await client.get(target.format(key))).is_success  # an error, or a redirect to the sign-in
    secret = unquote(key)[3:]
    assert recorder.spans()
    assert secret not in recorder.everything() + str(logged)


async def test_a_key_in_a_captured_header_field_is_redacted(
    world: MemoryBackend,
    alice: AccountId,
    telemetry_and_recorder: tuple[Telemetry, Recorder],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SERVER_REQUEST", ".*")
    telemetry, recorder = telemetry_and_recorder
    async with create_client(traced_api(world, telemetry), "rm_0123456789") as client:
        await client.get(EMAILS, headers={"User-Agent": "rm_0123456789"})
    assert "http.request.header.authorization" in recorder.span(LIST_EMAILS).attributes
    assert "0123456789" not in recorder.everything()


async def test_the_request_that_sends_a_message_is_its_origin(
    world: MemoryBackend, alice: AccountId, client: httpx.AsyncClient, recorder: Recorder
) -> None:
    body = {"to": [{"address": "alice@example.org"}], "subject": MARKER, "textBody": MARKER}
    assert (await client.post("/api/emails", json=body)).status_code == 201
    server, delivered = recorder.span("POST /api/emails"), recorder.span("mailstore.deliver")
    assert_below(server, delivered)
    (entry,) = (await world.store.snapshot(alice)).entries
    origin = (await world.store.open(alice, entry.message_id)).origin
    assert origin is not None
    assert origin.split("-")[1:3] == [server.trace_id, server.span_id]
    events = await world.store.events.find(EventQuery())
    assert {event.trace_id for event in events} == {server.trace_id}
    assert MARKER not in str(recorder.spans())
