"""The check of an OpenSearch cluster."""

from __future__ import annotations

from typing import ClassVar

from health_check.contrib.elasticsearch import Elasticsearch


class OpenSearch(Elasticsearch):
    """Check that a cluster has all its data; see Elasticsearch, whose interface OpenSearch has here."""

    product: ClassVar[str] = "OpenSearch"
