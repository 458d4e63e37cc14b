"""Restarts background tasks and threads after exceptions: see `Supervisor`."""

from relate_supervisor.supervisor import Backoff, Supervisor, TaskName
from relate_supervisor.tracing import NoTracing, Tracing, Work

__all__ = ["Backoff", "NoTracing", "Supervisor", "TaskName", "Tracing", "Work"]
