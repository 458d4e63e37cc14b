"""The floor of the API: a bare FastAPI app that answers each route with a stored response, on the API's own server.

    python -m tests.bench.bare_api PORT RESPONSES

RESPONSES is a file of JSON: a list of [method, path, status, body].
"""

import json
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from fastapi import FastAPI

from relate_api.config import ApiSettings
from relate_api.http.server import ApiServer
from relate_service.workers import run, stop_requested
from relate_supervisor import Supervisor


def create_app(responses: list[tuple[str, str, int, Any]]) -> FastAPI:
    """An app whose routes do nothing but parse the body of a POST, and return their response."""
    app = FastAPI()
    for method, path, status, body in responses:
        answer = _reads(body) if method == "POST" else _returns(body)
        app.add_api_route(path, answer, methods=[method], status_code=status)
    return app


def _returns(body: Any) -> Callable[[], Awaitable[Any]]:
    async def answer() -> Any:
        return body

    return answer


def _reads(body: Any) -> Callable[[dict[str, Any]], Awaitable[Any]]:
    async def answer(request: dict[str, Any]) -> Any:
        return body

    return answer


async def serve(_: int = 0) -> None:
    """Serve until a stop is requested."""
    settings = ApiSettings(host="127.0.0.1", port=int(sys.argv[1]), secure_port=0)
    app = create_app(json.loads(Path(sys.argv[2]).read_text()))
    async with ApiServer(app, settings, settings.certificate(), Supervisor()):
        await stop_requested()


if __name__ == "__main__":
    run(serve)
