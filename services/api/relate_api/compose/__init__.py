"""The resources of sending: `POST /api/emails`, replies and forwards, and `/api/drafts`."""

from fastapi import APIRouter

from relate_api.compose import drafts, endpoints
from relate_api.compose.once import RunningRequests
from relate_api.compose.schemas import SCHEMAS
from relate_api.compose.uploads import Offload

__all__ = ["SCHEMAS", "Offload", "RunningRequests", "router"]

router = APIRouter()
router.include_router(endpoints.router)
router.include_router(drafts.router)
router.include_router(drafts.sending_router)
