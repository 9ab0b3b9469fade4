"""Who may call: sessions, CSRF, first password, tokens, login rate."""

from __future__ import annotations

import msgspec
import pytest
from aiohttp.test_utils import TestClient

from otter.manager.api.guard import TRIES_OF_USER
from otter.manager.desk import Desk
from otter.manager.store import accounts
from tests.manager.conftest import PASSWORD, Browser
from tests.manager.objects import ZK


@pytest.fixture
async def browser(desk: Desk, client: TestClient) -> Browser:
    """Logged in by password."""
    desk.accounts.create("admin", PASSWORD, must_change=False)
    browser = Browser(client, {})
    view = await browser.post("/login", {"username": "admin", "password": PASSWORD})
    browser.headers["X-Otter-Csrf"] = view.csrf
    return browser


async def test_a_session_from_login_to_logout(browser: Browser) -> None:
    view = await browser.get("/session")
    assert (view.user, view.must_change_password) == ("admin", False)
    assert view.csrf == browser.headers["X-Otter-Csrf"]
    await browser.post("/zookeepers", ZK, 201)
    await browser.call("POST", "/logout", status=204)
    assert (await browser.get("/session", 401)).hint


async def test_the_cookie_is_kept_from_scripts_and_other_sites(desk: Desk, client: TestClient) -> None:
    desk.accounts.create("admin", PASSWORD, must_change=False)
    login = {"username": "admin", "password": PASSWORD}
    for headers, secure in (({}, ""), ({"X-Forwarded-Proto": "https"}, True)):
        async with client.post("/api/v1/login", json=login, headers=headers) as response:
            cookie = response.cookies["otter_session"]
            assert cookie["httponly"]
            assert cookie["samesite"] == "Strict"
            assert cookie["secure"] == secure
            assert response.headers["Cache-Control"] == "no-store"


async def test_a_write_needs_the_csrf_header(browser: Browser) -> None:
    for value in ("", "wrong", "ü"):
        browser.headers["X-Otter-Csrf"] = value
        assert "X-Otter-Csrf" in (await browser.post("/zookeepers", ZK, 403)).detail
    assert await browser.get("/zookeepers") == ()


async def test_a_form_of_another_site_is_refused(client: TestClient, api: Browser) -> None:
    async with client.post("/api/v1/login", data={"username": "admin", "password": PASSWORD}) as response:
        assert response.status == 400
        assert "JSON" in await response.text()


async def test_the_first_password_must_be_changed(desk: Desk, client: TestClient) -> None:
    desk.accounts.create("admin", PASSWORD, must_change=True)
    browser = Browser(client, {})
    view = await browser.post("/login", {"username": "admin", "password": PASSWORD})
    browser.headers["X-Otter-Csrf"] = view.csrf
    assert view.must_change_password
    for path in ("/status", "/nodes", "/export", "/events"):
        assert "password" in (await browser.get(path, 403)).detail
    await browser.post("/password", {"old": "wrong", "new": "another one"}, 400)
    assert (await browser.post("/password", {"old": PASSWORD, "new": "short"}, 400)).field == "new"
    assert (await browser.post("/password", {"old": PASSWORD, "new": PASSWORD}, 400)).field == "new"
    view = await browser.post("/password", {"old": PASSWORD, "new": "another one"})
    assert not view.must_change_password
    await browser.get("/status")
    browser.headers["X-Otter-Csrf"] = view.csrf
    await browser.post("/zookeepers", ZK, 201)


async def test_a_new_password_ends_other_sessions(desk: Desk, browser: Browser) -> None:
    other = desk.accounts.open_session("admin")
    await browser.post("/password", {"old": PASSWORD, "new": "another one"})
    assert desk.accounts.session(other) is None


async def test_wrong_logins_are_counted(desk: Desk, client: TestClient, api: Browser) -> None:
    login = msgspec.json.encode({"username": "admin", "password": "wrong"})
    nobody = Browser(client, {})
    for _ in range(TRIES_OF_USER):
        problem = await nobody.post("/login", login, 401)
        assert problem.detail == "user or password is wrong"
    assert "try again in" in (await nobody.post("/login", {"username": "admin", "password": PASSWORD}, 429)).hint
    await nobody.post("/login", {"username": "eve", "password": "x"}, 401)  # the same words for a user who is not there
    await api.get("/session")


async def test_a_token_needs_no_csrf_header(client: TestClient, api: Browser) -> None:
    assert (await api.get("/session")).csrf == ""
    await api.post("/zookeepers", ZK, 201)
    await Browser(client, {"Authorization": "Bearer wrong"}).get("/zookeepers", 401)


async def test_nothing_secret_is_at_rest_in_clear(desk: Desk, api: Browser) -> None:
    session_id = desk.accounts.open_session("admin")
    token = api.headers["Authorization"].removeprefix("Bearer ")
    folder = desk.store.engine.url.database
    assert folder
    with open(folder, "rb") as main, open(f"{folder}-wal", "rb") as wal:  # noqa: PTH123, ASYNC230
        stored = main.read() + wal.read()
    assert accounts.digest(session_id).encode() in stored
    for secret in (session_id, token, PASSWORD):
        assert secret.encode() not in stored


async def test_sessions_end_by_themselves(desk: Desk, api: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    session_id = desk.accounts.open_session("admin")
    now = accounts.time.time()
    monkeypatch.setattr(accounts.time, "time", lambda: now + accounts.IDLE - 1)
    assert desk.accounts.session(session_id)
    monkeypatch.setattr(accounts.time, "time", lambda: now + 2 * accounts.IDLE)
    assert desk.accounts.session(session_id) is None
