"""Instrumented libraries: statements without parameters, requests without the values of query parameters."""

from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from relate_telemetry.telemetry import Telemetry
from tests.support.telemetry.receiver import Recorder, recording_telemetry

SECRET = "hunter2"


@pytest.fixture
def recorded() -> tuple[Telemetry, Recorder]:
    return recording_telemetry()


@pytest.fixture
def telemetry(recorded: tuple[Telemetry, Recorder]) -> Telemetry:
    return recorded[0]


@pytest.fixture
def seen(recorded: tuple[Telemetry, Recorder]) -> Recorder:
    return recorded[1]


@pytest.fixture
async def engine() -> AsyncIterator[AsyncEngine]:
    engine = create_async_engine("sqlite+aiosqlite://")
    yield engine
    await engine.dispose()


async def run(engine: AsyncEngine, statement: str, **parameters: str) -> None:
    async with engine.begin() as connection:
        await connection.execute(text(statement), parameters)


async def test_a_statement_has_its_text_and_no_parameters(
    telemetry: Telemetry, seen: Recorder, engine: AsyncEngine
) -> None:
    telemetry.instrument_engine(engine)
    with telemetry.operations("api").operation("mailstore.find"):
        await run(engine, "select :word as word", word=SECRET)
    (statement,) = [span for span in seen.spans() if span.kind == "CLIENT"]  # sqlite3 begins no transaction for it
    assert statement.attributes["db.query.text"] == "select ? as word"
    assert statement.parent_id == seen.span("mailstore.find").span_id
    assert SECRET not in seen.everything()


async def test_a_failed_statement_emits_no_values(telemetry: Telemetry, seen: Recorder, engine: AsyncEngine) -> None:
    telemetry.instrument_engine(engine)
    with pytest.raises(SQLAlchemyError), telemetry.operations("api").operation("mailstore.find"):
        await run(engine, "select json(:word)", word=SECRET)
    assert seen.span("mailstore.find").attributes["exception.type"] == "sqlalchemy.exc.OperationalError"
    assert {span.status for span in seen.spans()} == {"ERROR"}
    assert SECRET not in seen.everything()


async def test_instrumenting_an_engine_is_idempotent(telemetry: Telemetry, seen: Recorder, engine: AsyncEngine) -> None:
    telemetry.instrument_engine(engine)
    telemetry.instrument_engine(engine)
    other = create_async_engine("sqlite+aiosqlite://")
    await run(engine, "select 1")
    await run(other, "select 2")
    await other.dispose()
    assert [span.attributes["db.query.text"] for span in seen.spans()] == ["select 1"]


def make_app() -> FastAPI:
    app = FastAPI()

    @app.get("/api/messages/{number}")
    async def message(number: int) -> int:
        return number

    @app.get("/health/ready")
    async def ready() -> str:
        return "yes"

    @app.get("/broken")
    async def broken() -> None:
        raise RuntimeError(f"first line\n{SECRET}")

    return app


async def get(app: FastAPI, path: str) -> None:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://relate.test") as client:
        await client.get(path)


async def test_a_request_is_one_span_named_by_its_route(telemetry: Telemetry, seen: Recorder) -> None:
    app = make_app()
    telemetry.instrument_app(app)
    telemetry.instrument_app(app)
    await get(app, "/api/messages/7")
    span = seen.span("GET /api/messages/{number}")
    assert seen.spans() == [span]
    assert (span.kind, span.attributes["http.response.status_code"]) == ("SERVER", 200)
    assert seen.total("http.server.request.duration") > 0


async def test_health_probes_are_not_traced(telemetry: Telemetry, seen: Recorder) -> None:
    app = make_app()
    telemetry.instrument_app(app)
    await get(app, "/health/ready?verbose=1")
    assert seen.spans() == []


async def test_streams_of_events_are_not_traced_as_requests(telemetry: Telemetry, seen: Recorder) -> None:
    app = make_app()
    telemetry.instrument_app(app)
    await get(app, "/api/events?lastEventId=x")
    assert seen.spans() == []
    assert seen.total("http.server.request.duration") == 0


async def test_only_names_of_query_parameters_are_emitted(telemetry: Telemetry, seen: Recorder) -> None:
    app = make_app()
    telemetry.instrument_app(app)
    await get(app, f"/api/messages/7?search={SECRET}&page=2")
    assert seen.span("GET /api/messages/{number}").attributes["url.query"] == "search=…&page=…"
    assert SECRET not in seen.everything()


async def test_an_exception_is_an_error_without_values(telemetry: Telemetry, seen: Recorder) -> None:
    app = make_app()
    telemetry.instrument_app(app)
    await get(app, "/broken")
    span = seen.span("GET /broken")
    (event,) = span.events
    assert (span.status, event.attributes["exception.message"]) == ("ERROR", "first line")
    assert SECRET not in seen.everything()
