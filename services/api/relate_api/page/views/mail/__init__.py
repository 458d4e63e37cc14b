"""Mail: its lists, messages, threads and journeys, and what is done with messages."""

from relate_api.page.routes import join
from relate_api.page.views.mail import actions, changes, journey, mail_list, message, message_files, thread

__all__ = ["router"]

router = join(mail_list, message, message_files, thread, journey, actions, changes)
