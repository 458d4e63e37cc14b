"""Other people's mail servers, on loopback: each has an address of its own, and a scripted DNS names them.

    async with Internet() as internet:
        sink = await internet.domain("there.test", {"RCPT": reply("450 4.2.1 later")})
        ...  # Relay__Resolver=internet.dns.server, Relay__MxPort=internet.port, Relay__PrivateDestinations=allow

All servers have the same port, because the relay has one MX port.
"""

import secrets
import socket
from contextlib import AsyncExitStack
from itertools import count
from typing import Any, Self

from tests.support.dns import ScriptedDns
from tests.support.relay.sink import Script, Sink


class Internet:
    """The servers and their DNS. `port` is that of all servers."""

    def __init__(self) -> None:
        self.dns = ScriptedDns()
        self.port = 0
        self._network = f"127.{1 + secrets.randbelow(254)}.{secrets.randbelow(255)}"
        self._numbers = count(1)
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        await self._stack.enter_async_context(self.dns)
        reserved = self._stack.enter_context(socket.socket())  # bound, not listening: connections to it are refused
        self.dead_address = self._next_address()
        reserved.bind((self.dead_address, 0))
        self.port = reserved.getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    @property
    def settings(self) -> dict[str, str]:
        """The settings of a product that sends here."""
        return {
            "Relay__Enabled": "true",
            "Relay__Resolver": self.dns.server,
            "Relay__MxPort": str(self.port),
            "Relay__PrivateDestinations": "allow",
        }

    async def domain(self, name: str, script: Script | None = None, **options: Any) -> Sink:
        """Add a domain whose only server, `mx.name`, accepts all mail unless a script says otherwise."""
        sink = await self.server(f"mx.{name}", script, **options)
        self.dns.add(f"{name} MX 10 mx.{name}")
        return sink

    async def server(self, name: str, script: Script | None = None, **options: Any) -> Sink:
        """Add a server; `options` are those of `Sink`."""
        sink = Sink(script, host=self._next_address(), **options)
        sink.port = self.port
        await self._stack.enter_async_context(sink)
        self.dns.add(f"{name} A {sink.host}")
        return sink

    def dead_domain(self, name: str) -> None:
        """Add a domain whose server refuses connections."""
        self.dns.add(f"{name} MX 10 mx.{name}\nmx.{name} A {self.dead_address}")

    def _next_address(self) -> str:
        return f"{self._network}.{next(self._numbers)}"
