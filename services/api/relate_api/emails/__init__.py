"""The caller's messages: `/api/emails`, and the same as `/api/external/emails`, the name for other programs."""

from fastapi import APIRouter
from fastapi.routing import APIRoute

from relate_api.emails import bulk, downloads, endpoints, mbox, sent, threads

__all__ = ["router"]

_PARTS = (endpoints, sent, threads, bulk, downloads, mbox)


def _external_id(route: APIRoute) -> str:
    """The operation's id in the OpenAPI document, which is unique."""
    return f"external_{route.name}"


router = APIRouter()
for part in _PARTS:
    router.include_router(part.router, prefix="/api/emails", tags=["emails"])
    router.include_router(
        part.router,
        prefix="/api/external/emails",
        tags=["external emails"],
        generate_unique_id_function=_external_id,
    )
