"""How journeys and events are shown: words, tones, and links to traces. The macros are in `templates/timeline.html`."""

from collections.abc import Collection, Mapping
from typing import NamedTuple

from relate_api.page.context import Page

HIDDEN_DETAILS = frozenset({"id", "messageId", "sender"})
"""They are the same in all steps, and shown once."""
NEXT_ATTEMPT = "next_attempt"
"""The detail with the time of the next attempt, in seconds since the epoch."""
WORDS = {
    "received": "Received",
    "refused": "Refused",
    "filtered": "A filter acted",
    "delivered": "Delivered",
    "queued": "Queued",
    "attempted": "Attempted",
    "relayed": "Accepted by the next server",
    "deferred": "Deferred",
    "bounced": "Bounced",
    "expired": "Expired",
    "held": "Held",
    "released": "Released",
    "cancelled": "Cancelled",
    "appended": "Stored in a mailbox",
    "read": "Read",
    "moved": "Moved",
    "deleted": "Deleted",
}
TONES = {
    **dict.fromkeys(("refused", "bounced", "expired", "cancelled"), "bad"),
    **dict.fromkeys(("deferred", "held", "queued"), "waiting"),
    **dict.fromkeys(("delivered", "relayed", "read", "appended"), "good"),
}
"""How a step or an end state is marked; all others are neutral."""


WAITS = frozenset({"queued", "deferred", "released"})
"""The events after which a recipient waits; the last of them tells whether it was attempted before."""


class Look(NamedTuple):
    """What the macros need. `jaeger_url` has no final slash; it is empty without Jaeger."""

    jaeger_url: str
    words: Mapping[str, str] = WORDS
    tones: Mapping[str, str] = TONES
    hidden: Collection[str] = HIDDEN_DETAILS
    next_attempt: str = NEXT_ATTEMPT
    waits: Collection[str] = WAITS


def look_of(page: Page) -> Look:
    """The look by the settings of the page."""
    return Look(page.jaeger_url.rstrip("/"))
