"""Public probes: `/healthz/live` succeeds while the process runs, `/healthz/ready` while the database answers too."""

from fastapi import APIRouter, Request
from pydantic import BaseModel

from relate_api.health.readiness import Readiness

LIVE, READY = "/healthz/live", "/healthz/ready"
PATHS = (LIVE, READY)

router = APIRouter(tags=["health"])


class Health(BaseModel):
    """The probe succeeded; a failure is a problem instead."""

    status: str = "ok"


@router.get(LIVE)
async def live() -> Health:
    """Liveness: the process runs."""
    return Health()


@router.get(READY)
async def ready(request: Request) -> Health:
    """Readiness: the database answers."""
    readiness: Readiness = request.app.state.readiness
    await readiness.check()
    return Health()
