"""`Debug__SlowCallbackMilliseconds` logs the callbacks that block the event loop of a service."""

import email.message
from email.policy import SMTP
from pathlib import Path

import pytest

from tests.integration.trouble.clients import STRANGER
from tests.support.product import ADDRESS, Product
from tests.support.responsive import BLOCKED_SECONDS, PRODUCT_PATH, check_responsive, slow_callbacks

PARTS = 1_000  # parsing them takes some milliseconds in the event loop
TRIES = 100


def test_a_service_logs_callbacks_that_block_its_event_loop(tmp_path: Path) -> None:
    message = email.message.EmailMessage()
    message["Subject"] = "parts"
    message.set_content("first")
    for _ in range(PARTS):
        message.add_attachment("another", subtype="plain")
    with Product(tmp_path, OTEL_SDK_DISABLED="true", Debug__SlowCallbackMilliseconds="1") as product:
        product.add_user()
        product.start()
        with product.mx() as client:
            for _ in range(TRIES):
                client.sendmail(STRANGER, [ADDRESS], message.as_bytes(policy=SMTP))
                if any(PRODUCT_PATH in slow.stack for slow in slow_callbacks(product.stderr.text)):
                    break
    found = [slow for slow in slow_callbacks(product.stderr.text) if PRODUCT_PATH in slow.stack]
    assert found
    assert all(slow.seconds >= 0.001 for slow in found)


def test_a_test_fails_with_the_name_of_the_blocking_task() -> None:
    line = '{"event": "slow callback", "milliseconds": %d, "slow_task": "the culprit (f)", "stack": "File x"}'
    limit = round(BLOCKED_SECONDS * 1000)
    short, long = (slow_callbacks("started\n" + line % milliseconds) for milliseconds in (limit - 1, limit))
    check_responsive(short)
    with pytest.raises(AssertionError, match="the culprit"):
        check_responsive(long)
