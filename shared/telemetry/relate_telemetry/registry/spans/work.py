"""Spans of background work, and of work at the start."""

from collections.abc import Mapping

from relate_telemetry.registry.declarations import FAILURE, SpanType

BACKGROUND_WORK: Mapping[str, str] = {
    "mailstore.schema.migrate": "Checks the schema of the database at the start, and migrates it.",
    "mailstore.side_connection.connect": "Opens the connection for LISTEN and advisory locks (PostgreSQL).",
    "mailstore.notices.look_up": "Looks at mailboxes whose notices were incomplete or missed (PostgreSQL).",
    "mailstore.upkeep.texts": "Makes the search texts of new messages.",
    "mailstore.upkeep.tombstones": "Removes old tombstones.",
    "mailstore.upkeep.events": "Makes the event log's partitions (PostgreSQL), and removes old events.",
    "mailstore.upkeep.outcomes": "Removes old outcomes of outgoing mail.",
    "mailstore.upkeep.webhooks": "Removes old deliveries to webhooks.",
    "mailstore.upkeep.suppressions": "Removes entries of the suppression list that have expired.",
    "mailstore.upkeep.requests": "Removes requests with an Idempotency-Key that are older than a day.",
    "mailstore.events.refused": "Stores refusals in the event log.",
    "accounts.last_used": "Writes the times at which keys were last used.",
    "service.housekeeping.elect": "Chooses the process that collects garbage.",
    "service.housekeeping.collect": "Deletes messages that no mailbox holds.",
    "api.push.key": "Reads, or makes, the key by which push services know this server, at the start of the API.",
    "api.sign_in.secret": "Reads, or makes, the secret that signs cookies of the sign-in by an issuer, at the start.",
    "relate.dev.prepare": "Checks the users at the start of the developers' mode.",
    "relate.dev.create_key": "Creates the administrator's key at the start of the developers' mode.",
    "relate.dev.revoke_key": "Revokes the administrator's key at the end of the developers' mode.",
    "relate.first_run": "Looks whether there are users, at the start of the embedded edition.",
}


def _work(name: str, brief: str) -> SpanType:
    return SpanType(name, name, "internal", brief, "None.", FAILURE)


WORK = tuple(_work(*work) for work in BACKGROUND_WORK.items())
