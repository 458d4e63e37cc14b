"""What is searched of a message, apart from the store."""

import re

from hypothesis import given
from hypothesis import strategies as st

from relate_mailstore.folding import fold

SPACES = " \t\n\r\x0b\x0c\x1c\x1f\x85\xa0\u2003\u2028\u3000"


@given(st.text(st.sampled_from(SPACES + "aZß|İ") | st.characters()))
def test_any_run_of_white_space_is_one_space_and_case_does_not_count(text: str) -> None:
    assert fold(text) == re.sub(r"\s+", " ", text.casefold())
