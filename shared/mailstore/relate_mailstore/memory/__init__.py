"""The store in memory: the port's reference implementation, for tests and demonstrations."""

from relate_mailstore.memory.raw import CHUNK_OCTETS, MemoryRawMessage
from relate_mailstore.memory.store import MemoryMailStore

__all__ = ["CHUNK_OCTETS", "MemoryMailStore", "MemoryRawMessage"]
