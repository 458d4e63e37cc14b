"""Opens the resolver of `Relay__Resolver`, with less time for a question than the relay has, because a person waits."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import dns.resolver

from relate_outbound.dns.resolver import Resolver, parse_resolver


@asynccontextmanager
async def open_resolver(server: str, question_seconds: float, try_seconds: float) -> AsyncIterator[Resolver | None]:
    """A resolver without answers in its cache; None if this machine has no name server.

    Raises ValueError if `server` is neither empty nor an address with an optional port.
    """
    try:
        resolver = Resolver(parse_resolver(server), question_seconds=question_seconds, try_seconds=try_seconds)
    except dns.resolver.NoResolverConfiguration:
        yield None
        return
    try:
        yield resolver
    finally:
        await resolver.close()
