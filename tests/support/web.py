"""nginx for tests: on loopback ports of its own, one a certificate, to be paused, killed and started again."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import pathlib
import socket
from collections.abc import Iterator, Mapping

import trustme

from tests.support.servers import Served, free_port
from tests.support.services import require

USER = "probe"
PASSWORD = "planted-password-7d1f"
"""Who may come in, and by which password; these must be shown nowhere."""

NAME = "localhost"
"""Whom the certificates are for."""

SECONDS = 1.0
"""How long one look at the server may take."""

CONFIGURATION = """
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log {folder}/errors.log;
events {{ worker_connections 64; }}
http {{
    access_log {folder}/requests.log;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    {servers}
}}
"""

SERVER = """
    server {{
        listen 127.0.0.1:{port} {tls};
        {certificate}
        default_type text/plain;
        location = / {{ return 200 "shop is open\\n"; }}
        location = /down {{ return 503; }}
        location = /moved {{ return 302 /; }}
        location = /insecure {{ return 302 http://localhost:{plain}/; }}
        location = /loop {{ return 302 /loop; }}
        location = /login {{ auth_basic shop; auth_basic_user_file {folder}/users; try_files /page =404; }}
        location = /key {{ if ($http_x_key != "{password}") {{ return 403; }} return 200 "known"; }}
        location /files/ {{ root {folder}; }}
        root {folder};
    }}
"""


DIRECTIVES = "ssl_certificate {0}; ssl_certificate_key {0};"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Authority:
    """Who issues certificates, each in one file with its key."""

    folder: pathlib.Path
    """Where they are kept."""
    ca: trustme.CA = dataclasses.field(default_factory=trustme.CA)

    @property
    def ca_file(self) -> str:
        """The file to trust."""
        path = self.folder / "ca.pem"
        self.ca.cert_pem.write_to_path(str(path))
        return str(path)

    def certificate(self, days: float, name: str = NAME) -> pathlib.Path:
        """Issue one.

        Args:
            days: In how many days it expires; below zero it has.
            name: Whom it is for.
        """
        expiry = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=days)
        issued = self.ca.issue_cert(name, not_before=expiry - datetime.timedelta(days=100), not_after=expiry)
        return self._kept(issued.private_key_and_cert_chain_pem.bytes(), f"{name}-{days}.pem")

    def self_signed(self) -> pathlib.Path:
        """Return one that nobody else answers for."""
        other = trustme.CA()
        return self._kept(other.private_key_pem.bytes() + other.cert_pem.bytes(), "self-signed.pem")

    def _kept(self, content: bytes, name: str) -> pathlib.Path:
        path = self.folder / name
        path.write_bytes(content)
        return path


@dataclasses.dataclass(kw_only=True)
class Web(Served):
    """An nginx, and how to reach it."""

    ports: Mapping[str, int]
    """Its ports on 127.0.0.1, the same whenever it is started again: ``"plain"``, and one a certificate's name."""

    def url(self, path: str = "/", *, kind: str = "plain", userinfo: str = "", host: str = NAME) -> str:
        """Return a URL of it."""
        scheme = "http" if kind == "plain" else "https"
        return f"{scheme}://{userinfo}{host}:{self.ports[kind]}{path}"

    def start(self) -> None:
        """Start it, and wait until it listens."""
        nginx = require("nginx", package="nginx", folders=[pathlib.Path("/usr/sbin")])
        self.run(nginx, "-c", str(self.folder / "nginx.conf"), "-p", str(self.folder), "-e", "stderr")
        self.await_answer(lambda: all(map(_listens, self.ports.values())))


@contextlib.contextmanager
def nginx(folder: pathlib.Path, certificates: Mapping[str, pathlib.Path]) -> Iterator[Web]:
    """Run an nginx.

    Args:
        folder: Where its configuration, its files and its output go.
        certificates: Its certificates, by the names that its ports are to have.
    """
    ports = {"plain": free_port(), **{name: free_port() for name in certificates}}
    servers = [
        SERVER.format(
            port=port,
            plain=ports["plain"],
            folder=folder,
            password=PASSWORD,
            tls="ssl" if name in certificates else "",
            certificate=DIRECTIVES.format(certificates[name]) if name in certificates else "",
        )
        for name, port in ports.items()
    ]
    (folder / "nginx.conf").write_text(CONFIGURATION.format(folder=folder, servers="".join(servers)))
    (folder / "users").write_text(f"{USER}:{{PLAIN}}{PASSWORD}\n")
    (folder / "page").write_text("welcome\n")
    (folder / "files").mkdir()
    web = Web(folder=folder, ports=ports)
    with web.started():
        yield web


def _listens(port: int) -> bool:
    with socket.create_connection(("127.0.0.1", port), SECONDS):
        return True
