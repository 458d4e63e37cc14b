from relate.transfer.flags import MailboxKeywords, flag_names, parse_flags
from relate_mailstore.types import Flag


def test_flags_are_what_their_names_say() -> None:
    names = ["\\Seen", "\\Answered", "\\Flagged", "\\Deleted", "\\Draft", "$Label1"]
    flags, keywords = parse_flags(names)
    assert (flags, keywords) == (Flag.SEEN | Flag.ANSWERED | Flag.FLAGGED | Flag.DELETED | Flag.DRAFT, ("$Label1",))
    assert list(flag_names(flags, keywords)) == names


def test_unknown_system_flags_are_left_out() -> None:
    assert parse_flags(["\\Recent", "\\*", "\\SEEN"]) == (Flag.SEEN, ())


def test_keywords_are_spelled_as_in_the_mailbox() -> None:
    keywords = MailboxKeywords(["later"])
    assert keywords.fit(["LATER", "Later", "$forwarded", "New"]) == ("later", "$Forwarded", "New")
    assert keywords.fit(["NEW"]) == ("New",)


def test_what_is_no_keyword_is_left_out() -> None:
    assert MailboxKeywords([]).fit(["a b", "", "ü", "a(b", "x" * 256, "ok"]) == ("ok",)


def test_a_message_and_a_mailbox_have_so_many_keywords() -> None:
    keywords = MailboxKeywords([])
    fitting = [keywords.fit(f"k{message}.{number}" for number in range(200)) for message in range(5)]
    assert [len(one) for one in fitting] == [128, 128, 128, 128, 0]
    assert len(keywords.fit(["k0.0", "new"])) == 1
