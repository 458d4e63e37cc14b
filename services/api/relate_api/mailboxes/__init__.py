"""The resource `/api/mailboxes`, and the moves and copies of messages between them."""

from fastapi import APIRouter

from relate_api.mailboxes import endpoints, transfers

__all__ = ["router"]

router = APIRouter()
router.include_router(endpoints.router)
router.include_router(transfers.router)
