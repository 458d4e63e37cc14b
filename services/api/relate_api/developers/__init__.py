"""What only the developers' mode has: waiting for mail, empty mailboxes, fault injection, releases; and namespaces."""

from relate_api.developers.endpoints import Developers, router
from relate_api.developers.middleware import NamespaceMiddleware

__all__ = ["Developers", "NamespaceMiddleware", "router"]
