"""What ``make docs`` does beside MkDocs itself: links to the repository, and the page of the Python API."""

from __future__ import annotations

import pathlib
import re
from typing import Any

ROOT = pathlib.Path(__file__).parents[2]
SITE = "https://django-health-exporter.github.io/django-health-exporter"
REPOSITORY = "https://github.com/django-health-exporter/django-health-exporter/blob/main"
LINK = re.compile(r"\]\((?P<path>\.\.?/[^)#\s]+)(?P<anchor>#[^)\s]*)?\)")

PUBLIC = (
    ("Writing checks", ("health_check.backends.HealthCheck", "health_check.exceptions", "health_check.signals")),
    ("Views", ("health_check.views.health.HealthCheckView", "health_check.middleware.HealthCheckMiddleware")),
    ("Prometheus", ("health_check_prometheus.collector.HealthCheckCollector",)),
)
"""The names that have a place of their own in the page; each check has one, too."""


def on_files(files: Any, config: Any) -> Any:
    """Add the page of the Python API, which is written from the source."""
    from mkdocs.structure.files import File  # the test suite has no MkDocs

    files.append(File.generated(config, "reference/python.md", content=api_page()))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Have links to files outside of the documentation lead to the repository.

    Raises:
        FileNotFoundError: If there is no such file.
    """
    folder = (ROOT / "docs" / page.file.src_uri).parent

    def address(link: re.Match[str]) -> str:
        target = (folder / link["path"]).resolve()
        if target.is_relative_to(ROOT / "docs"):
            return link[0]
        if not target.exists():
            message = f"{page.file.src_uri} links to {link['path']}, which is not there."
            raise FileNotFoundError(message)
        return f"]({REPOSITORY}/{target.relative_to(ROOT)}{link['anchor'] or ''})"

    return LINK.sub(address, markdown)


def api_page() -> str:
    """Return the page of the Python API: a directive for each public name."""
    lines = ["# Python API", "", "From the docstrings. Names that are not here are not [API](api.md).", ""]
    for title, names in (*PUBLIC, ("Checks", tuple(checks()))):
        lines += [f"## {title}", "", *(f"::: {name}\n" for name in names)]
    return "\n".join(lines)


def checks() -> list[str]:
    """Return the dotted paths of the checks that come with the package."""
    files = [*(ROOT / "health_check/checks").glob("*.py"), *(ROOT / "health_check/contrib").glob("*.py")]
    found = []
    for file in sorted(files):
        module = ".".join(file.relative_to(ROOT).with_suffix("").parts)
        names = re.findall(r"^class ([A-Z]\w*)\((?:[^)]*)\):", file.read_text(), re.MULTILINE)
        found += [f"{module}.{name}" for name in names if not file.name.startswith("_")]
    return found
