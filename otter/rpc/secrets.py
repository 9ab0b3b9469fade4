"""Passwords at rest: ``enc:`` + AES-GCM under the cluster key. Clear text lives only in the memory of who connects."""

from __future__ import annotations

import base64
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from otter.errors import BadConfig
from otter.rpc.key import derive

PREFIX = "enc:"


def seal(key: bytes, text: str) -> str:
    """``enc:...``; an empty text stays empty, a sealed one stays as it is."""
    if not text or text.startswith(PREFIX):
        return text
    nonce = os.urandom(12)
    sealed = AESGCM(derive(key, "secrets")).encrypt(nonce, text.encode(), None)
    return PREFIX + base64.urlsafe_b64encode(nonce + sealed).decode()


def unseal(key: bytes, text: str) -> str:
    """Clear text; text that is not sealed stays as it is. Raises :class:`BadConfig` under another cluster key."""
    if not text.startswith(PREFIX):
        return text
    try:
        raw = base64.urlsafe_b64decode(text[len(PREFIX) :])
        return AESGCM(derive(key, "secrets")).decrypt(raw[:12], raw[12:], None).decode()
    except (ValueError, InvalidTag):
        raise BadConfig("password", "enc:…", "was sealed under another cluster key: give the password again") from None
