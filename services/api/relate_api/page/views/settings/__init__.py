"""The settings of a person: filters, labels, mailboxes, keys, and what mail programs and phones need."""

from relate_api.page.routes import join
from relate_api.page.views.settings import (
    devices,
    filter_form,
    filter_list,
    keys,
    labels,
    mailboxes,
    opening,
)

__all__ = ["router"]

router = join(opening, filter_list, filter_form, labels, mailboxes, devices, keys)
