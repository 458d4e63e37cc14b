"""dead-mx: a user sends mail to three domains whose servers refuse connections.

The relay is told to send their mail to this container (`Relay__SmarthostFor`), in which nothing listens.
"""

import asyncio

from deploy.demo.sending import sender, submit
from deploy.demo.stopping import block_stop_signals, wait_for_stop

RECIPIENTS = ("bob@one.dead.example", "bob@two.dead.example", "bob@three.dead.example")
MESSAGES = 3  # a destination is suspended after three failures


async def main() -> None:
    """Send the messages, and leave them in the queue until the container is stopped."""
    block_stop_signals()
    async with sender("dora") as (user, server):
        for _ in range(MESSAGES):
            await asyncio.to_thread(submit, user, server, RECIPIENTS)
        await asyncio.to_thread(wait_for_stop)


if __name__ == "__main__":
    asyncio.run(main())
