"""The checks of Celery, where no worker is needed."""

from __future__ import annotations

import concurrent.futures
import datetime
import sys
import time
from collections.abc import Callable, Iterator

import pytest
from celery import Celery, _state
from django.core.cache import cache
from kombu import Queue

from health_check.contrib.celery import KEY, Heartbeat, Ping, beat
from tests.support.checks import messages_of

MakeApp = Callable[..., Celery]


@pytest.fixture
def make_app(monkeypatch: pytest.MonkeyPatch) -> Iterator[MakeApp]:
    """A function that makes an app, which is forgotten after the test."""
    made: list[Celery] = []

    def make(name: str, **options: object) -> Celery:
        made.append(Celery(name, broker="memory://", **options))
        return made[-1]

    monkeypatch.setattr(_state, "default_app", None)
    monkeypatch.setattr(_state._tls, "current_app", None)
    yield make
    for app in made:
        app.close()


@pytest.fixture(autouse=True)
def _empty_cache() -> Iterator[None]:
    cache.clear()
    yield
    cache.clear()


def test_broker__package_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A broker whose client is not installed is told by the name of what is missing."""
    monkeypatch.delitem(sys.modules, "kombu.transport.redis", raising=False)
    monkeypatch.setitem(sys.modules, "redis", None)
    monkeypatch.setitem(sys.modules, "packaging.version", None)
    [error] = messages_of(Ping(Celery(broker="redis://127.0.0.1:1", set_as_current=False)))
    assert error.startswith("unavailable: a package that talks to the broker of Celery is missing: ")
    assert error.endswith(("redis", "packaging.version"))


def test_app__the_site_s_on_every_thread(make_app: MakeApp) -> None:
    """The check that a thread makes, as the runner's do, is that of the site's app, and the same check."""
    app = make_app("shop")
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        check = pool.submit(Ping).result()
    assert check.app is Ping().app is app
    assert check == Ping()


def test_queues__by_default_those_that_are_configured(make_app: MakeApp) -> None:
    """The app's queues are to be consumed, or else its default queue, but none where that is what is wanted."""
    app = make_app("shop")
    check = Ping(app)
    assert check._queues() == {"celery"}
    app.conf.task_queues = [Queue("mails"), Queue("orders")]
    assert check._queues() == {"mails", "orders"}
    app.conf.task_queues = {"images": {"exchange": "images"}}
    assert check._queues() == {"images"}
    assert Ping(app, queues=())._queues() == set()


def test_heartbeat__ran_or_not() -> None:
    """A task that ran a moment ago is in order; one that ran long ago, or never, is not."""
    [error] = messages_of(Heartbeat())
    assert error == "unavailable: no other process sees the cache 'default': use Redis or Memcached"
    beat()
    assert messages_of(Heartbeat()) == []
    assert messages_of(Heartbeat(max_silence=datetime.timedelta(hours=1))) == []
    cache.set(f"{KEY}:celery", time.time() - 125.0)
    assert messages_of(Heartbeat()) == ["unavailable: the last heartbeat is 125 s old"]
    assert messages_of(Heartbeat(max_silence=datetime.timedelta(hours=1))) == []


def test_heartbeat__name_of_the_task_s_choice() -> None:
    """Where the routing key is not the queue's name, the task is told the name."""
    beat(queue="mails")
    assert messages_of(Heartbeat("mails")) == []
    assert messages_of(Heartbeat()) != []
