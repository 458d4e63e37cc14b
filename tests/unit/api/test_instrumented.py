"""The API under `opentelemetry-instrument`, which adds its own spans: links and redaction are the same."""

import json
from typing import Any

import pytest

from tests.unit.telemetry.processes import run_python

TRACE, SPAN = "3" * 32, "4" * 16
PROGRAM = f"""
import asyncio
from relate_accounts.traced import TracedAuthenticator
from relate_accounts.types import Scope
from tests.support.memory_backend import MemoryBackend
from tests.unit.api.clients import EMAILS, KEYS, create_api, create_client

async def send_requests():
    telemetry = start()
    world = MemoryBackend()
    await world.add_user("alice@example.org", "alice", [Scope.APP])
    app = create_api(world, authenticator=TracedAuthenticator(world.authenticator, telemetry.auth("api")))
    telemetry.instrument_app(app)
    fields = {{"traceparent": "00-{TRACE}-{SPAN}-01", "tracestate": "by=mallory"}}
    for key in ("alice", "wrong"):
        async with create_client(app, key) as client:
            await client.get(EMAILS + "/search?q=hunter2&rm_0123456789", headers=fields)
            await client.get(KEYS + "/rm_0123456789", headers=fields)
    telemetry.shutdown()

asyncio.run(send_requests())
"""
CONSOLE = {"OTEL_TRACES_EXPORTER": "console", "OTEL_METRICS_EXPORTER": "none", "OTEL_LOGS_EXPORTER": "none"}


def spans_in(text: str) -> list[dict[str, Any]]:
    """The spans in the output of the SDK's console exporter."""
    decoder, spans = json.JSONDecoder(), []
    while text := text.strip():
        span, end = decoder.raw_decode(text)
        spans.append(span)
        text = text[end:]
    return spans


@pytest.mark.parametrize(
    "environment",
    [{}, {"OTEL_SEMCONV_STABILITY_OPT_IN": "http"}],
    ids=["old conventions", "stable conventions"],
)
def test_instrumented_spans_join_no_foreign_trace_and_contain_no_secret(
    environment: dict[str, str],
) -> None:
    out, _ = run_python(PROGRAM, CONSOLE | environment, instrumented=True)
    servers = [span for span in spans_in(out) if span["kind"] == "SpanKind.SERVER"]
    assert [span["parent_id"] for span in servers] == [None] * 4
    assert [len(span["links"]) for span in servers] == [1, 0, 0, 0]
    assert servers[0]["links"][0]["context"]["trace_id"] == f"0x{TRACE}"
    assert f"0x{TRACE}" not in {span["context"]["trace_id"] for span in spans_in(out)}
    for secret in ("hunter2", "0123456789", "mallory"):
        assert secret not in out
