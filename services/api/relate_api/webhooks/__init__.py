"""The resource `/api/webhooks`, and the task that posts events to them."""

from relate_api.webhooks.endpoints import router
from relate_api.webhooks.sender import WebhookSender

__all__ = ["WebhookSender", "router"]
