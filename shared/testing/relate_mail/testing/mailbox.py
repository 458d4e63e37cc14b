"""A mailbox, and a message in it."""

from dataclasses import dataclass, field
from typing import Any, Self

from relate_mail.testing.api import Api

WAIT_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Message:
    """A message that has arrived. `text` and `html` are empty without such a part; `data` is the answer of the API.

    `links` and `codes` are the URLs of the text, and what looks like a code to type.
    """

    id: str
    subject: str
    sender: str
    text: str
    html: str
    links: list[str]
    codes: list[str]
    data: dict[str, Any] = field(repr=False)

    @classmethod
    def of(cls, data: dict[str, Any]) -> Self:
        """Convert an answer of the API."""
        sender = data["from"]["address"]
        text, html = data["textBody"] or "", data["htmlBody"] or ""
        return cls(data["id"], data["subject"], sender, text, html, data["links"], data["codes"], data)


class Mailbox:
    """The mailbox of an address. Any password logs in to it, by IMAP, POP3 and SMTP."""

    def __init__(self, url: str, address: str) -> None:
        self.address = address
        self._api = Api(url, address)

    def __repr__(self) -> str:
        return f"Mailbox({self.address!r})"

    def wait(self, subject: str = "", *, timeout: float = WAIT_SECONDS, after: Message | None = None) -> Message:
        """The first message whose subject contains a text; it may have arrived already. At most `timeout` seconds.

        With `after` the first one that has arrived later than that message. Raises NoMessage, ApiError, OSError.
        """
        query = {"subject": subject, **({} if after is None else {"after": after.id})}
        return Message.of(self._api.wait(query, timeout))

    def count(self) -> int:
        """The number of messages in the INBOX. Raises ApiError, OSError."""
        return int(self._api.call("GET", "/api/emails", query={"limit": 1})["totalCount"])

    def raw(self, message: Message) -> bytes:
        """The octets of a message. Raises ApiError, OSError."""
        return self._api.request("GET", f"/api/emails/{message.id}/raw")
