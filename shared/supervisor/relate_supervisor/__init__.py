"""Keeps background tasks and threads running: see `Supervisor`."""

from relate_supervisor.supervisor import Backoff, Supervisor, TaskName

__all__ = ["Backoff", "Supervisor", "TaskName"]
