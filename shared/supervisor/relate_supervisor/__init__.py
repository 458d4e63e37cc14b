"""Restarts background tasks and threads after exceptions: see `Supervisor`."""

from relate_supervisor.supervisor import Backoff, Supervisor, TaskName

__all__ = ["Backoff", "Supervisor", "TaskName"]
