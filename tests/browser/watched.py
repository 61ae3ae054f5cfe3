"""Pages that keep a record of everything that went wrong in them, seen or unseen."""

from pathlib import Path

from playwright.sync_api import ConsoleMessage, Dialog, Page, Request

from tests.browser.hostile import MARK

WATCH = Path(__file__).with_name("watch.js")


class Troubles:
    """What went wrong, less what the test said would."""

    def __init__(self, expected: tuple[str, ...]) -> None:
        self.expected = expected
        self.seen: list[str] = []

    def watch(self, page: Page) -> None:
        page.add_init_script(path=WATCH)
        page.on("popup", self.watch)
        page.on("console", self._note_console)
        page.on("pageerror", lambda error: self.seen.append(f"script failed: {error}"))
        page.on("request", self._note_hacked)
        page.on("requestfailed", self._note_failure)
        page.on("dialog", self._note_dialog)

    def _note_console(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self.seen.append(f"{message.text} ({message.location.get('url', '')})")

    def _note_hacked(self, request: Request) -> None:
        if MARK in request.url:
            self.seen.append(f"somebody else's text asked for {request.url}")

    def _note_failure(self, request: Request) -> None:
        # Leaving a page ends the requests it had under way.
        if request.failure != "net::ERR_ABORTED":
            self.seen.append(f"{request.failure} at {request.method} {request.url}")

    def _note_dialog(self, dialog: Dialog) -> None:
        self.seen.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    @property
    def unexpected(self) -> list[str]:
        return [text for text in self.seen if not any(part in text for part in self.expected)]

    @property
    def missing(self) -> list[str]:
        """A test that expects trouble which never comes tests less than it says."""
        return [part for part in self.expected if not any(part in text for text in self.seen)]
