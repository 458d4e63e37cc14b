"""Sequences of requests to the API of a running product: schemathesis follows the links between operations.

A response of an operation is a parameter of the next: what a list names is read, changed and deleted, in any order. No
sequence may be answered with 5xx, or with a response that the OpenAPI document does not describe.
"""

import smtplib
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.config import SchemathesisConfig

from tests.integration.product.accounts import Account, message
from tests.support.examples import examples
from tests.support.product import HOST, TIMEOUT_SECONDS, Product

Case = schemathesis.Case[Any]

DATABASES = ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)]
FEW_SEQUENCES, MANY_SEQUENCES = 5, 300
CONFIGURATION = {
    "request-timeout": TIMEOUT_SECONDS,
    "checks": {
        "positive_data_acceptance": {"enabled": False},  # the schema cannot express which cursors are valid
        "ignored_auth": {"enabled": False},  # the many wrong keys of one address are limited
    },
}
STEPS = 15  # of a sequence
MESSAGES = 5


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("sequences", [FEW_SEQUENCES, pytest.param(MANY_SEQUENCES, marks=pytest.mark.long)])
@pytest.mark.parametrize("product", DATABASES, indirect=True)
def test_no_sequence_of_requests_contradicts_the_openapi_document(
    product: Product, alice: Account, sequences: int
) -> None:
    with smtplib.SMTP(HOST, product.ports["Smtp__MxPort"], timeout=TIMEOUT_SECONDS) as client:
        for number in range(MESSAGES):
            client.send_message(message("zoe@elsewhere.test", alice.address, subject=f"Lunch {number}"))
    headers = {"Authorization": f"Bearer {alice.key}"}
    document = schemathesis.openapi.from_url(
        f"{product.api_url}/openapi.json", config=SchemathesisConfig.from_dict(CONFIGURATION)
    )
    # A stream has no end, and webhooks and push services would be at hosts that the test has made up.
    schema = document.exclude(path_regex="^/api/(events|webhooks|pushsubscriptions)")

    class Sequence(schema.as_state_machine()):  # type: ignore[misc]
        """Sequences of Alice's requests."""

        def get_call_kwargs(self, case: Case) -> dict[str, Any]:
            """With her key."""
            return {"headers": headers}

    Sequence.run(
        settings=settings(
            max_examples=examples(sequences),
            stateful_step_count=STEPS,
            derandomize=True,
            database=None,
            deadline=None,
            phases=[Phase.generate],  # a found sequence is short, and shrinking it takes minutes
            suppress_health_check=list(HealthCheck),
        )
    )
