"""Answers the health checks of a service that has no port of its own; `health` asks."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from relate_wire.accepting import listen

HOST = "127.0.0.1"  # for checks from within the container only
ANSWERS = {True: b"running\r\n", False: b"not running\r\n"}


@asynccontextmanager
async def answer_checks(
    port: int, is_running: Callable[[], bool], setting: str, *, shared: bool = False
) -> AsyncIterator[None]:
    """Answer each connection to `port` with whether the service runs, inside the block; without a port do nothing.

    `setting` names the port's variable in the message of CannotListen. Several workers share the port (`shared`), and
    one of them answers.
    """
    if not port:
        yield
        return

    def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(ANSWERS[is_running()])
        writer.close()

    prefix, _, name = setting.partition("__")
    async with await asyncio.start_server(answer, sock=listen(HOST, port, shared, prefix, name)):
        yield
