"""The check of Kafka, against the cluster that its client's library mimics."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator
from typing import Any

import pytest

from health_check.contrib.kafka import Kafka
from tests.services.contract import Contract, Service
from tests.support.checked import BUDGET_SECONDS, errors_of
from tests.support.kafka import Cluster

pytestmark = pytest.mark.server

FAILED = r"unavailable: cannot get the metadata of Kafka \(_TRANSPORT.*"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Two brokers."""
    with Cluster(folder=tmp_path_factory.mktemp("kafka")).started() as cluster:
        yield cluster


def check_of(cluster: Cluster, *, timeout: float = BUDGET_SECONDS, **config: Any) -> Kafka:
    """Return a check of them."""
    properties = {name.replace("_", "."): value for name, value in config.items()}
    return Kafka(cluster.brokers, config=properties, timeout=timeout)


@pytest.fixture
def service(cluster: Cluster) -> Service:
    """Kafka, and the check of it."""
    return Service(
        server=cluster,
        build=lambda: check_of(cluster),
        failing=lambda: check_of(cluster, timeout=0.5, security_protocol="SSL"),
        failing_runs=3,
        silent=FAILED,
        gone=FAILED,
    )


class TestContract(Contract):
    """The check of a Kafka."""


def test_check__gone(tmp_path: pathlib.Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Where brokers are gone the client's library does not print their addresses."""
    with Cluster(folder=tmp_path).started() as cluster:
        assert errors_of(check_of(cluster)) == []
        cluster.kill()
        assert errors_of(check_of(cluster)) != []
        captured = capfd.readouterr()
        assert captured.out + captured.err == ""


def test_check__one_broker_of_two(cluster: Cluster) -> None:
    """One server of those to begin with is enough, also in one text."""
    gone = "127.0.0.1:1"
    assert errors_of(Kafka([gone, *cluster.brokers], timeout=BUDGET_SECONDS)) == []
    assert errors_of(Kafka(",".join([gone, *cluster.brokers]), timeout=BUDGET_SECONDS)) == []


def test_check__login(cluster: Cluster) -> None:
    """A login that fails is told, and none of its words."""
    login: dict[str, Any] = {
        "sasl_mechanism": "PLAIN",
        "sasl_username": "shopkeeper",
        "sasl_password": "planted-password-7d1f",
    }
    check = check_of(cluster, security_protocol="SASL_PLAINTEXT", **login)
    assert errors_of(check) == ["unavailable: the login to Kafka was refused"]
