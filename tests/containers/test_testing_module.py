"""The developers' mode in a container, started by the module for tests of other programs."""

from relate_mail.testing import RelateContainer
from tests.containers.project import Project
from tests.integration.developers.clients import imap_subjects, pop3_count, send

WAIT_SECONDS = 20


def test_a_test_of_another_program_gets_its_mail_from_a_container(stack: Project) -> None:
    """`stack` has built the image."""
    with RelateContainer() as server, server.namespace() as mail:
        alice = mail.mailbox("alice")
        send(server, alice.address, "Welcome", "Confirm: https://example.org/confirm?t=1")
        found = alice.wait("welcome", timeout=WAIT_SECONDS)
        assert found.links == ["https://example.org/confirm?t=1"]
        assert imap_subjects(server, alice) == [b"Subject: Welcome"]
        assert pop3_count(server, alice) == 1
