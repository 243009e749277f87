"""The check of an OpenSearch cluster."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from health_check.contrib.elasticsearch import Elasticsearch


@dataclasses.dataclass(repr=False)
class OpenSearch(Elasticsearch):
    """Check that a cluster is whole; all as for Elasticsearch, whose interface it has here."""

    product: ClassVar[str] = "OpenSearch"
