"""Servers at a unix socket behind a real nginx, and sites under a prefix: who asks is known, and commands find them."""

from __future__ import annotations

import contextlib
import dataclasses
import http.server
import io
import pathlib
import sys
import types
from collections.abc import Iterator

import pytest
from django.core.management import CommandError, call_command
from django.urls import path as django_path
from pytest_django import Settings

from health_check import ping
from health_check.views import HealthCheckView
from tests.conftest import Mount
from tests.support.client import eventually, get
from tests.support.repetitions import long
from tests.support.servers import Server, free_port, manage, running
from tests.support.services import require
from tests.support.site.configuration import Site
from tests.support.small_servers import says, serving
from tests.support.web import CONFIGURATION, Authority

pytestmark = pytest.mark.server

PROXY = """
    server {{
        listen 127.0.0.1:{port};
        listen 127.0.0.1:{tls_port} ssl;
        ssl_certificate {certificate}; ssl_certificate_key {certificate};
        location / {{
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_set_header Host $http_host;
            proxy_pass http://unix:{socket};
        }}
        location /shop/ {{
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_set_header Host $http_host;
            proxy_pass http://unix:{socket}:/;
        }}
    }}
    server {{
        listen 127.0.0.1:{front_port};
        location / {{
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_set_header Host $http_host;
            proxy_pass http://unix:{folder}/back.sock;
        }}
    }}
    server {{
        listen unix:{folder}/back.sock;
        location / {{
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_set_header Host $http_host;
            proxy_pass http://unix:{socket};
        }}
    }}
"""
"""A proxy before the server's socket; and one before another one's socket, which then forwards ``unix:``."""

SERVERS = {
    "gunicorn": ["gunicorn", "--no-control-socket", "--threads=4", "--bind=unix:{socket}", "tests.support.plain.wsgi"],
    "uvicorn": ["uvicorn", "--uds={socket}", "tests.support.plain.asgi:application"],
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Behind:
    """A site behind a proxy."""

    kind: str
    """What kind of server it has."""
    server: Server
    """Its server."""
    socket: pathlib.Path
    """Where that listens."""
    urls: dict[str, str]
    """Where the proxies listen: ``"one"``, ``"two"`` for the one before another, ``"tls"``."""
    authority: Authority
    """Who issued its certificate."""


def nginx(folder: pathlib.Path) -> contextlib.AbstractContextManager[Server]:
    """Run the nginx whose configuration is in a folder."""
    program = require("nginx", package="nginx", folders=[pathlib.Path("/usr/sbin")])
    return running([program, "-c", str(folder / "nginx.conf"), "-p", str(folder), "-e", "stderr"], folder)


@contextlib.contextmanager
def behind_nginx(folder: pathlib.Path, kind: str, site: Site) -> Iterator[Behind]:
    """Serve a site at a unix socket, behind an nginx."""
    socket, web = folder / "site.sock", folder / "web"
    web.mkdir()
    authority = Authority(folder=web)
    ports = {"port": free_port(), "tls_port": free_port(), "front_port": free_port()}
    certificate = authority.certificate(days=100, name="shop.example")
    text = PROXY.format(folder=web, socket=socket, certificate=certificate, **ports)
    (web / "nginx.conf").write_text(CONFIGURATION.format(folder=web, servers=text))
    command = [sys.executable, "-m", *(part.format(socket=socket) for part in SERVERS[kind])]
    with running(command, site.folder, site.environment()) as server, nginx(web):
        urls = {
            name: f"http://127.0.0.1:{port}" for name, port in zip(("one", "tls", "two"), ports.values(), strict=True)
        }
        eventually(lambda: get(f"{urls['two']}/health/live/").status != 502, what="an answer through both proxies")
        yield Behind(kind=kind, server=server, socket=socket, urls=urls, authority=authority)


def site_of(folder: pathlib.Path, **access: object) -> Site:
    """Return a site that lets loopback in, as the proxies tell of it."""
    access = {"OPEN": False, "NETWORKS": ["127.0.0.0/8"], **access}
    checks = ["tests.support.site.checks.Counting"]
    return Site(folder=folder, checks=checks, health_check={"ACCESS": access})


@pytest.fixture(scope="module", params=SERVERS)
def told(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Behind]:
    """A site that knows of its proxies."""
    folder = tmp_path_factory.mktemp("told")
    with behind_nginx(folder, request.param, site_of(folder / "site", PROXIES=["unix"])) as found:
        yield found


@pytest.mark.parametrize("through", ["one", "two"])
def test_networks__behind_a_unix_socket(told: Behind, through: str) -> None:
    """Who asks is known through the socket, also through two of them."""
    assert get(f"{told.urls[through]}/health/", format="json").status == 200
    assert "add 'unix' to PROXIES" not in told.server.output()


@pytest.mark.parametrize("kind", [long("gunicorn"), "uvicorn"])
def test_networks__behind_a_unix_socket_untold(tmp_path: pathlib.Path, kind: str) -> None:
    """Without "unix" in PROXIES nobody is let in, and the log says once what to do."""
    with behind_nginx(tmp_path, kind, site_of(tmp_path / "site", PROXIES=["127.0.0.1/32"])) as found:
        assert [get(f"{found.urls['one']}/health/").status for _ in range(3)] == [403] * 3
        assert found.server.output().count("add 'unix' to PROXIES") == 1


@pytest.fixture
def asked(told: Behind) -> Behind:
    """The site under one of the servers: commands do not care which."""
    if told.kind != "gunicorn":
        pytest.skip("gunicorn's is enough")
    return told


def outcome(*arguments: str) -> str:
    """Return what the command says is wrong with an endpoint, or with how it is asked; empty if nothing is."""
    try:
        call_command("health_check", "/health/", *arguments, stdout=io.StringIO())
    except CommandError as error:
        return str(error)
    return ""


def test_command__asks_at_a_unix_socket(asked: Behind) -> None:
    """The command asks at the socket itself; who asks so is not forwarded, and is of no network."""
    for how in (["--unix-socket", str(asked.socket)], [f"unix:{asked.socket}"]):
        assert "http://localhost/health/ answers HTTP 403" in outcome(*how)
    assert "cannot be reached" in outcome("--unix-socket", str(asked.socket.with_name("missing")))


def test_command__asks_over_tls_by_address(asked: Behind, monkeypatch: pytest.MonkeyPatch) -> None:
    """A certificate for a name is verified by that name, or not at all."""
    address = asked.urls["tls"].replace("http:", "https:")
    assert "Add --server-name NAME, as in its certificate, or --insecure." in outcome(address)
    assert outcome(address, "--insecure") == ""
    monkeypatch.setenv("SSL_CERT_FILE", asked.authority.ca_file)
    assert "Add --server-name NAME" in outcome(address)
    assert outcome(address, "--server-name", "shop.example") == ""
    assert "cannot be reached" in outcome(asked.urls["one"].replace("http:", "https:"), "--insecure")


def test_ping__asks_over_tls_by_address(
    asked: Behind, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The probe verifies a certificate for a name by that name, or not at all; also at a socket it needs no port."""
    url = f"{asked.urls['tls'].replace('http:', 'https:')}/health/live/"
    assert ping.main([url]) == 2
    assert "Add --server-name NAME, as in its certificate, or --insecure." in capsys.readouterr().err
    assert ping.main([url, "--insecure"]) == 0
    monkeypatch.setenv("SSL_CERT_FILE", asked.authority.ca_file)
    assert ping.main([url]) == 2
    assert "has a certificate that is not valid" in capsys.readouterr().err
    assert ping.main([url, "--server-name", "shop.example"]) == 0
    assert ping.main(["http://localhost/health/live/", "--unix-socket", str(asked.socket)]) == 2
    assert "answers HTTP 403" in capsys.readouterr().err  # of a client whom no proxy tells of
    assert ping.main(["http://localhost/health/live/", "--unix-socket", f"{asked.socket}.missing"]) == 2
    assert "cannot be reached" in capsys.readouterr().err


PREFIXED = """
    server {{
        listen 127.0.0.1:{port};
        location /shop/ {{ proxy_pass http://{address}{path}; }}
    }}
"""


@pytest.mark.parametrize("name", ["FORCE_SCRIPT_NAME", long("SCRIPT_NAME")])
def test_command__asks_a_site_under_a_prefix_by_its_name(name: str, tmp_path: pathlib.Path) -> None:
    """An endpoint's name is enough, at the server and at its proxy: of one that takes the prefix off, or leaves it."""
    is_forced = name == "FORCE_SCRIPT_NAME"
    site = Site(
        folder=tmp_path / "site",
        checks=["tests.support.site.checks.Counting"],
        settings={"FORCE_SCRIPT_NAME": "/shop"} if is_forced else {},
    )
    environment = {} if is_forced else {"SCRIPT_NAME": "/shop"}
    bind, port, web = f"127.0.0.1:{free_port()}", free_port(), tmp_path / "web"
    web.mkdir()
    servers = PREFIXED.format(port=port, address=bind, path="/" if is_forced else "")
    (web / "nginx.conf").write_text(CONFIGURATION.format(folder=web, servers=servers))
    command = [sys.executable, "-m", "gunicorn", "--no-control-socket", f"--bind={bind}", "tests.support.plain.wsgi"]
    with running(command, site.folder, {**site.environment(), **environment}), nginx(web):
        live = f"http://127.0.0.1:{port}/shop/health/live/"
        eventually(lambda: get(live).status != 502, what="an answer through the proxy")
        for address in (bind, f"127.0.0.1:{port}"):
            done = manage(site, "health_check", "health_check", address, environment=environment)
            assert (done.returncode, " ".join(done.stdout.split())) == (0, "Counting ... OK"), done.stderr


@pytest.mark.parametrize("prefix", ["FORCE_SCRIPT_NAME", "SCRIPT_NAME", "none"])
@pytest.mark.parametrize("path", ["/health/", "/shop/health/"])
def test_command__finds_a_site_under_a_prefix(
    path: str, prefix: str, settings: Settings, mount: Mount, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An endpoint is found by its name whether the prefix of the site reaches the server, or a proxy takes it off."""
    mount(django_path("health/", HealthCheckView.as_view(), name="health"))
    if prefix == "FORCE_SCRIPT_NAME":
        settings.FORCE_SCRIPT_NAME = "/shop"
        monkeypatch.setattr("django.urls.base._prefixes", types.SimpleNamespace(value="/shop/"))
    elif prefix == "SCRIPT_NAME":
        monkeypatch.setenv("SCRIPT_NAME", "/shop")

    def answer(handler: http.server.BaseHTTPRequestHandler) -> None:
        says(200, {"a": "OK"})(handler) if handler.path == path else says(404, b"no")(handler)

    with serving(answer) as server:
        if prefix == "none" and path != "/health/":
            with pytest.raises(CommandError, match="/health/ answers HTTP 404"):
                call_command("health_check", "health", server.address, stdout=io.StringIO())
        else:
            call_command("health_check", "health", server.address, stdout=io.StringIO())


@pytest.mark.parametrize(
    ("host", "address"),
    [
        *(("::1", "[::1]"), ("[::1]", "[::1]"), ("::", "[::1]"), ("[::]", "[::1]"), ("0:0:0:0:0:0:0:0", "[::1]")),
        *(("0.0.0.0", "127.0.0.1"), ("0", "127.0.0.1"), ("", "127.0.0.1")),
    ],
)
def test_command__host_of_the_environment(host: str, address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """$HOST may be an IPv6 address, or stand for all addresses."""
    monkeypatch.setenv("HOST", host)
    monkeypatch.setenv("PORT", "1")
    assert f"http://{address}:1/health/ cannot be reached" in outcome()
