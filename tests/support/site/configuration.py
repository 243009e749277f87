"""What a test says of the site it starts; travels to the server's process in one environment variable."""

from __future__ import annotations

import dataclasses
import functools
import json
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

VARIABLE = "TEST_SITE"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Site:
    """A site on the plain site's settings."""

    folder: pathlib.Path
    """Where it keeps its data, and where its checks note their runs."""
    checks: Sequence[Any] = ()
    """The checks of ``/health/``, in JSON's types."""
    others: Sequence[Any] = ()
    """The checks of ``/others/``."""
    max_age: float = 1.0
    """``HEALTH_CHECK["MAX_AGE"]``, in seconds."""
    health_check: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """What else there is in ``HEALTH_CHECK``."""
    caches: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """``CACHES``, where it is not to be the plain site's."""
    settings: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """More settings, in JSON's types."""
    variables: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """More environment variables of its processes."""
    random_settings: bool = False
    """Whether some settings differ from process to process, as careless settings files have it."""
    spans: bool = False
    """Whether ``/spans/`` shows the spans."""
    export_seconds: float = 0.0
    """How long the export of each span takes, which happens where the span ends."""

    def environment(self) -> dict[str, str]:
        """Return the environment variables of its server."""
        for name in ("db", "media", "tmp"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        return {
            VARIABLE: json.dumps(dataclasses.asdict(self), default=str),
            "DJANGO_SETTINGS_MODULE": "tests.support.site.settings",
            "TEST_SITE_FOLDER": str(self.folder),
            "TMPDIR": str(self.folder / "tmp"),
            "TEST_SITE_SECRET_KEY": "tests",
            **self.variables,
        }


@functools.cache
def configured() -> Site:
    """Return what the environment says of this process's site."""
    values = json.loads(os.environ[VARIABLE])
    return Site(**{**values, "folder": pathlib.Path(values["folder"])})
