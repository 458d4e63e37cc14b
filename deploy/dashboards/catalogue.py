"""The list of all dashboards."""

from deploy.dashboards.api import api
from deploy.dashboards.authentication import authentication
from deploy.dashboards.boards import render
from deploy.dashboards.deliverability import deliverability
from deploy.dashboards.overview import overview
from deploy.dashboards.protocols import imap, pop3, smtp
from deploy.dashboards.storage import storage
from deploy.dashboards.telemetry import telemetry

ALL = (overview, smtp, pop3, imap, api, deliverability, authentication, storage, telemetry)


def dashboards() -> dict[str, str]:
    """The JSON of all dashboards, by name."""
    return {make.__name__: render(make()) for make in ALL}
