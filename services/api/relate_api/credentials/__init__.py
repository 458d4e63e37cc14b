"""The resource `/api/smtp-credentials`: what a person types into a mail program, and the keys for it."""

from relate_api.credentials.endpoints import router

__all__ = ["router"]
