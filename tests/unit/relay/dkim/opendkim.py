"""Verifies signatures by OpenDKIM's library, which reads public keys from a file.

Its command opendkim-testmsg can only ask the DNS for them, at port 53.
"""

import ctypes
import ctypes.util
from pathlib import Path

from relate_relay.dkim.keys import SigningKey, public_record

LIBRARY = ctypes.util.find_library("opendkim")

_SET_OPTION, _QUERY_METHOD, _QUERY_INFO, _QUERY_FILE = 1, 6, 7, 1  # dkim.h


def result_of(message: bytes, key: SigningKey, folder: Path) -> str:
    """What the library says of the message; `folder` is for the file with the public key."""
    library = ctypes.CDLL(LIBRARY)
    library.dkim_init.restype = library.dkim_verify.restype = ctypes.c_void_p
    library.dkim_getresultstr.restype = ctypes.c_char_p
    records = folder / "records"
    records.write_text(f"{key.record_name} {public_record(key)}\n")
    path = str(records).encode()
    method, status = ctypes.c_int(_QUERY_FILE), ctypes.c_int()
    handle = ctypes.c_void_p(library.dkim_init(None, None))
    size = ctypes.c_size_t
    assert library.dkim_options(handle, _SET_OPTION, _QUERY_METHOD, ctypes.byref(method), size(4)) == 0
    assert library.dkim_options(handle, _SET_OPTION, _QUERY_INFO, path, size(len(path))) == 0
    verifier = ctypes.c_void_p(library.dkim_verify(handle, b"test", None, ctypes.byref(status)))
    try:
        assert status.value == 0
        result = library.dkim_chunk(verifier, message, size(len(message)))
        result = result or library.dkim_chunk(verifier, b"", size(0))
        result = result or library.dkim_eom(verifier, None)
        return str(library.dkim_getresultstr(result).decode())
    finally:
        library.dkim_free(verifier)
        library.dkim_close(handle)
