"""Character sets by collation id: their names on the server, their codecs in Python, and which contain ASCII."""

from __future__ import annotations

import functools

from pymysqlreplication.constants import CHARSET

from otter.errors import Fatal

BINARY = 63

#: Their bytes are valid in a session with ``SET NAMES utf8mb4`` as they are.
UTF8 = frozenset({"utf8mb4", "utf8mb3", "utf8", "ascii"})

#: Bytes 0-127 are not ASCII here, so a plain quoted string would mean other characters.
NOT_ASCII = frozenset({"ucs2", "utf16", "utf16le", "utf32", "swe7"})

#: Python's name for the server's character set; one that is missing is shown as hex.
CODECS = {
    "armscii8": "", "ascii": "ascii", "big5": "big5hkscs", "cp1250": "cp1250", "cp1251": "cp1251", "cp1256": "cp1256",
    "cp1257": "cp1257", "cp850": "cp850", "cp852": "cp852", "cp866": "cp866", "cp932": "cp932", "eucjpms": "euc_jp",
    "euckr": "cp949", "gb18030": "gb18030", "gb2312": "gb2312", "gbk": "gbk", "greek": "iso8859_7",
    "hebrew": "iso8859_8", "koi8r": "koi8_r", "koi8u": "koi8_u", "latin1": "cp1252", "latin2": "iso8859_2",
    "latin5": "iso8859_9", "latin7": "iso8859_13", "macroman": "mac_roman", "sjis": "shift_jis", "tis620": "tis_620",
    "ucs2": "utf_16_be", "ujis": "euc_jp", "utf16": "utf_16_be", "utf16le": "utf_16_le", "utf32": "utf_32_be",
    "utf8": "utf_8", "utf8mb3": "utf_8", "utf8mb4": "utf_8",
}  # fmt: skip


@functools.cache
def charset_of(collation: int, mariadb: bool) -> str:
    """The character set's name as the server spells it in an introducer; Fatal for a collation that nobody knows."""
    known = CHARSET.charset_by_id(collation, "mariadb" if mariadb else "mysql")
    if known is None:
        raise Fatal(f"collation id {collation} is unknown", "this server is newer than this Otter; update Otter")
    return str(known.name)
