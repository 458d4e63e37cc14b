"""A running server, and namespaces in it."""

import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, NamedTuple, Self

from relate_mail.testing.api import Api
from relate_mail.testing.mailbox import Mailbox

DOMAIN = "example.test"  # reserved for tests (RFC 6761 §6.2)
RULES_OWNER = "test"
NAMESPACE_OCTETS = 5

# As the server's: relate_api.developers.namespaces.
_NAME = re.compile(r"(?=.{1,32}\Z)[A-Za-z0-9](?:\.?[A-Za-z0-9_-])*+")
_NAME_RULE = (
    "1 to 32 letters, digits, hyphens, underscores and single dots, with a letter or digit first and no dot last"
)


class Ports(NamedTuple):
    """The ports: `smtp` for submission, `mx` for mail from other servers; those that end in `s` begin with TLS."""

    smtp: int
    smtps: int
    mx: int
    pop3: int
    pop3s: int
    imap: int
    imaps: int
    http: int
    https: int


@dataclass(frozen=True, slots=True)
class Server:
    """Where a server is reached. `admin_key` has the scope `admin`; only it may release a message."""

    host: str
    ports: Ports
    admin_key: str = field(repr=False)

    @property
    def url(self) -> str:
        """The base URL of the API."""
        host = f"[{self.host}]" if ":" in self.host else self.host  # RFC 3986 §3.2.2
        return f"http://{host}:{self.ports.http}"

    def namespace(self, name: str | None = None) -> "Namespace":
        """A namespace, by default a new one, whose mail and faults no other test sees. Raises ValueError."""
        return Namespace(self, secrets.token_hex(NAMESPACE_OCTETS) if name is None else name)


class Namespace:
    """The mailboxes and fault rules of one test. As a context manager it is empty at the end.

    The constructor raises ValueError for a name that cannot be the end of an address's local part.
    """

    def __init__(self, server: Server, name: str) -> None:
        if not _NAME.fullmatch(name):
            raise ValueError(f"the namespace {name!r} has to have {_NAME_RULE}")
        self.server = server
        self.name = name
        self._api = Api(server.url, self.address(RULES_OWNER))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.inject()
        self.empty()

    def address(self, local_part: str, domain: str = DOMAIN) -> str:
        """An address in the namespace: `alice+name@example.test`."""
        return f"{local_part}+{self.name}@{domain}"

    def mailbox(self, local_part: str, domain: str = DOMAIN) -> Mailbox:
        """The mailbox of an address in the namespace."""
        return Mailbox(self.server.url, self.address(local_part, domain))

    def inject(self, *rules: Mapping[str, object]) -> Sequence[Mapping[str, Any]]:
        """Replace the rules of fault injection, each as in the API; without one nothing is injected.

        `{"service": "smtp", "command": "RCPT", "probability": 0.3, "reply": "451"}`. Returns the rules as they are
        stored. Raises ApiError, OSError.
        """
        stored: Sequence[Mapping[str, Any]] = self._api.call("PUT", "/api/faults", body={"rules": rules})["rules"]
        return stored

    def faults(self) -> Sequence[Mapping[str, Any]]:
        """The rules, each with the number of faults that it has `injected`. Raises ApiError, OSError."""
        rules: Sequence[Mapping[str, Any]] = self._api.call("GET", "/api/faults")["rules"]
        return rules

    def empty(self) -> int:
        """Delete all mail of the namespace; returns the number of messages. Raises ApiError, OSError."""
        return int(self._api.call("DELETE", "/api/emails")["deletedCount"])


def parse_ready(line: Mapping[str, Any]) -> Server:
    """The server of the line that `relate dev --json` prints."""
    return Server(line["host"], Ports(*(line[name] for name in Ports._fields)), line["adminKey"])
