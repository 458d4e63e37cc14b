"""The settings of a person: filters, labels, keys, and what mail programs and phones need."""

from fastapi import APIRouter

from relate_api.page.views.settings import (
    devices,
    filter_form,
    filter_list,
    keys,
    labels,
    opening,
)

__all__ = ["router"]

router = APIRouter()
for view in (opening, filter_list, filter_form, labels, devices, keys):
    router.include_router(view.router)
