"""The check of Kafka, against the cluster that its client's library mimics."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator, Mapping

import pytest

from health_check.contrib.kafka import Kafka
from tests.support.checked import BUDGET_SECONDS, RUNS, errors_of, nothing_left
from tests.support.client import eventually
from tests.support.kafka import Cluster, kafka_cluster

pytestmark = pytest.mark.server

FAILED = "unavailable: cannot get the metadata of Kafka (_TRANSPORT"

BAD_RUNS = 5
"""How many runs that fail, of which each takes all of its time."""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Two brokers."""
    with kafka_cluster(tmp_path_factory.mktemp("kafka")) as cluster:
        yield cluster


def check_of(cluster: Cluster, *, timeout: float = BUDGET_SECONDS, config: Mapping[str, str] | None = None) -> Kafka:
    """Return a check of them."""
    return Kafka(cluster.brokers, config=config or {}, timeout=timeout)


def test_check__paused_and_on_again(cluster: Cluster) -> None:
    """Brokers that do nothing are told in time, and in order again as soon as they go on."""
    assert errors_of(check_of(cluster)) == []
    cluster.pause()
    try:
        [error] = errors_of(check_of(cluster))
    finally:
        cluster.resume()
    assert error.startswith(FAILED)
    eventually(lambda: errors_of(check_of(cluster)) == [], what="a cluster in order")


def test_check__gone(tmp_path: pathlib.Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Brokers that are gone are told, and the client's library does not print their addresses."""
    with kafka_cluster(tmp_path) as cluster:
        assert errors_of(check_of(cluster)) == []
        cluster.kill()
        [error] = errors_of(check_of(cluster))
        assert error.startswith(FAILED)
        captured = capfd.readouterr()
        assert captured.out + captured.err == ""


def test_check__one_broker_of_two(cluster: Cluster) -> None:
    """One server of those to begin with is enough, also in one text."""
    gone = "127.0.0.1:1"
    assert errors_of(Kafka([gone, *cluster.brokers], timeout=BUDGET_SECONDS)) == []
    assert errors_of(Kafka(",".join([gone, *cluster.brokers]), timeout=BUDGET_SECONDS)) == []


def test_check__login(cluster: Cluster) -> None:
    """A login that fails is told, and none of its words."""
    login = {
        "security.protocol": "SASL_PLAINTEXT",
        "sasl.mechanism": "PLAIN",
        "sasl.username": "shopkeeper",
        "sasl.password": "planted-password-7d1f",
    }
    check = check_of(cluster, config=login)
    assert errors_of(check) == ["unavailable: the login to Kafka was refused"]


def test_check__leaves_nothing(cluster: Cluster) -> None:
    """After many runs, good and bad, there is no connection, file or thread that was not there before."""
    with nothing_left():
        for _ in range(RUNS):
            assert errors_of(check_of(cluster)) == []
        for _ in range(BAD_RUNS):
            assert errors_of(check_of(cluster, timeout=0.5, config={"security.protocol": "SSL"})) != []
