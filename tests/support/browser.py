"""A browser for tests: Chromium, driven by Debian's chromedriver, with axe-core from npm for accessibility."""

from __future__ import annotations

import base64
import contextlib
import pathlib
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.client import eventually
from tests.support.services import npm_modules, require

AXE_VERSION = "4.10.3"


class Browser:
    """A browser window.

    Args:
        driver: What drives it.
    """

    def __init__(self, driver: Any) -> None:
        self._driver = driver

    def show(self, width: int, *, dark: bool = False, printed: bool = False) -> None:
        """Set the width in pixels, the colour scheme, and whether what is shown is for paper."""
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        self._driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self._driver.execute_cdp_cmd("Emulation.setScrollbarsHidden", {"hidden": True})
        media = {"media": "print" if printed else "screen", "features": scheme}
        self._driver.execute_cdp_cmd("Emulation.setEmulatedMedia", media)

    def open(self, url: str) -> None:
        """Load a page."""
        self._driver.get(url)

    def run(self, script: str, *arguments: object) -> Any:
        """Return what a script of the page returns."""
        return self._driver.execute_script(script, *arguments)

    def press_tab(self) -> str:
        """Press the tabulator key, and return where the link leads that has the focus then."""
        for kind in ("keyDown", "keyUp"):
            key = {"type": kind, "key": "Tab", "code": "Tab", "windowsVirtualKeyCode": 9}
            self._driver.execute_cdp_cmd("Input.dispatchKeyEvent", key)
        return str(self.run("return document.activeElement.getAttribute('href')"))

    def await_address(self, part: str) -> None:
        """Wait until the address of the page has this in it."""
        eventually(lambda: part in str(self._driver.current_url), what=f"the page {part!r}")

    def await_change(self, origin: float) -> None:
        """Wait until the page was loaded again, after the one with this time of origin."""
        eventually(lambda: self.run("return performance.timeOrigin") != origin, what="another load of the page")

    def log(self) -> list[str]:
        """Return what the browser's console has said since the last look: violations of a policy, errors."""
        return [str(entry["message"]) for entry in self._driver.get_log("browser")]

    def overflow(self) -> int:
        """Return by how many pixels the page is wider than the window."""
        return int(self.run("return document.documentElement.scrollWidth - document.documentElement.clientWidth"))

    def findings(self) -> list[str]:
        """Return what axe-core finds wrong with the page."""
        modules = npm_modules("axe-core", AXE_VERSION)
        assert modules is not None
        self._driver.execute_script((modules / "axe-core" / "axe.min.js").read_text())
        found: dict[str, Any] = self._driver.execute_async_script(
            "const done = arguments[arguments.length - 1];"
            "const fail = error => done({violations: [{id: String(error), nodes: []}]});"
            "axe.run({resultTypes: ['violations']}).then(done, fail)"
        )
        return [
            f"{each['id']}: {node['html']} {node.get('failureSummary', '')}"
            for each in found["violations"]
            for node in each["nodes"] or [{"html": ""}]
        ]

    def screenshot(self, path: pathlib.Path, *, height: int = 100_000) -> None:
        """Write a picture of the page, a WebP, which is small, or a PNG.

        Args:
            path: The file.
            height: How much of the page is shown, in pixels.
        """
        metrics = self._driver.execute_cdp_cmd("Page.getLayoutMetrics", {})["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": metrics["width"], "height": min(height, metrics["height"]), "scale": 1}
        options = {"captureBeyondViewport": True, "clip": clip, "format": path.suffix.lstrip("."), "quality": 35}
        picture = self._driver.execute_cdp_cmd("Page.captureScreenshot", options)["data"]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(base64.b64decode(picture))

    def sheets(self) -> int:
        """Return on how many sheets of A4 the page is printed."""
        options = {"printBackground": True, "paperWidth": 8.27, "paperHeight": 11.69}
        printed = base64.b64decode(self._driver.execute_cdp_cmd("Page.printToPDF", options)["data"])
        return printed.count(b"/Type /Page\n") or printed.count(b"/Type /Page")


@contextlib.contextmanager
def browsing(folder: pathlib.Path) -> Iterator[Browser]:
    """Yield a browser; the test is skipped where there is none.

    Args:
        folder: Where it keeps its profile.
    """
    chromium = require("chromium", package="chromium")
    chromedriver = require("chromedriver", package="chromium-driver")
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed: pip install selenium")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder / 'profile'}"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(chromedriver))
    try:
        driver.set_script_timeout(60)
        yield Browser(driver)
    finally:
        driver.quit()


def require_axe() -> None:
    """Skip the test where axe-core is not there and npm cannot fetch it."""
    if npm_modules("axe-core", AXE_VERSION) is None:
        pytest.skip(f"axe-core {AXE_VERSION} cannot be fetched by npm, which comes with Node.js")
