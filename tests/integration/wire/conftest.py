"""Certificates, and a store whose messages cannot be read to their ends."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from relate_mailstore.memory import MemoryMailStore
from relate_mailstore.memory.raw import MemoryRawMessage


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tls")


class TruncatedMessage:
    """A message whose read fails after the first octets."""

    buffered = None

    def __init__(self, message: MemoryRawMessage) -> None:
        self.size = message.size
        self.origin = None
        self._message = message

    async def chunks(self, start: int = 0, stop: int | None = None) -> AsyncIterator[bytes]:
        yield await self._message.read(0, 10_000)
        raise RuntimeError("an I/O error")

    async def read(self, start: int = 0, stop: int | None = None) -> bytes:
        return b"".join([chunk async for chunk in self.chunks(start, stop)])


@pytest.fixture
def truncated_messages(monkeypatch: pytest.MonkeyPatch) -> None:
    """All messages of the store are truncated."""
    open_message, open_all = MemoryMailStore.open, MemoryMailStore.open_all

    async def open_truncated(*args: Any) -> Any:
        return TruncatedMessage(await open_message(*args))

    async def open_all_truncated(*args: Any) -> Any:
        return [None if raw is None else TruncatedMessage(raw) for raw in await open_all(*args)]

    monkeypatch.setattr(MemoryMailStore, "open", open_truncated)
    monkeypatch.setattr(MemoryMailStore, "open_all", open_all_truncated)
