"""`/healthz/live` answers while the process runs; `/healthz/ready` while the database answers too. Both are public."""

from fastapi import APIRouter, Request
from pydantic import BaseModel

from relate_api.health.readiness import Readiness

LIVE, READY = "/healthz/live", "/healthz/ready"
PATHS = (LIVE, READY)

router = APIRouter(tags=["health"])


class Health(BaseModel):
    """All is well: anything else is a problem."""

    status: str = "ok"


@router.get(LIVE)
async def live() -> Health:
    """The process runs."""
    return Health()


@router.get(READY)
async def ready(request: Request) -> Health:
    """The database answers."""
    readiness: Readiness = request.app.state.readiness
    await readiness.check()
    return Health()
