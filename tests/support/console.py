"""The console page of Prometheus in a browser: whether it fits, at each width of a window."""

from __future__ import annotations

import json
import pathlib
import re
import subprocess
from collections.abc import Sequence

from tests.support.servers import Server
from tests.support.services import require

PAGE = "widths.html"

FRAMES = """\
<!doctype html><title>waiting</title><body><script>
  const widths = WIDTHS, found = {};
  const ready = widths.map((width) => new Promise((done) => {
    const frame = document.createElement("iframe");
    frame.style.cssText = `width: ${width}px; height: 400px; border: 0`;
    frame.src = "health.html";
    frame.onload = () => {
      const root = frame.contentDocument.documentElement;
      found[width] = [root.clientWidth, root.scrollWidth, root.querySelectorAll("tbody tr").length];
      done();
    };
    document.body.append(frame);
  }));
  Promise.all(ready).then(() => { document.title = JSON.stringify(found); });
</script>
"""


def add_frames(consoles: pathlib.Path, widths: Sequence[int]) -> None:
    """Put a page beside the console page that shows it in windows of these widths."""
    (consoles / PAGE).write_text(FRAMES.replace("WIDTHS", json.dumps(list(widths))))


def measured(prometheus: Server, folder: pathlib.Path) -> dict[int, tuple[int, int, int]]:
    """Return how wide the window and what is in it are, and how many rows there are, by the width of the window.

    Args:
        prometheus: Where the page with the windows is.
        folder: Where the browser keeps its profile.
    """
    options = ["--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder}", "--dump-dom"]
    command = [require("chromium", package="chromium"), *options, "--virtual-time-budget=60000"]
    url = f"{prometheus.url}/consoles/{PAGE}"
    done = subprocess.run([*command, url], capture_output=True, text=True, timeout=200, check=False)
    match = re.search(r"<title>(\{.*?\})</title>", done.stdout)
    assert match is not None, done.stdout[:500] + done.stderr[-2000:]
    return {int(width): tuple(found) for width, found in json.loads(match[1]).items()}
