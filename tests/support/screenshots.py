"""Take the pictures of the status page that the documentation has: ``python -m tests.support.screenshots``."""

from __future__ import annotations

import pathlib
import sys
import tempfile

from tests.support.browser import Browser, browsing
from tests.support.servers import ROOT, await_output, running

FOLDER = ROOT / "docs" / "images"

HEIGHT = 1300
"""How much of a page a picture shows, in pixels."""

PICTURES = {
    "status-page": (9, "", 1280, False),
    "status-page-dark": (9, "", 1280, True),
    "status-page-tablet": (9, "", 768, False),
    "status-page-tablet-dark": (9, "", 768, True),
    "status-page-phone": (9, "", 390, False),
    "status-page-phone-dark": (9, "", 390, True),
    "status-page-check": (9, "?check=replica", 1280, False),
    "status-page-check-phone": (9, "?check=replica", 390, True),
    "status-page-printed": (9, "", None, False),
    "status-page-3-checks": (3, "", 1280, False),
    "status-page-120-checks": (120, "", 1280, False),
}
"""How many checks the site has, what is asked for, how wide the window is (None: printed), and whether it is dark."""


def main() -> None:
    """Take them."""
    with tempfile.TemporaryDirectory() as folder, browsing(pathlib.Path(folder)) as browser:
        for checks in sorted({picture[0] for picture in PICTURES.values()}):
            command = [sys.executable, "-m", "tests.support.site.past", "--checks", str(checks)]
            with running(command, pathlib.Path(folder) / str(checks)) as server:
                address = await_output(server, r"(http://127\.0\.0\.1:\d+/health/)", seconds=120)[1]
                for other in ("ready", "fine", "states"):  # the page says what they answer
                    browser.open(address.replace("/health/", f"/{other}/"))
                for name, (number, query, width, dark) in PICTURES.items():
                    if number == checks:
                        take(browser, f"{address}{query}", name, width, dark=dark)


def take(browser: Browser, url: str, name: str, width: int | None, *, dark: bool) -> None:
    """Take one."""
    browser.show(width or 760, dark=dark, printed=width is None)
    browser.open(url)
    browser.screenshot(FOLDER / f"{name}.webp", height=HEIGHT)


if __name__ == "__main__":
    main()
