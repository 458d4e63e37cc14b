"""What only the developers' mode has: waiting, emptying, faults, releases; namespaces, and the check of the Host."""

from relate_api.developers.endpoints import Developers, router
from relate_api.developers.hosts import HostMiddleware
from relate_api.developers.middleware import NamespaceMiddleware

__all__ = ["Developers", "HostMiddleware", "NamespaceMiddleware", "router"]
