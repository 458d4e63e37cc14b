from relate.transfer.flags import MailboxKeywords, flag_names, parse_flags
from relate_mailstore.types import Flag


def test_flags_are_converted_in_both_directions() -> None:
    names = ["\\Seen", "\\Answered", "\\Flagged", "\\Deleted", "\\Draft", "$Label1"]
    flags, keywords = parse_flags(names)
    assert (flags, keywords) == (Flag.SEEN | Flag.ANSWERED | Flag.FLAGGED | Flag.DELETED | Flag.DRAFT, ("$Label1",))
    assert list(flag_names(flags, keywords)) == names


def test_unknown_system_flags_are_dropped() -> None:
    assert parse_flags(["\\Recent", "\\*", "\\SEEN"]) == (Flag.SEEN, ())


def test_keywords_are_spelled_as_in_the_mailbox() -> None:
    keywords = MailboxKeywords(["later"])
    assert keywords.accept(["LATER", "Later", "$forwarded", "New"]) == ("later", "$Forwarded", "New")
    assert keywords.accept(["NEW"]) == ("New",)


def test_invalid_keywords_are_dropped() -> None:
    assert MailboxKeywords([]).accept(["a b", "", "ü", "a(b", "x" * 256, "ok"]) == ("ok",)


def test_keywords_per_message_and_mailbox_are_limited() -> None:
    keywords = MailboxKeywords([])
    accepted = [keywords.accept(f"k{message}.{number}" for number in range(200)) for message in range(5)]
    assert [len(each) for each in accepted] == [128, 128, 128, 128, 0]
    assert len(keywords.accept(["k0.0", "new"])) == 1
