"""Logging in and out, and the password."""

from __future__ import annotations

import asyncio

import msgspec
from aiohttp import web

from otter.manager.api.guard import COOKIE, csrf_of
from otter.manager.api.route import Access, Call, Route
from otter.manager.refusal import NotLoggedIn, Refusal
from otter.manager.store.accounts import LIFE, Caller
from otter.model.config import Model


class Login(Model, frozen=True, kw_only=True):
    username: str
    password: str


class PasswordChange(Model, frozen=True, kw_only=True):
    old: str
    new: str


class SessionView(Model, frozen=True, kw_only=True):
    """``csrf`` goes into the X-Otter-Csrf header of every write ("" for a token, which needs none)."""

    user: str
    csrf: str
    must_change_password: bool


async def _session(call: Call) -> SessionView:
    session_id = call.request.cookies.get(COOKIE, "") if call.who.session else ""
    return _view(call.who, session_id)


async def _login(call: Call) -> web.Response:
    login: Login = call.body
    address = call.request.remote or ""
    call.guard.attempts.begin(address, login.username)
    if not await _is_right(call, login.username, login.password):
        raise NotLoggedIn("user or password is wrong", "five wrong tries close the door for five minutes")
    call.guard.attempts.succeeded(address, login.username)
    return await _opened(call, login.username)


async def _logout(call: Call) -> web.Response:
    if call.who.session:
        await asyncio.to_thread(call.desk.accounts.close_session, call.who.session)
    response = web.Response(status=204)
    response.del_cookie(COOKIE, path="/")
    return response


async def _password(call: Call) -> web.Response:
    """Every session of the user ends; the caller gets a new one."""
    change: PasswordChange = call.body
    address = call.request.remote or ""
    call.guard.attempts.begin(address, call.who.user)
    if not await _is_right(call, call.who.user, change.old):
        raise Refusal("the old password is wrong", field="old")
    call.guard.attempts.succeeded(address, call.who.user)
    if change.new == change.old:
        raise Refusal("the new password is the old one", "choose another", "new")
    async with call.guard.hashing:
        await asyncio.to_thread(call.desk.accounts.set_password, call.who.user, change.new)
    return await _opened(call, call.who.user)


async def _is_right(call: Call, user: str, password: str) -> bool:
    async with call.guard.hashing:
        return await asyncio.to_thread(call.desk.accounts.is_right, user, password)


async def _opened(call: Call, user: str) -> web.Response:
    session_id = await asyncio.to_thread(call.desk.accounts.open_session, user)
    who = await asyncio.to_thread(call.desk.accounts.session, session_id)
    view = _view(who or Caller(user), session_id)
    response = web.Response(body=msgspec.json.encode(view), content_type="application/json")
    response.set_cookie(
        COOKIE,
        session_id,
        path="/",
        httponly=True,
        samesite="Strict",
        secure=_is_https(call.request),
        max_age=int(LIFE),
    )
    return response


def _is_https(request: web.Request) -> bool:
    """Also when a proxy in front of us ends TLS; a forged header only hurts the one who sends it."""
    return request.secure or request.headers.get("X-Forwarded-Proto", "").lower() == "https"


def _view(who: Caller, session_id: str) -> SessionView:
    return SessionView(
        user=who.user, csrf=csrf_of(session_id) if session_id else "", must_change_password=who.must_change
    )


ROUTES = (
    Route("GET", "/session", "Who is logged in", _session, SessionView, access=Access.NEWCOMER),
    Route("POST", "/login", "Log in; sets the session cookie", _login, SessionView, Login, access=Access.OPEN,
          errors=(401, 429)),
    Route("POST", "/logout", "End the session", _logout, access=Access.NEWCOMER),
    Route("POST", "/password", "Change one's own password; ends all other sessions", _password, SessionView,
          PasswordChange, access=Access.NEWCOMER, errors=(429,)),
)  # fmt: skip
