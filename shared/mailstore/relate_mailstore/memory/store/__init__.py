"""`MailStore` in memory. No method but `lock_maildrop` awaits anything, so each is atomic.

The modules implement the ports of the same names on `parts`.
"""

from relate_mailstore.memory.store.mail_store import MemoryMailStore

__all__ = ["MemoryMailStore"]
