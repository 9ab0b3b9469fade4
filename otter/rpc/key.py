"""The cluster key: 32 random bytes in a file only its owner may read, made by ``otter manager init``."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from otter.errors import BadConfig

LENGTH = 32


def create(file: Path) -> bool:
    """Makes the key file (mode 0600); False when there is one already, which is never overwritten."""
    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return False
    with os.fdopen(descriptor, "w") as out:
        out.write(secrets.token_hex(LENGTH) + "\n")
    return True


def load(file: Path) -> bytes:
    """The key's bytes; raises :class:`BadConfig` that says where to get one."""
    try:
        key = bytes.fromhex(file.read_text("ascii").strip())
    except FileNotFoundError:
        raise BadConfig(
            "otter.cluster.keyFile",
            str(file),
            "no such file: run `otter manager init` on the manager, and copy its conf/cluster.key to every node",
        ) from None
    except (ValueError, OSError) as error:
        raise BadConfig("otter.cluster.keyFile", str(file), f"not a readable key: {type(error).__name__}") from None
    if len(key) != LENGTH:
        raise BadConfig("otter.cluster.keyFile", str(file), f"must hold {LENGTH} bytes in hex, has {len(key)}")
    return key


def derive(key: bytes, purpose: str) -> bytes:
    """A key of its own for each purpose (HKDF), so that one use can never be mistaken for another."""
    from cryptography.hazmat.primitives.hashes import SHA256  # noqa: PLC0415 - slow to import, and the CLI needs none
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF  # noqa: PLC0415

    return HKDF(SHA256(), LENGTH, salt=None, info=f"otter/{purpose}".encode()).derive(key)
