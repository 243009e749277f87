"""What is on the status page, for the tests: its rows, tables, links and bars."""

from __future__ import annotations

import html.parser
from typing import Any

VOID = frozenset(["meta", "link", "input", "path", "rect", "circle", "br"])

CELLS = {"sign": "state", "name": "name", "what": "what", "age": "age", "message": "message", "axis": "axis"}
"""The parts of a row by their classes."""


class StatusPage(html.parser.HTMLParser):
    """What a document shows.

    Args:
        document: The page.
    """

    def __init__(self, document: str) -> None:
        super().__init__()
        self.rows: list[dict[str, str]] = []
        """The texts of each row of a check."""
        self.tables: list[list[list[str]]] = []
        """The texts of the cells of each row of each table's body."""
        self.links: list[str] = []
        """Where links lead."""
        self.times: list[str] = []
        """The times for machines."""
        self.bars: list[tuple[str, str]] = []
        """The state and the title of each bar that has a title."""
        self.labels: list[str] = []
        """What screen readers are told of graphs."""
        self._open: list[tuple[str, set[str]]] = []
        self.feed(document)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found: dict[str, Any] = {name: value or "" for name, value in attrs}
        classes = set(str(found.get("class", "")).split())
        if tag == "li" and "row" in classes:
            self.rows.append(dict.fromkeys(CELLS.values(), ""))
        elif tag == "table":
            self.tables.append([])
        elif tag == "tr" and any(each == "tbody" for each, _ in self._open):
            self.tables[-1].append([])
        elif tag in ("td", "th") and any(each == "tbody" for each, _ in self._open):
            self.tables[-1][-1].append("")
        elif tag == "a":
            self.links.append(found["href"])
        elif tag == "time":
            self.times.append(found["datetime"])
        elif tag == "svg" and "aria-label" in found:
            self.labels.append(found["aria-label"])
        elif tag == "path":
            self._state = found.get("class", "")
        if tag not in VOID or (tag == "path" and not self.get_starttag_text().endswith("/>")):  # type: ignore[union-attr]
            self._open.append((tag, classes))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            super().handle_startendtag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop()[0] != tag:
            pass

    def handle_data(self, data: str) -> None:
        tags = [tag for tag, _ in self._open]
        if tags[-2:] == ["path", "title"]:
            self.bars.append((self._state, data))
            return
        if "tbody" in tags and self.tables[-1] and self.tables[-1][-1]:
            self.tables[-1][-1][-1] += data
        if any("row" in classes for _, classes in self._open):
            for _, classes in reversed(self._open):
                for name in classes & CELLS.keys():
                    self.rows[-1][CELLS[name]] += data
                    return


def rows_of(document: str) -> list[dict[str, str]]:
    """Return the texts of each row of a check, without the space around them."""
    return [{name: " ".join(text.split()) for name, text in row.items()} for row in StatusPage(document).rows]
