"""Mail clients that count commands, octets and logins, for comparison with the server's metrics."""

import base64
import poplib
import smtplib
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from tests.integration.product.accounts import Account
from tests.support.product import HOST, TIMEOUT_SECONDS, Product

SMTP_VERBS = frozenset(
    {
        "HELO",
        "EHLO",
        "STARTTLS",
        "AUTH",
        "MAIL",
        "RCPT",
        "DATA",
        "BDAT",
        "RSET",
        "NOOP",
        "QUIT",
        "VRFY",
        "EXPN",
        "HELP",
    }
)
POP3_VERBS = frozenset(
    {
        "CAPA",
        "LANG",
        "STLS",
        "UTF8",
        "USER",
        "PASS",
        "AUTH",
        "STAT",
        "LIST",
        "UIDL",
        "RETR",
        "TOP",
        "DELE",
        "RSET",
        "NOOP",
        "QUIT",
    }
)


@dataclass
class ClientCounts:
    """What the clients of one protocol did; `octets` counts those of the protocol's metric."""

    verbs: frozenset[str]
    commands: Counter[str] = field(default_factory=Counter)
    octets: int = 0
    messages: int = 0
    logins: int = 0
    failures: int = 0

    def count(self, verb: str) -> None:
        """Count a command."""
        self.commands[verb if verb in self.verbs else "UNKNOWN"] += 1

    def count_login(self, success: bool) -> None:
        """Count a login and its result."""
        self.logins += 1
        self.failures += not success


class CountingSmtp(smtplib.SMTP):
    """Counts commands, and octets sent."""

    def __init__(self, counts: ClientCounts, product: Product, port: str) -> None:
        self.counts = counts
        super().__init__(HOST, product.ports[port], "client.example.test", timeout=TIMEOUT_SECONDS)

    def send(self, s: Any) -> None:
        """Send octets."""
        self.counts.octets += len(s)
        super().send(s)

    def putcmd(self, cmd: str, args: str = "") -> None:
        """Send a command."""
        self.counts.count(cmd.upper())
        super().putcmd(cmd, args)

    def log_in(self, account: Account, authorize_as: str = "") -> int:
        """AUTH PLAIN; the reply's code."""
        self.ehlo_or_helo_if_needed()
        code, _ = self.docmd("AUTH", f"PLAIN {plain(account, authorize_as)}")
        self.counts.count_login(code == 235)
        return code

    def log_in_with_auth_login(self, account: Account) -> int:
        """AUTH LOGIN, with a challenge for each half; the reply's code."""
        code, _ = self.docmd("AUTH", "LOGIN")
        for answer in account:
            assert code == 334
            self.send(f"{encode(answer)}\r\n".encode())
            code, _ = self.getreply()
        self.counts.count_login(code == 235)
        return code

    def submit(self, content: bytes, sender: str, *recipients: str) -> None:
        """One message, as DATA."""
        assert self.sendmail(sender, recipients, content) == {}
        self.counts.messages += 1


class CountingPop3(poplib.POP3):
    """Counts commands, and octets of replies; the greeting answers no command."""

    def __init__(self, counts: ClientCounts, product: Product) -> None:
        self.counts = ClientCounts(counts.verbs)
        super().__init__(HOST, product.ports["Pop3__Port"], timeout=TIMEOUT_SECONDS)
        self.counts = counts

    def _getline(self) -> tuple[bytes, int]:
        line, octets = super()._getline()  # type: ignore[misc] # private, but the only method that sees all replies
        self.counts.octets += octets
        return line, octets

    def _putcmd(self, line: str) -> None:
        self.counts.count(line.partition(" ")[0])
        super()._putcmd(line)  # type: ignore[misc] # as above

    def command(self, line: str) -> bytes:
        """Send a command with a single-line reply; returns that line, +OK or -ERR."""
        try:
            return self._shortcmd(line)  # type: ignore[attr-defined,no-any-return] # as above
        except poplib.error_proto as error:
            return error.args[0]  # type: ignore[no-any-return] # a line

    def log_in(self, account: Account) -> bool:
        """USER and PASS; returns whether the login succeeded."""
        self.command(f"USER {account.address}")
        return self._count_reply(self.command(f"PASS {account.key}"))

    def log_in_with_auth_plain(self, account: Account, authorize_as: str = "") -> bool:
        """AUTH PLAIN with an initial response."""
        return self._count_reply(self.command(f"AUTH PLAIN {plain(account, authorize_as)}"))

    def log_in_with_auth_login(self, account: Account) -> bool:
        """AUTH LOGIN, with a challenge for each half."""
        reply = self.command("AUTH LOGIN")
        for answer in account:
            assert reply[:1] == b"+"
            self._putline(encode(answer).encode())  # type: ignore[attr-defined] # as above
            reply = self._getresp()  # type: ignore[attr-defined] # as above
        return self._count_reply(reply)

    def retrieve(self, number: int) -> bytes:
        """One message."""
        self.counts.messages += 1
        return b"\r\n".join(self.retr(number)[1])

    def _count_reply(self, reply: bytes) -> bool:
        success = reply.startswith(b"+OK")
        self.counts.count_login(success)
        return success


def encode(text: str) -> str:
    """Encode as base64 for SASL."""
    return base64.b64encode(text.encode()).decode()


def plain(account: Account, authorize_as: str = "") -> str:
    """The response of SASL PLAIN (RFC 4616)."""
    return encode(f"{authorize_as}\0{account.address}\0{account.key}")
