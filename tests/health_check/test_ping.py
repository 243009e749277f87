"""``python -m health_check.ping``."""

from __future__ import annotations

import http.server
import pathlib
import socketserver
import subprocess
import sys
import threading

import pytest

from health_check import ping
from tests.support.servers import ROOT, clean_environment
from tests.support.small_servers import free_address, says, serving, silent_address, stalls_after_headers

MOST_KIBIBYTES = 20_000
FORBIDDEN = ("django", "http.client", "asyncio", "ssl", "importlib.metadata")
"""What takes longer to load than a server takes to answer."""


@pytest.mark.parametrize(
    ("status", "body", "code", "said"),
    [
        (200, b"Database: OK\n", 0, "HTTP 200\nDatabase: OK\n"),
        (204, b"", 0, "HTTP 204\n"),
        (500, "Search: zu spät\n".encode(), 1, "HTTP 500\nSearch: zu spät\n"),
        (503, b"\xff" * 9000, 1, f"HTTP 503\n{'�' * 4096}\n"),
        (500, "\x1b[2J\x9b\u202eOK\r\nx".encode(), 1, "HTTP 500\n\\x1b[2J\\x9b\\u202eOK\nx\n"),
    ],
)
def test_main__what_the_server_says(
    status: int, body: bytes, code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The status decides the exit code; the answer is printed, as much of it as Docker keeps."""
    with serving(says(status, body)) as server:
        assert ping.main([server.url]) == code
    assert capsys.readouterr() == (said, "")
    ((path, headers),) = server.requests
    assert (path, headers["Host"], headers["Accept"]) == ("/health/", server.address, "text/plain")


@pytest.mark.parametrize(
    ("status", "words"),
    [(400, "ALLOWED_HOSTS"), (401, "Bearer TOKEN"), (403, "Bearer TOKEN"), (404, "slash"), (302, "check the path")],
)
def test_main__no_health_endpoint(status: int, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A status that no health endpoint has is exit code 2, with the remedy."""
    with serving(says(status, b"", Location="/login/")) as server:
        assert ping.main([f"{server.url}?token=planted"]) == 2
    out, err = capsys.readouterr()
    assert (out, f"{server.url} answers HTTP {status}: " in err, words in err) == ("", True, True)
    assert "planted" not in err


class Rude(socketserver.BaseRequestHandler):
    """Speaks another protocol."""

    def handle(self) -> None:
        self.request.recv(1000)
        self.request.sendall(b"220 mail.example ESMTP\r\n")


def test_main__no_answer(capsys: pytest.CaptureFixture[str]) -> None:
    """No server, a silent one, one that stalls and one that is no web server are exit code 2, in time."""
    assert ping.main([f"http://{free_address()}/health/"]) == 2
    with silent_address() as address:
        assert ping.main([f"http://{address}/", "--timeout", "0.1"]) == 2
    with serving(stalls_after_headers(200)) as server:
        assert ping.main([server.url, "--timeout", "0.1"]) == 2
    with socketserver.TCPServer(("127.0.0.1", 0), Rude) as other:
        threading.Thread(target=other.handle_request).start()
        assert ping.main([f"http://127.0.0.1:{other.server_address[1]}/"]) == 2
    told = capsys.readouterr().err.splitlines()
    assert "Connection refused. Does the server listen there?" in told[0]
    assert [line.endswith("did not answer within 0.1 s.") for line in told[1:3]] == [True, True]
    assert "does not answer as a web server does: it said '220 mail.example ESMTP" in told[3]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["127.0.0.1:8000"], "give one like http://127.0.0.1:8000/health/"),
        (["ftp://127.0.0.1/"], "give one like"),
        (["http://[::1/"], "give one like"),
        (["http://127.0.0.1:99999/"], "give one like"),
        (["http://user:planted@127.0.0.1/"], "use --header 'Authorization: …'"),
        (["http://127.0.0.1/", "--timeout", "0"], "'0' is not a number of seconds above 0"),
        (["http://127.0.0.1/", "--header", "nonsense"], "'nonsense' is not a header"),
        (["http://127.0.0.1/", "--header", "A: b\r\nC: d"], "is not a header"),
        (["http://xn--/\x00/"], "cannot be reached"),
        ([f"http://{'a' * 64}.example/"], "cannot be reached"),
        ([], "URL"),
    ],
)
def test_main__wrong_usage(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Wrong usage is exit code 2 and a sentence; no password is repeated."""
    try:
        code: object = ping.main(arguments)
    except SystemExit as exit_:
        code = exit_.code
    out, err = capsys.readouterr()
    assert (code, out) == (2, "")
    assert words in err
    assert "planted" not in err


def test_main__headers_and_paths() -> None:
    """Headers that are given replace ours, and what a URL may not hold is encoded."""
    with serving(says(200, b"")) as server:
        url = f"http://{server.address}/prüfung/?check=Search(index='a b')"
        assert ping.main([url, "--header", "host: shop.example", "--header", "Authorization: Bearer x"]) == 0
    ((path, headers),) = server.requests
    assert path == "/pr%C3%BCfung/?check=Search(index=%27a%20b%27)"
    assert headers.get_all("Host") == ["shop.example"]
    assert headers["Authorization"] == "Bearer x"


def test_main__unix_socket(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that listens on a socket of the file system is asked there."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(503)
            self.end_headers()

        def address_string(self) -> str:
            return "local"

    monkeypatch.chdir(tmp_path)  # paths of sockets are short
    with socketserver.UnixStreamServer("site.sock", Handler) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        assert ping.main(["http://localhost/health/", "--unix-socket", "site.sock"]) == 1
        thread.join()


def test_module__costs_little() -> None:
    """As a process of its own it loads nothing that is slow to load, and stays under 20 MB."""
    program = (
        "import pathlib, re, runpy, sys; sys.argv[0] = 'ping'\n"
        "try: runpy.run_module('health_check.ping', run_name='__main__')\n"
        "finally:\n"
        f"    print([name for name in {FORBIDDEN!r} if name in sys.modules])\n"
        "    print(re.search(r'VmHWM:\\s+(\\d+)', pathlib.Path('/proc/self/status').read_text())[1])"
    )
    with serving(says(200, b"Database: OK\n")) as server:
        command = [sys.executable, "-c", program, server.url]
        done = subprocess.run(
            command, cwd=ROOT, env=clean_environment(), capture_output=True, text=True, check=False, timeout=60
        )
    assert done.returncode == 0, done.stderr
    *said, loaded, kibibytes = done.stdout.splitlines()
    assert (said, loaded) == (["HTTP 200", "Database: OK"], "[]")
    assert int(kibibytes) < MOST_KIBIBYTES
