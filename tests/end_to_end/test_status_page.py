"""The status page in a browser: how it looks, for whom, and under a strict policy."""

from __future__ import annotations

import pathlib
import subprocess
import sys
from collections.abc import Iterator

import django
import pytest

from tests.support.browser import Browser, browsing, require_axe
from tests.support.client import get
from tests.support.repetitions import LONG, long
from tests.support.servers import ROOT, await_output, running
from tests.support.site.past import STRICT

pytestmark = [pytest.mark.server, pytest.mark.timeout(900)]

SITES = {
    "demo": ["-m", "health_check.demo", "--port", "0"],
    "3": ["-m", "tests.support.site.past", "--checks", "3"],
    "9": ["-m", "tests.support.site.past", "--checks", "9"],
    "120": ["-m", "tests.support.site.past", "--checks", "120"],
}
"""The demo site; and sites with a made-up past and a strict Content-Security-Policy."""

SIZES = (
    [(width, dark) for width in (1280, 768, 390) for dark in (False, True)] if LONG else [(1280, True), (390, False)]
)
"""The widths and whether the colours are dark, in which axe-core looks at the pages."""

ALL_WIDTHS = range(320, 1601, 32)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A browser with axe-core."""
    require_axe()
    with browsing(tmp_path_factory.mktemp("browser")) as found:
        yield found


@pytest.fixture(
    scope="module",
    params=["9", long("demo"), long("3"), long("120")],
)
def address(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the health endpoint of a site."""
    folder = tmp_path_factory.mktemp("site")
    with running([sys.executable, *SITES[request.param]], folder) as server:
        yield await_output(server, r"(http://127\.0\.0\.1:\d+/health/)", seconds=120)[1]


def label_of(browser: Browser, address: str) -> str:
    """Return the query string of the page of the check that is shown first."""
    browser.open(address)
    return str(browser.run("return document.querySelector('.row .name a').getAttribute('href')"))


def complaints(browser: Browser) -> list[str]:
    """Return what the browser says of the page, but that its status is 500."""
    return [text for text in browser.log() if "status of 500" not in text]


def test_page__in_all_sizes(browser: Browser, address: str) -> None:
    """The pages have no findings of axe-core in light and dark, never scroll sideways, and violate no policy."""
    for query in ("", label_of(browser, address), *(["?range=30d&state=bad&q=re"] if LONG else [])):
        browser.open(f"{address}{query}")
        for width, dark in SIZES:
            browser.show(width, dark=dark)
            assert browser.findings() == [], (query, width, dark)
        wide = []
        for width in ALL_WIDTHS:
            browser.show(width)
            wide += [(width, browser.overflow())] if browser.overflow() > 0 else []
        assert wide == [], query
        assert complaints(browser) == []


def test_page__has_its_styles(browser: Browser, address: str) -> None:
    """Styles and the icon are loaded from the endpoint, whatever the policy; what is folded can be unfolded."""
    browser.show(1280)
    browser.open(address)
    assert browser.run("return getComputedStyle(document.querySelector('.hero')).display") == "grid"
    assert browser.run("return document.querySelectorAll('[style], style, script').length") == 0
    icon = browser.run("return document.querySelector('link[rel=icon]').href")
    assert browser.run("const done = new Image(); done.src = arguments[0]; return done.decode().then(() => true)", icon)
    assert complaints(browser) == []


def newest_python() -> str:
    """Return a Python with a Django that has a middleware for policies: this one, or what make test-newest has made."""
    if django.VERSION >= (6, 0):
        return sys.executable
    newest = ROOT / ".venv-newest" / "bin" / "python"
    imports = [str(newest), "-c", "import django.middleware.csp"]
    if not newest.exists() or subprocess.run(imports, capture_output=True, check=False).returncode:
        pytest.skip("Django 6 is not installed: make test-newest installs it")
    return str(newest)


@pytest.mark.parametrize("policy_by", ["django", "django-csp"])
def test_page__under_a_policy_of_a_middleware(browser: Browser, policy_by: str, tmp_path: pathlib.Path) -> None:
    """Under a strict policy by Django's own middleware, or django-csp, the page is as it is without."""
    python = newest_python() if policy_by == "django" else sys.executable
    command = [python, "-m", "tests.support.site.past", "--checks", "9", "--policy-by", policy_by]
    with running(command, tmp_path) as server:
        address = await_output(server, r"(http://127\.0\.0\.1:\d+/health/)", seconds=120)[1]
        assert sorted(get(address).headers["Content-Security-Policy"].split("; ")) == sorted(STRICT.split("; "))
        for query in ("", label_of(browser, address), "?range=30d&state=bad"):
            browser.open(f"{address}{query}")
            browser.show(1280)
            assert browser.run("return getComputedStyle(document.querySelector('.hero')).display") == "grid"
            assert browser.findings() == []
            icon = browser.run("return document.querySelector('link[rel=icon]').href")
            shown = "const done = new Image(); done.src = arguments[0]; return done.decode().then(() => true)"
            assert browser.run(shown, icon)
        assert complaints(browser) == []


def test_page__printed(browser: Browser, address: str) -> None:
    """On paper there are no controls, nothing is cut off at the right, and the rest is there."""
    browser.open(address)
    browser.show(760, printed=True)
    assert browser.run("return getComputedStyle(document.querySelector('.foot')).display") == "none"
    assert browser.overflow() <= 0
    assert browser.sheets() >= 1
    browser.show(1280)


def test_page__by_keyboard(browser: Browser, address: str) -> None:
    """The first Tab leads past what is on top, and filters are links and a form that need no script."""
    browser.show(1280)
    browser.open(address)
    assert browser.press_tab() == "#checks"
    browser.run(
        "document.querySelector('input[name=q]').value = 'no such check'; document.querySelector('form').submit()"
    )
    browser.await_address("q=no+such+check")
    assert "No check is like this." in str(browser.run("return document.body.textContent"))


def test_page__refreshes(browser: Browser, address: str) -> None:
    """A header has the browser load the page again, and the link pauses that."""
    browser.show(1280)
    browser.open(f"{address}?refresh=2")
    first = browser.run("return performance.timeOrigin")
    browser.await_change(first)
    browser.run("document.querySelector('.top .links a').click()")
    browser.await_address("/health/?")
    assert "refresh" not in str(browser.run("return location.search"))
