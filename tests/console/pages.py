"""The console's pages as objects: what a user does, in no particular language. Also used by end-to-end tests."""

from __future__ import annotations

from urllib.parse import quote

from playwright.sync_api import ConsoleMessage, Locator, Page, expect

TIMEOUT = 30_000  # ms


class Watched:
    """Collects what a page must not do: script errors, CSP violations, words without a translation."""

    def __init__(self, page: Page) -> None:
        self.troubles: list[str] = []
        page.on("console", self._heard)
        page.on("pageerror", lambda error: self.troubles.append(str(error)))

    def _heard(self, message: ConsoleMessage) -> None:
        # that an answer was 401 or 409 is the browser's own remark; what the page makes of it is tested elsewhere
        if message.type in ("error", "warning") and not message.text.startswith("Failed to load resource"):
            self.troubles.append(message.text)


class Console:
    """A logged-in user's hands and eyes. ``base`` is the console's address with a slash at its end."""

    def __init__(self, page: Page, base: str) -> None:
        self.page = page
        self.base = base

    # -- moving --------------------------------------------------------------------------------------------------------

    def go(self, *parts: str, query: str = "") -> None:
        """Opens ``#/parts...`` and waits until that page is drawn."""
        at = f"#/{'/'.join(quote(part, safe='+') for part in parts)}{query}"
        self.page.goto(self.base + at)
        expect(self.page.locator("#main")).to_have_attribute("data-at", at, timeout=TIMEOUT)

    def title(self) -> Locator:
        return self.page.locator("#main h1")

    def fill(self, **values: str | int | bool | list[str]) -> None:
        """Fills fields by their name; ``__`` stands for a dot. A list ticks those choices and no others."""
        for name, value in values.items():
            self._fill(name.replace("__", "."), value)

    def _fill(self, name: str, value: str | int | bool | list[str]) -> None:
        field = self.page.locator(f'form.form [name="{name}"]')
        if isinstance(value, list):
            for choice in field.all():
                choice.set_checked((choice.get_attribute("value") or "") in value)
        elif isinstance(value, bool):
            field.set_checked(value)
        elif field.evaluate("(el) => el.tagName") == "SELECT":
            field.select_option(str(value))
        else:
            field.fill(str(value))

    def submit(self) -> None:
        self.page.locator("form.form button[type=submit]").click()

    def _save(self) -> None:
        before = self.page.url
        self.submit()
        self.page.wait_for_url(lambda url: url != before, timeout=TIMEOUT)
        expect(self.page.locator("form.form")).to_have_count(0, timeout=TIMEOUT)

    def error_at(self, name: str) -> Locator:
        """The problem shown beside the field."""
        return self.page.locator(f"#field-{name.replace('.', '-')}-error")

    def row(self, text: str) -> Locator:
        return self.page.locator("#main tbody tr", has_text=text)

    def confirm(self) -> None:
        """Says yes in the question that is open."""
        self.page.locator("dialog button[type=submit]").click()
        expect(self.page.locator("dialog")).to_have_count(0, timeout=TIMEOUT)

    def use_language(self, code: str) -> None:
        self.page.locator(".language select").select_option(code)
        expect(self.page.locator("html")).to_have_attribute("lang", "zh-CN" if code == "zh" else "en", timeout=TIMEOUT)

    # -- login ---------------------------------------------------------------------------------------------------------

    def log_in(self, user: str, password: str) -> None:
        self.page.goto(self.base)
        self.fill(username=user, password=password)
        self.submit()

    def set_first_password(self, old: str, new: str) -> None:
        self.page.locator("#field-again").wait_for(timeout=TIMEOUT)
        self.fill(old=old, new=new, again=new)
        self.submit()
        self.page.locator(".shell").wait_for(timeout=TIMEOUT)

    # -- objects -------------------------------------------------------------------------------------------------------

    def add_zookeeper(self, name: str, *servers: str) -> None:
        self.go("zookeepers", "+new")
        self.fill(name=name, servers="\n".join(servers))
        self._save()

    def add_node(self, name: str, ip: str, zookeeper: str, port: int = 2088, download_port: int = 9090) -> int:
        """Returns the number (序号) that the manager gave it."""
        self.go("nodes", "+new")
        self.fill(name=name, ip=ip, zookeeper=zookeeper, port=port, downloadPort=download_port)
        self._save()
        return int(self.page.locator(".nid-number").inner_text())

    def add_data_source(self, name: str, host: str, port: int, username: str, password: str) -> None:
        self.go("data-sources", "+new")
        self.fill(name=name, host=host, port=port, username=username, password=password)
        self._save()

    def test_connection(self) -> Locator:
        """Presses the button of an open data source form; returns the rows of checks."""
        self.page.locator("[data-do=test]").click()
        rows = self.page.locator("#main table tbody tr")
        rows.first.wait_for(timeout=TIMEOUT)
        return rows

    def add_channel(self, name: str) -> None:
        self.go("channels", "+new")
        self.fill(name=name)
        self._save()

    def add_pipeline(self, channel: str, name: str, way: tuple[str, str], select: list[str], load: list[str]) -> None:
        """``way``: source and target; ``select`` and ``load``: names of nodes."""
        self.go("channels", channel, "+new")
        self.fill(name=name, source=way[0], target=way[1], selectNodes=select, loadNodes=load)
        self._save()

    def add_pair(self, channel: str, pipeline: str, source: str, target: str = "") -> None:
        self.go("channels", channel, "pipelines", pipeline, "pairs", "+new")
        self.fill(source=source, target=target)
        self._save()

    def add_pairs(self, channel: str, pipeline: str, *lines: str) -> None:
        """Lines of ``schema,table``."""
        self.go("channels", channel, "pipelines", pipeline, "pairs", "+batch")
        self.fill(lines="\n".join(lines))
        self._save()

    # -- running -------------------------------------------------------------------------------------------------------

    def command(self, channel: str, command: str) -> None:
        """``start``, ``pause`` or ``stop`` on the channel's own page; waits until it has that status."""
        self.go("channels", channel)
        self.page.locator(f".title-row [data-do={command}]").click()
        if command != "start":
            self.confirm()
        off = self.page.locator(f".title-row [data-do={command}]")
        expect(off).to_be_disabled(timeout=TIMEOUT)

    def states(self) -> Locator:
        """The state badges of the pipelines on the page of a channel or pipeline."""
        return self.page.locator(".state-line .badge:first-child")

    def stage_number(self, stage: int) -> int:
        """The batch number in the stage table: 1 selected, 2 extracted, 3 shipped, 4 loaded, 5 acknowledged."""
        return int(
            self.page.locator("#main table")
            .first.locator("tbody tr")
            .nth(stage)
            .locator("td")
            .nth(1)
            .inner_text()
            .lstrip("#")
        )
