from pathlib import PurePath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relate.transfer.errors import TransferError
from relate.transfer.mailbox_paths import join_mailbox, mailbox_name, mailbox_path, subfolder_mailbox

_LEVEL = st.one_of(
    st.sampled_from(["..", ".", "cur", "NEW", "a.mbox", "b.EML", "messages.jsonl", "%2E", "dovecot-keywords", "%"]),
    st.text(st.characters(exclude_characters="/", codec="utf-8"), min_size=1, max_size=20),
)


@given(st.lists(_LEVEL, min_size=1, max_size=4).map("/".join))
def test_a_round_trip_keeps_the_name_inside_the_folder(name: str) -> None:
    path = mailbox_path(name)
    assert mailbox_name(path) == name
    assert ".." not in path.parts
    assert not path.is_absolute()


def test_paths_of_other_programs_are_not_unescaped() -> None:
    assert mailbox_name(PurePath("50%20off/100%/a.b")) == "50%20off/100%/a.b"


def test_a_suffix_is_not_part_of_the_name() -> None:
    assert mailbox_name(PurePath("Work.sbd/2020.mbox")) == "Work/2020"


def test_a_maildir_subfolder_is_decoded() -> None:
    assert subfolder_mailbox(".B&APw-cher.2020") == "Bücher/2020"


def test_a_tree_is_placed_below_the_requested_mailbox() -> None:
    assert [join_mailbox("INBOX", ""), join_mailbox("INBOX", "Sent")] == ["INBOX", "Sent"]
    assert [join_mailbox("Old", ""), join_mailbox("Old", "Sent")] == ["Old", "Old/Sent"]


def test_a_level_too_long_for_a_file_system_is_refused() -> None:
    with pytest.raises(TransferError, match="too long"):
        mailbox_path("x" * 300)
