"""The standalone exporter's server: the health of the site, and nothing else of it."""

from __future__ import annotations

import contextlib
import functools
import http.client
import math
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.urls import include, path
from django.views import View
from prometheus_client import REGISTRY, generate_latest
from prometheus_client import generate_latest as latest
from prometheus_client.exposition import choose_encoder
from pytest_django import Settings

from health_check import extensions
from health_check.management import server
from health_check.management.server import Server, addresses
from health_check.views import HealthCheckView
from health_check_prometheus.views import MetricsView
from tests.conftest import Mount
from tests.support.bench import SECONDS, Held, defined, eventually
from tests.support.checks import Broken, Fine
from tests.support.client import Answer, send


class QuickServer(Server):
    """A server that notices at once that it is to end."""

    def serve_forever(self, poll_interval: float = 0.01) -> None:
        super().serve_forever(poll_interval)


class Running:
    """A server that runs on a thread."""

    def __init__(self, host: str = "127.0.0.1") -> None:
        self.server = QuickServer(host, 0)
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self.server.serve, args=(self.stop,))
        self.thread.start()

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens."""
        return str(self.server.server_address[0]), self.server.server_port

    @contextlib.contextmanager
    def connection(self) -> Iterator[http.client.HTTPConnection]:
        """Connect to it."""
        with contextlib.closing(http.client.HTTPConnection(*self.address, timeout=SECONDS)) as connection:
            yield connection

    def send(self, target: str, method: str = "GET", **headers: str) -> Answer:
        """Send a request, on a connection of its own."""
        return send(method, f"{self.server.url}{target}", headers=headers)

    def close(self) -> None:
        """Stop it, and wait until it has."""
        self.stop.set()
        self.thread.join(SECONDS)
        assert not self.thread.is_alive()


def answer_of(connection: http.client.HTTPConnection, target: str, method: str = "GET", **headers: str) -> Answer:
    """Send a request on this connection, and return the answer."""
    connection.request(method, target, headers=headers)
    response = connection.getresponse()
    return Answer(status=response.status, headers=response.headers, body=response.read().decode(), seconds=0)


@pytest.fixture
def site(mount: Mount) -> None:
    """A site with health endpoints, and with something else."""
    mount(
        path("health/", HealthCheckView.as_view(checks=[Fine, Broken]), name="health"),
        path("live/", HealthCheckView.as_view(checks=[]), name="live"),
        path("of/<str:shop>/", HealthCheckView.as_view(checks=[Fine]), name="shop"),
        path("shop/", lambda request: HttpResponse("welcome")),
    )


@pytest.fixture
def running(site: None) -> Iterator[Running]:
    """A server for that site."""
    with contextlib.closing(Running()) as server:
        yield server


INDEX = "/metrics\n/health/\n/live/\n/of/<str:shop>/\n"


def test_serve__endpoints_and_pages(running: Running) -> None:
    """The endpoints answer as on the site, and the metrics are there though the site does not mount them."""
    answer = running.send("/health/?format=json")
    assert (answer.status, answer.headers.get_content_type()) == (500, "application/json")
    assert '"Fine": "OK"' in answer.body
    assert running.send("/live/").status == 200
    assert running.send("/of/b%C3%BCcher/").status == 200
    metrics = running.send("/metrics")
    assert metrics.status == 200
    assert 'django_health_check_status{check="Broken"} 0.0' in metrics.body


def test_serve__index(running: Running) -> None:
    """The root lists what there is, and so does what is not there: the rest of the site, and misspelt paths."""
    assert addresses() == INDEX.split()
    index = running.send("/")
    assert (index.status, index.body, index.headers["Content-Type"]) == (200, INDEX, "text/plain; charset=utf-8")
    for target in ("/shop/", "/health", "/nowhere", "/%00"):
        answer = running.send(target)
        assert (answer.status, answer.body) == (404, INDEX), target


def test_serve__methods(running: Running) -> None:
    """HEAD has the status and the type of GET, and no body; there is nothing to change."""
    for target in ("/", "/metrics", "/health/", "/nowhere"):
        with running.connection() as connection:
            head = answer_of(connection, target, "HEAD")
            whole = answer_of(connection, target)
        assert (head.status, head.body) == (whole.status, "")
        assert head.headers["Content-Type"] == whole.headers["Content-Type"]
    for target in ("/metrics", "/health/"):
        for method in ("POST", "DELETE"):
            answer = running.send(target, method)
            assert (answer.status, "GET" in answer.headers["Allow"]) == (405, True)


@pytest.mark.parametrize("target", ["/", "/metrics", "/health/?format=json", "/live/"])
def test_serve__keep_alive(running: Running, target: str) -> None:
    """A Prometheus that scrapes every few seconds does so on one connection."""
    with running.connection() as connection:
        first = answer_of(connection, target)
        opened = connection.sock
        assert int(first.headers["Content-Length"]) == len(first.body.encode())
        assert answer_of(connection, target).status == first.status
        assert connection.sock is opened is not None


def guarded(view: Callable[..., HttpResponseBase]) -> Callable[..., HttpResponseBase]:
    """Answer those only who know the word."""

    @functools.wraps(view)
    def guard(request: HttpRequest) -> HttpResponseBase:
        return view(request) if request.headers.get("Word") == "friend" else HttpResponse(status=403)

    return guard


class Redirecting:
    """Middleware that lets nobody pass."""

    def __init__(self, get_response: object) -> None:
        raise ZeroDivisionError


def test_serve__without_middleware(settings: Settings, site: None) -> None:
    """The site's middleware, which may redirect or ask for a login, is not even loaded."""
    settings.MIDDLEWARE = [f"{__name__}.Redirecting"]
    with contextlib.closing(Running()) as running:
        assert running.send("/live/").status == 200


HOSTS = {
    **dict.fromkeys(["10.1.2.3:9808", "[2001:db8::1]:9808", "localhost", "web.localhost:1", ""], 200),
    **dict.fromkeys(["shop.example", "www.shop.example:9808", "shop.example."], 200),
    **dict.fromkeys(["rebound.example", "rebound.example:9808", "10.1.2.3.rebound.example"], 400),
    **dict.fromkeys(["localhost.rebound.example", "shop.example@rebound.example"], 400),
}


def test_serve__hosts(running: Running, settings: Settings) -> None:
    """An address, this host, and what the site allows are answered; another name may be a page's that leads here."""
    settings.ALLOWED_HOSTS = [".shop.example"]
    for target in ("/metrics", "/live/"):
        assert {host: running.send(target, Host=host).status for host in HOSTS} == HOSTS


def untold(view: Any) -> Any:
    """Do the same, without ``functools.wraps``."""

    def guard(request: HttpRequest) -> HttpResponseBase:
        return guarded(view)(request)

    return guard


@pytest.mark.parametrize("place", ["metrics", "internal/numbers"])
@pytest.mark.parametrize("decorate", [guarded, untold, lambda view: functools.partial(untold(view))])
def test_serve__what_the_site_guards__is_guarded(decorate: Any, place: str, mount: Mount) -> None:
    """Where the site mounts the metrics, at any path, or an endpoint, in a decorator of any kind, that holds here."""
    mount(
        path("", include([path(place, decorate(MetricsView.as_view()))])),
        path("health/", guarded(HealthCheckView.as_view(checks=[Fine]))),
    )
    with contextlib.closing(Running()) as running:
        for target in ("/metrics", f"/{place}", "/health/"):
            assert running.send(target).status == 403
            assert running.send(target, Word="friend").status == 200


def _page() -> HttpResponse:
    return HttpResponse(generate_latest(), content_type="text/plain")


def own_page(request: HttpRequest) -> HttpResponse:
    """Show metrics to those only who know the word, by code of the site's own."""
    return _page() if request.headers.get("Word") == "friend" else HttpResponse(status=403)


class OwnPage(View):
    """The same, as a class."""

    def get(self, request: HttpRequest) -> HttpResponse:
        return own_page(request)


def own_page_by_another_name(request: HttpRequest) -> HttpResponse:
    """The same, by a function that is imported under another name, and called in another one."""

    def show() -> HttpResponse:
        return HttpResponse(latest())

    return show() if request.headers.get("Word") == "friend" else HttpResponse(status=403)


def own_page_as_asked(request: HttpRequest) -> HttpResponse:
    """The same, in the format that is asked for."""
    encode, content_type = choose_encoder(request.headers.get("Accept", ""))
    page = HttpResponse(encode(REGISTRY), content_type=content_type)
    return page if request.headers.get("Word") == "friend" else HttpResponse(status=403)


class Shower:
    """Shows the same when it is called, or by a method."""

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return own_page(request)

    @staticmethod
    def show(request: HttpRequest) -> HttpResponse:
        """Show it."""
        return own_page(request)


class InheritedPage(OwnPage):
    """The same, as a class that has it from another one."""


def test_serve__metrics_of_the_sites_own_making(mount: Mount) -> None:
    """A metrics page that is none of ours is guarded here as it is there; the open one of django-prometheus is open."""
    exports = pytest.importorskip("django_prometheus.exports").ExportToDjangoView
    views = (
        *(guarded(exports), own_page, OwnPage.as_view(), functools.partial(own_page), own_page_by_another_name),
        *(own_page_as_asked, Shower(), Shower.show, Shower().show, InheritedPage.as_view()),
    )
    for view in views:
        mount(path("internal/numbers", view), path("other/", lambda request: HttpResponse("secret")))
        with contextlib.closing(Running()) as running:
            for target in ("/metrics", "/internal/numbers"):
                assert running.send(target).status == 403
                assert "django_health_check_state" in running.send(target, Word="friend").body
            assert running.send("/other/").status == 404
    mount(path("prometheus/metrics", exports))
    with contextlib.closing(Running()) as running:
        assert [running.send(target).status for target in ("/metrics", "/prometheus/metrics")] == [200, 200]


def test_serve__metrics_for_those_whom_the_site_lets_in(mount: Mount, settings: Settings) -> None:
    """What the site's view says of access holds here; nobody is logged in, so who has to be is led to the login."""
    settings.INSTALLED_APPS = [*settings.INSTALLED_APPS, "django.contrib.auth", "django.contrib.contenttypes"]
    mount(path("metrics", login_required(MetricsView.as_view())))
    with contextlib.closing(Running()) as running:
        assert running.send("/metrics").status == 302
    mount(path("numbers", MetricsView.as_view(open=False, tokens=["planted"])))
    with contextlib.closing(Running()) as running:
        assert running.send("/metrics").status == 401
        assert running.send("/metrics", Authorization="Bearer planted").status == 200


BODIES = [
    b"Content-Length: 400000000",
    b"Content-Length: 8193",
    b"Transfer-Encoding: chunked",
    b"Content-Length: -1",
    b"Content-Length: x",
]


@pytest.mark.parametrize("header", BODIES)
def test_serve__body_is_not_read(running: Running, header: bytes) -> None:
    """No request needs a body: a long one is refused before it is sent, and costs nothing."""
    with socket.create_connection(running.address, timeout=SECONDS) as client:
        client.sendall(b"GET /live/ HTTP/1.1\r\nHost: localhost\r\n" + header + b"\r\n\r\n")
        with client.makefile("rb") as answer:
            assert answer.readline().startswith(b"HTTP/1.1 413")
        sent = 0
        with contextlib.suppress(OSError):
            while sent < 100_000_000:
                sent += client.send(bytes(1_000_000))
        assert sent < 50_000_000
    with running.connection() as connection:
        connection.request("GET", "/live/", body=b"a few bytes")
        assert connection.getresponse().status == 200


def test_serve__many_connections(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """Connections that ask nothing give way to those that do, and take no more threads than there may be."""
    monkeypatch.setattr(server, "MOST_CONNECTIONS", 5)
    before = threading.active_count()
    with contextlib.ExitStack() as stack:
        for number in range(40):
            client = stack.enter_context(socket.create_connection(running.address, timeout=SECONDS))
            client.sendall(b"GET /live/ HTTP/1.1\r\nX: " if number % 2 else b"")
        assert running.send("/live/").status == 200
        eventually(lambda: threading.active_count() <= before + 5)


def test_serve__many_answers(holding: Running, held: Held, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where all connections wait for their answers, a new one is refused, and they get them."""
    monkeypatch.setattr(server, "MOST_CONNECTIONS", 3)
    with ThreadPoolExecutor(3) as pool:
        answers = [pool.submit(holding.send, "/health/") for _ in range(3)]
        eventually(lambda: list(holding.server._connections.values()) == [math.inf] * 3)
        with pytest.raises(OSError):  # noqa: PT011 - of what kind depends on the system
            holding.send("/health/")
        held.let_go.set()
        assert [answer.result().status for answer in answers] == [200] * 3


def test_serve__answers_that_are_not_received(
    running: Running, monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    """Clients that ask for a large page, and do not read it, give way to those that do."""
    monkeypatch.setattr(server, "MOST_CONNECTIONS", 3)
    monkeypatch.setattr(server, "SEND_SECONDS", 0.1)
    monkeypatch.setattr(server, "_index", lambda request: HttpResponse(b"x" * 30_000_000))
    with contextlib.ExitStack() as stack:
        for _ in range(3):
            client = stack.enter_context(socket.socket())
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            client.connect(running.address)
            client.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        eventually(lambda: len(running.server._connections) == 3)
        eventually(lambda: max(running.server._connections.values()) < time.monotonic())
        assert running.send("/live/").status == 200


def test_serve__page_that_fails(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page that raises is an error of the server's, and the next request is answered as ever."""

    def fail(request: HttpRequest) -> HttpResponse:
        raise ZeroDivisionError("a text that nobody meant for readers")

    monkeypatch.setitem(extensions.pages, "/failing", fail)
    answer = running.send("/failing")
    assert answer.status == 500
    assert "nobody meant" not in answer.body
    assert running.send("/live/").status == 200


@pytest.mark.parametrize("said", [b"", b"GET /liv", b"GET /live/ HTTP/1.1\r\nHost: a\r\n"])
@pytest.mark.parametrize("drips", [False, True])
def test_serve__silent_client(site: None, monkeypatch: pytest.MonkeyPatch, said: bytes, drips: bool) -> None:
    """A client that says nothing, stops in the middle, or sends a byte now and then, is left, and holds nobody up."""
    assert server._Handler.timeout == server.READ_SECONDS
    monkeypatch.setattr(server._Handler, "timeout", 0.2)
    with (
        contextlib.closing(Running()) as running,
        socket.create_connection(running.address, timeout=SECONDS) as client,
    ):
        client.sendall(said)
        assert running.send("/live/").status == 200
        start = time.monotonic()
        with contextlib.suppress(OSError):
            while not select.select([client], [], [], 0.02)[0]:
                client.send(b"x" if drips else b"")
                assert time.monotonic() - start < SECONDS
            assert client.recv(100) == b""


@pytest.mark.parametrize("said", [b"\x16\x03\x01\x02\r\n\r\n", b"GET / HTTP/9\r\n\r\n", b"GET /" + b"a" * 70000])
def test_serve__nonsense(running: Running, said: bytes) -> None:
    """What is no HTTP is refused, and the next request is answered as ever."""
    with (
        socket.create_connection(running.address, timeout=SECONDS) as client,
        contextlib.suppress(OSError),  # it may hang up before all is said
    ):
        client.sendall(said)
        client.shutdown(socket.SHUT_WR)
        with client.makefile("rb") as answer:
            assert b"Error" in answer.read()
    assert running.send("/live/").status == 200


@pytest.fixture
def holding(mount: Mount, held: Held) -> Iterator[Running]:
    """A server with an endpoint that answers when it is let to."""
    mount(path("health/", HealthCheckView.as_view(checks=[defined(held).check_class]), name="health"))
    running = Running()
    yield running
    held.let_go.set()
    running.close()


def test_stop__waits_for_answers_in_flight(holding: Running, held: Held) -> None:
    """Who has asked before the end gets the answer; who asks afterwards finds nobody."""
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(holding.send, "/health/")
        assert held.running.wait(SECONDS)
        holding.stop.set()
        eventually(lambda: holding.server.socket.fileno() == -1)
        with pytest.raises(OSError):  # noqa: PT011 - of what kind depends on the system
            holding.send("/health/")
        assert holding.thread.is_alive()
        held.let_go.set()
        assert answer.result().status == 200
    holding.thread.join(SECONDS)
    assert not holding.thread.is_alive()


def test_stop__does_not_wait_for_ever(holding: Running, held: Held, monkeypatch: pytest.MonkeyPatch) -> None:
    """A check that hangs does not keep the exporter from ending."""
    monkeypatch.setattr("health_check.management.server.GRACE_SECONDS", 0.05)
    with socket.create_connection(holding.address, timeout=SECONDS) as client:
        client.sendall(b"GET /health/ HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert held.running.wait(SECONDS)
        holding.close()
        held.let_go.set()
        assert client.recv(20).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("is_silent", [False, True])
def test_stop__connections_that_wait_do_not_count(
    running: Running, monkeypatch: pytest.MonkeyPatch, is_silent: bool
) -> None:
    """A client that keeps its connection open, or never said a word, has no answer to wait for."""
    monkeypatch.setattr("health_check.management.server.GRACE_SECONDS", 2 * SECONDS)
    with running.connection() as connection:
        connection.connect()
        if not is_silent:
            answer_of(connection, "/", "HEAD")
        running.close()


def test_server__port_is_taken() -> None:
    """Two cannot listen at one port."""
    with Server("127.0.0.1", 0) as server, pytest.raises(OSError, match="in use"):
        Server("127.0.0.1", server.server_port)


def test_server__ipv6(site: None) -> None:
    """An address of IPv6 is served as one of IPv4, and written in brackets in its URL."""
    try:
        running = Running("::1")
    except OSError:
        pytest.skip("this host has no IPv6")
    with contextlib.closing(running):
        assert running.server.url == f"http://[::1]:{running.server.server_port}"
        assert running.send("/live/").status == 200
