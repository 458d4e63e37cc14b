"""Mail: its lists, messages, threads and journeys, and what is done with messages."""

from fastapi import APIRouter

from relate_api.page.views.mail import actions, changes, journey, mail_list, message, message_files, thread

__all__ = ["router"]

router = APIRouter()
for view in (mail_list, message, message_files, thread, journey, actions, changes):
    router.include_router(view.router)
