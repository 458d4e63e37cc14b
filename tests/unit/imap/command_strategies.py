"""Hypothesis strategy for commands of every kind: as octets in any valid form, and as parsed values."""

import string
from random import Random

from hypothesis import strategies as st

from relate_imap.commands import (
    Append,
    AppendMessage,
    Attribute,
    BinarySize,
    Body,
    Command,
    Copy,
    Create,
    Fetch,
    FlagList,
    Id,
    Item,
    List,
    Login,
    MailboxCommand,
    QresyncParameter,
    Rename,
    Replace,
    Search,
    Section,
    SectionText,
    Select,
    Sort,
    Status,
    Store,
    StoreMode,
    Thread,
)
from relate_imap.grammar.fetch import ITEMS
from relate_imap.grammar.list_status import STATUS_ITEMS
from relate_imap.grammar.sort import ALGORITHMS, CRITERIA
from relate_imap.search.keys import And, SearchKey
from relate_wire.secret import Secret
from tests.unit.imap.command_writer import Writer
from tests.unit.imap.search_key_strategies import (
    DAYS,
    fields,
    flag_lists,
    keywords,
    mailboxes,
    modseqs,
    number,
    number64,
    partials,
    parts,
    plain_sets,
    search_keys,
    sets,
    tags,
    text,
)


@st.composite
def commands(draw: st.DrawFn) -> tuple[bytes, Command, bool]:
    """Octets, the command, and whether UTF8=ACCEPT is enabled."""
    utf8 = draw(st.booleans())
    writer = Writer(Random(draw(st.integers())), utf8=utf8)
    tag = draw(tags)
    octets, command = draw(st.sampled_from(KINDS))(draw, writer, tag)
    return b"%b %b\r\n" % (tag.encode(), octets), command, utf8


def login(draw: st.DrawFn, writer: Writer, tag: str) -> tuple[bytes, Command]:
    name, secret = (draw(st.text(string.printable.strip() + " äß", max_size=12)) for _ in range(2))
    octets = b"%b %b %b" % (writer.word("LOGIN"), writer.text(name), writer.text(secret))
    return octets, Login(tag, name, Secret(secret))


def identify(draw: st.DrawFn, writer: Writer, tag: str) -> tuple[bytes, Command]:
    pairs = draw(st.lists(st.tuples(text, text | st.none()), max_size=4))
    pieces = [
        writer.string(key.encode()) + b" " + (writer.word("NIL") if value is None else writer.string(value.encode()))
        for key, value in pairs
    ]
    return writer.word("ID") + b" " + writer.listed(bytes, pieces), Id(tag, tuple(pairs))


def mailbox_command(draw: st.DrawFn, writer: Writer, tag: str) -> tuple[bytes, Command]:
    verb, name = draw(st.sampled_from(["DELETE", "SUBSCRIBE", "UNSUBSCRIBE", "GETQUOTAROOT"])), draw(mailboxes)
    return writer.word(verb) + b" " + writer.mailbox(name), MailboxCommand(tag, verb, name)


def rename(draw: st.DrawFn, writer: Writer, tag: str) -> tuple[bytes, Command]:
    name, new = draw(mailboxes), draw(mailboxes)
    return b"%b %b %b" % (writer.word("RENAME"), writer.mailbox(name), writer.mailbox(new)), Rename(tag, name, new)


def create(draw: st.DrawFn, writer: Writer, tag: str) -> tuple[bytes, Command]:
    name, uses = draw(mailboxes), tuple(draw(st.lists(keywords.map("\\".__add__), max_size=2)))
    octets = writer.word("CREATE") + b" " + writer.mailbox(name)
    if uses:
        octets += b" (%b %b)" % (writer.word("USE"), writer.listed(str.encode, uses))
    return octets, Create(tag, name, uses)


resyncs = st.none() | st.builds(
    QresyncParameter,
    number,
    st.integers(1, 2**63 - 1),
    st.none() | plain_sets,
    st.none() | st.tuples(plain_sets, plain_sets),
)


def select(draw: st.DrawFn, writer: Writer, tag: str) -> tuple[bytes, Command]:
    verb, name, condstore = draw(st.sampled_from(["SELECT", "EXAMINE"])), draw(mailboxes), draw(st.booleans())
    resync = draw(
        st.none()
        | st.builds(
            QresyncParameter,
            number,
            st.integers(1, 2**63 - 1),
            st.none() | plain_sets,
            st.none() | st.tuples(plain_sets, plain_sets),
        )
    )
    octets = writer.word(verb) + b" " + writer.mailbox(name)
    parameters = [writer.word("CONDSTORE")] if condstore else []
    if resync is not None:
        known = [writer.numbers(resync.known_uids)] if resync.known_uids else []
        sample = (
            [b"(%b)" % b" ".join(map(writer.numbers, resync.sequence_match_data))] if resync.sequence_match_data else []
        )
        values = [b"%d" % resync.uid_validity, b"%d" % resync.modseq, *known, *sample]
        parameters.append(writer.word("QRESYNC") + b" " + writer.listed(bytes, values))
    if parameters:
        octets += b" " + writer.listed(bytes, parameters)
    return octets, Select(tag, verb, name, condstore, resync)


def list_mailboxes(draw: st.DrawFn, writer: Writer, tag: str) -> tuple[bytes, Command]:
    reference, patterns = draw(text), tuple(draw(st.lists(text | st.just("*"), min_size=1, max_size=3)))
    selection = draw(st.frozensets(st.sampled_from(["SUBSCRIBED", "REMOTE", "RECURSIVEMATCH", "SPECIAL-USE"])))
    returning = draw(st.frozensets(st.sampled_from(["SUBSCRIBED", "CHILDREN", "SPECIAL-USE"])))
    items = draw(status_items | st.just(()))
    octets = writer.word("LIST")
    if selection:
        octets += b" " + writer.listed(writer.word, selection)
    octets += b" " + writer.mailbox(reference) + b" "
    octets += writer.mailbox(patterns[0]) if len(patterns) == 1 else writer.listed(writer.mailbox, patterns)
    options = [*map(writer.word, returning)]
    if items:
        options.append(writer.word("STATUS") + b" " + writer.listed(writer.word, items))
    if options:
        octets += b" " + writer.word("RETURN") + b" " + writer.listed(bytes, options)
    extended = bool(selection or options or len(patterns) > 1)
    return octets, List(tag, "LIST", reference, patterns, selection, returning, items, extended)


status_items = st.lists(st.sampled_from(sorted(STATUS_ITEMS)), min_size=1, unique=True).map(tuple)


def status(draw: st.DrawFn, writer: Writer, tag: str) -> tuple[bytes, Command]:
    name, items = draw(mailboxes), draw(status_items)
    octets = b"%b %b %b" % (writer.word("STATUS"), writer.mailbox(name), writer.listed(writer.word, items))
    return octets, Status(tag, name, items)


messages = st.builds(
    AppendMessage, st.binary(max_size=40), flag_lists, st.none() | st.integers(0, DAYS * 86_400 - 10**6), st.booleans()
)


def message(writer: Writer, one: AppendMessage) -> bytes:
    pieces = [] if one.flags == FlagList() else [writer.flags(one.flags)]
    if one.internal_date is not None:
        pieces.append(writer.date_time(one.internal_date))
    if one.utf8:
        return b" ".join([*pieces, writer.word("UTF8") + b" (%b)" % writer.literal(one.octets, "~")])
    return b" ".join([*pieces, writer.literal(one.octets, writer.random.choice(("", "~")))])


def append(draw: st.DrawFn, writer: Writer, tag: str) -> tuple[bytes, Command]:
    name, some = draw(mailboxes), draw(st.lists(messages, min_size=1, max_size=3))
    octets = b" ".join([writer.word("APPEND"), writer.mailbox(name), *(message(writer, one) for one in some)])
    return octets, Append(tag, name, tuple(some))


def replace(draw: st.DrawFn, writer: Writer, tag: str) -> tuple[bytes, Command]:
    verb, target, name, one = draw(uid("REPLACE")), draw(st.just(0) | number), draw(mailboxes), draw(messages)
    written = b"%d" % target if target else b"*"
    octets = b" ".join([writer.word(verb), written, writer.mailbox(name), message(writer, one)])
    return octets, Replace(tag, verb, target, name, one)


def uid(verb: str) -> st.SearchStrategy[str]:
    return st.sampled_from([verb, f"UID {verb}"])


def store(draw: st.DrawFn, writer: Writer, tag: str) -> tuple[bytes, Command]:
    verb, numbers, mode, flags = draw(uid("STORE")), draw(sets), draw(st.sampled_from(StoreMode)), draw(flag_lists)
    silent, since = draw(st.booleans()), draw(st.none() | modseqs)
    modifier = [] if since is None else [b"(%b %d)" % (writer.word("UNCHANGEDSINCE"), since)]
    name = writer.word(mode.value + (".SILENT" if silent else ""))
    octets = b" ".join([writer.word(verb), writer.numbers(numbers), *modifier, name, writer.flags(flags)])
    return octets, Store(tag, verb, numbers, mode, flags, silent, since)


def copy(draw: st.DrawFn, writer: Writer, tag: str) -> tuple[bytes, Command]:
    verb, numbers, name = draw(uid("COPY") | uid("MOVE")), draw(sets), draw(mailboxes)
    octets = b"%b %b %b" % (writer.word(verb), writer.numbers(numbers), writer.mailbox(name))
    return octets, Copy(tag, verb, numbers, name)


@st.composite
def attributes(draw: st.DrawFn, writer: Writer) -> tuple[bytes, Attribute]:
    """Octets and the parsed attribute, with the label that the response must have."""
    kind = draw(st.sampled_from(["item", "body", "binary", "size"]))
    if kind == "item":
        name = draw(st.sampled_from(sorted(ITEMS)))
        return writer.word(name), Item(name)
    peek, partial = draw(st.booleans()), draw(st.none() | st.tuples(number64, st.integers(1, 2**63 - 1)))
    part, names = draw(parts), draw(fields)
    tail = b"<%d.%d>" % partial if partial else b""
    if kind == "size":
        return writer.word("BINARY.SIZE") + b"[%b]" % part.encode(), BinarySize(
            Section(part), f"BINARY.SIZE[{part}]".encode()
        )
    written = writer.word(kind + (".PEEK" if peek else ""))
    if kind == "binary":
        label = f"BINARY[{part}]".encode()
        return written + b"[%b]" % part.encode() + tail, Body(Section(part), label, peek, partial, binary=True)
    kinds = [one for one in SectionText if part or one is not SectionText.MIME]
    chosen = draw(st.sampled_from(kinds))
    with_fields = chosen in (SectionText.FIELDS, SectionText.FIELDS_NOT)
    section = Section(part, chosen, tuple(name.upper() for name in names) if with_fields else ())
    inner = ".".join(filter(None, [part, chosen.value])) + (f" ({' '.join(map(quoted, names))})" if with_fields else "")
    return written + writer.section(section, names) + tail, Body(section, f"BODY[{inner}]".encode(), peek, partial)


def quoted(name: str) -> str:
    if name and not set(name) & set(' "\\'):
        return name
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'


def fetch(draw: st.DrawFn, writer: Writer, tag: str) -> tuple[bytes, Command]:
    verb, numbers = draw(uid("FETCH")), draw(sets)
    wanted = draw(st.lists(attributes(writer), min_size=1, max_size=4, unique_by=lambda one: one[1]))
    since = draw(st.none() | modseqs)
    vanished = verb == "UID FETCH" and since is not None and draw(st.booleans())
    partial = draw(st.none() | partials) if verb == "UID FETCH" else None
    modifiers = [] if since is None else [writer.word("CHANGEDSINCE") + b" %d" % since]
    modifiers += [writer.word("VANISHED")] if vanished else []
    modifiers += [writer.word("PARTIAL") + b" %d:%d" % partial] if partial else []
    octets = b" ".join([writer.word(verb), writer.numbers(numbers), writer.listed(bytes, (it for it, _ in wanted))])
    if modifiers:
        octets += b" " + writer.listed(bytes, modifiers)
    found = tuple(attribute for _, attribute in wanted)
    return octets, Fetch(tag, verb, numbers, found, since, vanished, partial)


def program(writer: Writer, key: SearchKey) -> bytes:
    """Top-level keys need no parentheses."""
    return b" ".join(map(writer.key, key.keys)) if isinstance(key, And) else writer.key(key)


def search(draw: st.DrawFn, writer: Writer, tag: str) -> tuple[bytes, Command]:
    verb, key = draw(uid("SEARCH")), draw(search_keys)
    given_options = draw(st.none() | st.frozensets(st.sampled_from(["MIN", "MAX", "COUNT", "SAVE"]), min_size=1))
    partial = draw(st.none() | partials) if given_options is not None else None
    pieces = [writer.word(verb)]
    options = given_options
    if given_options is not None:
        words = [*map(writer.word, given_options)]
        if partial:
            words.append(writer.word("PARTIAL") + b" %d:%d" % partial)
            options = given_options | {"PARTIAL"}
        pieces += [writer.word("RETURN"), writer.listed(bytes, words)]
    if draw(st.booleans()):
        pieces += [writer.word("CHARSET"), writer.astring(writer.word("UTF-8"))]
    return b" ".join([*pieces, program(writer, key)]), Search(tag, verb, key, options, partial)


def sort(draw: st.DrawFn, writer: Writer, tag: str) -> tuple[bytes, Command]:
    verb, key = draw(uid("SORT")), draw(search_keys)
    criteria = draw(st.lists(st.tuples(st.sampled_from(sorted(CRITERIA)), st.booleans()), min_size=1, max_size=4))
    words = [writer.word(("REVERSE " if reverse else "") + word) for word, reverse in criteria]
    octets = b" ".join([writer.word(verb), writer.listed(bytes, words), b"US-ASCII", program(writer, key)])
    return octets, Sort(tag, verb, tuple(criteria), key)


def thread(draw: st.DrawFn, writer: Writer, tag: str) -> tuple[bytes, Command]:
    verb, algorithm, key = draw(uid("THREAD")), draw(st.sampled_from(sorted(ALGORITHMS))), draw(search_keys)
    octets = b" ".join([writer.word(verb), writer.word(algorithm), b"utf-8", program(writer, key)])
    return octets, Thread(tag, verb, algorithm, key)


KINDS = [
    *(login, identify, mailbox_command, rename, create, select, list_mailboxes, status),
    *(append, replace, store, copy, fetch, fetch, search, search, sort, thread),
]
