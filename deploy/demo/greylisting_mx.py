"""greylisting-mx: a user sends mail to a server that defers the first message for each recipient, as Postgrey does.

The relay is told to send the domain's mail to this container (`Relay__SmarthostFor`), which is that server.
"""

import asyncio
from itertools import count
from socketserver import StreamRequestHandler, ThreadingTCPServer
from threading import Thread

from deploy.demo.sending import sender, submit
from deploy.demo.stopping import block_stop_signals, repeat

PORT = 2525
DOMAIN = "greylisting.example"
MESSAGE_SECONDS = 60.0


class Greylisting(StreamRequestHandler):
    """One connection to the server."""

    deferred: set[str] = set()  # noqa: RUF012 - of all connections
    """The recipients that were deferred once."""

    def handle(self) -> None:
        """Answer commands until the client leaves."""
        self._reply(f"220 mx.{DOMAIN} ESMTP")
        for line in self.rfile:
            command = line.decode("ascii", "replace").strip()
            match command[:4].upper():
                case "EHLO":
                    self._reply(f"250-mx.{DOMAIN}", "250 ENHANCEDSTATUSCODES")
                case "RCPT":
                    self._reply(self._judge(command))
                case "DATA":
                    self._reply("354 End data with <CR><LF>.<CR><LF>")
                    while self.rfile.readline() not in (b".\r\n", b""):
                        continue
                    self._reply("250 2.0.0 Ok: queued")
                case "QUIT":
                    self._reply("221 2.0.0 Bye")
                    return
                case _:
                    self._reply("250 2.0.0 Ok")

    def _judge(self, command: str) -> str:
        if command in self.deferred:
            return "250 2.1.5 Ok"
        self.deferred.add(command)
        return "451 4.7.1 Greylisted, try again later"

    def _reply(self, *lines: str) -> None:
        self.wfile.write("".join(f"{line}\r\n" for line in lines).encode())


async def main() -> None:
    """Serve, and send a message per minute, each to another recipient, until the container is stopped."""
    block_stop_signals()
    numbers = count(1)
    with ThreadingTCPServer(("", PORT), Greylisting) as listener:
        Thread(target=listener.serve_forever, daemon=True).start()
        async with sender("greta") as (user, server):
            await asyncio.to_thread(
                repeat, lambda: submit(user, server, [f"guest.{next(numbers)}@{DOMAIN}"]), MESSAGE_SECONDS
            )
        listener.shutdown()


if __name__ == "__main__":
    asyncio.run(main())
