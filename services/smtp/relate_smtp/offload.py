"""Parses reports in threads where that may take long: a hostile header costs a microsecond per octet."""

import asyncio

from relate_mime.cost import is_cheap_to_index
from relate_mime.delivery_reports import DeliveryReport, parse_report


async def parse_offloaded(message: bytes) -> DeliveryReport | None:
    """As `parse_report`, without blocking the event loop."""
    return parse_report(message) if is_cheap_to_index(message) else await asyncio.to_thread(parse_report, message)
