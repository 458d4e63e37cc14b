"""The resource `/healthz`: liveness and readiness."""

from relate_api.health.endpoints import PATHS, router
from relate_api.health.readiness import Readiness

__all__ = ["PATHS", "Readiness", "router"]
