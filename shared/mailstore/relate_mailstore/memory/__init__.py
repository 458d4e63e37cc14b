"""The store in memory: what the port means, in code that is read at one sitting. Tests and demonstrations use it."""

from relate_mailstore.memory.raw import CHUNK_OCTETS, MemoryRawMessage
from relate_mailstore.memory.store import MemoryMailStore

__all__ = ["CHUNK_OCTETS", "MemoryMailStore", "MemoryRawMessage"]
