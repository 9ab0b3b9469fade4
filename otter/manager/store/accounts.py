"""Who may use the console and the API: users, sessions, tokens. Blocking.

At rest are only argon2 hashes of passwords and SHA-256 digests of session ids and tokens (those are random, 256 bits).
"""

from __future__ import annotations

import hashlib
import secrets
import time
from dataclasses import dataclass

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import Engine, delete, insert, select, update

from otter.manager.refusal import Conflict, Refusal
from otter.manager.store import tables as t
from otter.manager.store.engine import transaction

#: Seconds after which a session ends: without use, and at all.
IDLE = 12 * 3600.0
LIFE = 7 * 24 * 3600.0
MIN_PASSWORD = 8

_hasher = PasswordHasher()
#: Checked when the user does not exist, so that an answer takes as long as for one who does.
_NOBODY = _hasher.hash(secrets.token_hex(16))


@dataclass(frozen=True)
class Caller:
    """Who calls. ``session`` is the digest of the session ("" = came with a token)."""

    user: str
    must_change: bool = False
    session: str = ""


class Accounts:
    """Any thread. Hashing a password takes about 0.2 s of CPU."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    # -- users --------------------------------------------------------------------------------------------------------

    def create(self, name: str, password: str, *, must_change: bool) -> None:
        """Raises :class:`Conflict` when there is one of that name."""
        _check_strength(password)
        hashed = _hasher.hash(password)
        with transaction(self._engine, writes=True) as connection:
            if connection.execute(select(t.user.c.id).where(t.user.c.name == name)).first():
                raise Conflict(f"there is a user {name!r} already")
            connection.execute(insert(t.user).values(name=name, password_hash=hashed, must_change=must_change))

    def exists(self, name: str) -> bool:
        with transaction(self._engine) as connection:
            return connection.execute(select(t.user.c.id).where(t.user.c.name == name)).first() is not None

    def is_right(self, name: str, password: str) -> bool:
        """Takes as long for a user who does not exist."""
        with transaction(self._engine) as connection:
            hashed = connection.execute(select(t.user.c.password_hash).where(t.user.c.name == name)).scalar()
        try:
            return _hasher.verify(hashed or _NOBODY, password) and hashed is not None
        except (VerificationError, InvalidHashError):
            return False

    def set_password(self, name: str, new: str) -> None:
        """Sets it and ends every session of the user."""
        _check_strength(new)
        hashed = _hasher.hash(new)
        with transaction(self._engine, writes=True) as connection:
            number = connection.execute(select(t.user.c.id).where(t.user.c.name == name)).scalar_one()
            values = {"password_hash": hashed, "must_change": False}
            connection.execute(update(t.user).where(t.user.c.id == number).values(values))
            connection.execute(delete(t.session).where(t.session.c.user_id == number))

    # -- sessions -----------------------------------------------------------------------------------------------------

    def open_session(self, name: str) -> str:
        """A new session id (the cookie's value); sessions that have ended are swept."""
        session_id, now = secrets.token_urlsafe(32), time.time()
        with transaction(self._engine, writes=True) as connection:
            connection.execute(
                delete(t.session).where((t.session.c.seen < now - IDLE) | (t.session.c.created < now - LIFE))
            )
            number = connection.execute(select(t.user.c.id).where(t.user.c.name == name)).scalar_one()
            values = {"digest": digest(session_id), "user_id": number, "created": now, "seen": now}
            connection.execute(insert(t.session).values(values))
        return session_id

    def session(self, session_id: str) -> Caller | None:
        """Who the session belongs to, or None when it has ended."""
        now, mine = time.time(), digest(session_id)
        alive = (t.session.c.digest == mine) & (t.session.c.seen >= now - IDLE) & (t.session.c.created >= now - LIFE)
        query = select(t.user.c.name, t.user.c.must_change, t.session.c.seen).join(t.session).where(alive)
        with transaction(self._engine) as connection:
            row = connection.execute(query).first()
        if row is None:
            return None
        if now - row.seen > 60:
            with transaction(self._engine, writes=True) as connection:
                connection.execute(update(t.session).where(t.session.c.digest == mine).values(seen=now))
        return Caller(row.name, row.must_change, mine)

    def close_session(self, session_digest: str) -> None:
        with transaction(self._engine, writes=True) as connection:
            connection.execute(delete(t.session).where(t.session.c.digest == session_digest))

    # -- tokens -------------------------------------------------------------------------------------------------------

    def create_token(self, user: str, name: str) -> str:
        """A new API token; shown this once. An older token of that name ends."""
        token = secrets.token_urlsafe(32)
        with transaction(self._engine, writes=True) as connection:
            number = connection.execute(select(t.user.c.id).where(t.user.c.name == user)).scalar_one()
            connection.execute(delete(t.token).where((t.token.c.user_id == number) & (t.token.c.name == name)))
            values = {"digest": digest(token), "user_id": number, "name": name, "created": time.time()}
            connection.execute(insert(t.token).values(values))
        return token

    def token(self, token: str) -> Caller | None:
        query = select(t.user.c.name).join(t.token).where(t.token.c.digest == digest(token))
        with transaction(self._engine) as connection:
            name = connection.execute(query).scalar()
        return None if name is None else Caller(name)


def digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _check_strength(password: str) -> None:
    if len(password) < MIN_PASSWORD:
        raise Refusal(f"a password needs at least {MIN_PASSWORD} characters", "a short sentence does well", "new")
    if len(password) > 1024:
        raise Refusal("a password has at most 1024 characters", field="new")
