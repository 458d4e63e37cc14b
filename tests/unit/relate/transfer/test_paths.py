from pathlib import PurePath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relate.transfer.errors import TransferError
from relate.transfer.paths import below, name_of, name_of_subfolder, path_of

_LEVEL = st.one_of(
    st.sampled_from(["..", ".", "cur", "NEW", "a.mbox", "b.EML", "messages.jsonl", "%2E", "dovecot-keywords", "%"]),
    st.text(st.characters(exclude_characters="/", codec="utf-8"), min_size=1, max_size=20),
)


@given(st.lists(_LEVEL, min_size=1, max_size=4).map("/".join))
def test_a_name_comes_back_and_stays_within_its_folder(name: str) -> None:
    path = path_of(name)
    assert name_of(path) == name
    assert ".." not in path.parts
    assert not path.is_absolute()


def test_names_of_other_programs_stay_as_they_are() -> None:
    assert name_of(PurePath("50%20off/100%/a.b")) == "50%20off/100%/a.b"


def test_a_suffix_is_no_part_of_a_name() -> None:
    assert name_of(PurePath("Work.sbd/2020.mbox")) == "Work/2020"


def test_a_subfolder_of_maildir_is_decoded() -> None:
    assert name_of_subfolder(".B&APw-cher.2020") == "Bücher/2020"


def test_a_tree_goes_below_the_mailbox_that_is_asked_for() -> None:
    assert [below("INBOX", ""), below("INBOX", "Sent")] == ["INBOX", "Sent"]
    assert [below("Old", ""), below("Old", "Sent")] == ["Old", "Old/Sent"]


def test_a_level_that_no_file_system_takes_is_refused() -> None:
    with pytest.raises(TransferError, match="too long"):
        path_of("x" * 300)
