"""What all submissions of a process have in common, whichever protocol they come by."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from relate_accounts.ports import Directory
from relate_mailstore.queue_types import SendingLimit
from relate_submission.routing import Routing


@dataclass(frozen=True, slots=True)
class SubmissionRules:
    """Where recipients are, and the limits. `max_content` is in octets, `now` in seconds since the epoch."""

    directory: Directory
    routing: Routing
    server_name: str
    max_content: int
    max_recipients: int
    sending_limits: tuple[SendingLimit, ...] = ()
    now: Callable[[], float] = time.time
