"""The probe for containers: ``python -m health_check.ping URL`` asks a running server how an endpoint is.

It imports neither Django nor ``http.client``, whose modules take longer to load than the server takes to answer.
"""

from __future__ import annotations

import argparse
import socket
import sys
import time
import urllib.parse
from collections.abc import Sequence

EPILOG = """
exit codes:
  0  the endpoint answers with a status from 200 to 299
  1  the endpoint fails: its checks, or the server, say so
  2  wrong usage, no server, no answer in time, or no health endpoint there

examples:
  HEALTHCHECK --timeout=10s \\
    CMD ["python", "-m", "health_check.ping", "http://127.0.0.1:8000/health/"]
  python -m health_check.ping http://127.0.0.1:8000/health/ \\
    --header "Host: shop.example"
  python -m health_check.ping http://localhost/health/ \\
    --unix-socket /run/gunicorn.sock
  python -m health_check.ping https://127.0.0.1:8443/health/ \\
    --server-name shop.example
"""

BODY_BYTES = 4096
"""How much of an answer is shown: what Docker keeps of a probe's output."""

MOST_HEAD_BYTES = 65536
"""How long the head of an answer may be."""

NO_ENDPOINT = {
    400: "the site may refuse this host name; add --header 'Host: NAME' with one of its ALLOWED_HOSTS.",
    401: "the site asks for a login; add --header 'Authorization: Bearer TOKEN'.",
    403: "the site refuses this client; add --header 'Authorization: Bearer TOKEN'.",
}
"""What to do about a status that is no health endpoint's."""


class PingError(Exception):
    """Report why no answer of a health endpoint could be had, and what to do."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Ask a server how an endpoint is, print what it says, and return the exit code.

    Args:
        arguments: Those of the command line; default ``sys.argv``.
    """
    options = _parser().parse_args(arguments)
    try:
        status, body = _ping(options)
    except PingError as error:
        print(error, file=sys.stderr)
        return 2
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # for any locale
    print(f"HTTP {status}", body.strip(), sep="\n" if body.strip() else "")
    return 0 if status < 300 else 1


def _ping(options: argparse.Namespace) -> tuple[int, str]:
    """Return the status and the beginning of the body that an endpoint answers with.

    Raises:
        PingError: If there is no answer in time, or not one of a health endpoint.
    """
    parts = _parts(options.url)
    shown = f"{parts.scheme}://{parts.netloc}{parts.path}"
    until = time.monotonic() + options.timeout
    try:
        with connect(parts, options.timeout, options.unix_socket, options.server_name, options.insecure) as connection:
            connection.sendall(_request(parts, options))
            status, body = _answer(connection, until)
    except (OSError, ValueError) as error:
        raise PingError(f"{shown} {_problem(error, options.timeout)}") from error
    if 300 <= status < 500:
        remedy = NO_ENDPOINT.get(status, "no health endpoint answers there; check the path and its trailing slash.")
        raise PingError(f"{shown} answers HTTP {status}: {remedy}")
    return status, body


def _problem(error: Exception, timeout: float) -> str:
    """Return what is wrong with a server, and what to do."""
    if isinstance(error, TimeoutError):
        return f"did not answer within {timeout:g} s."
    untrusted = getattr(error, "verify_message", "")  # of a class of ssl's, which may not be loaded
    if untrusted:
        remedy = "Add --server-name NAME, as in its certificate, or --insecure."
        return f"has a certificate that is not valid: {untrusted}. {remedy}"
    if isinstance(error, OSError | UnicodeError):
        return f"cannot be reached: {error}. Does the server listen there?"
    return f"does not answer as a web server does: {error}"


def _parts(url: str) -> urllib.parse.SplitResult:
    try:
        parts = urllib.parse.urlsplit(url)
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise PingError("The URL is not usable: give one like http://127.0.0.1:8000/health/.")
    if parts.username is not None:
        raise PingError("The URL has a user or a password: use --header 'Authorization: …' instead.")
    return parts


def connect(
    parts: urllib.parse.SplitResult, timeout: float, unix_socket: str | None, server_name: str | None, insecure: bool
) -> socket.socket:
    """Return a connection to the server of a URL, over TLS where the URL says so.

    Args:
        parts: Those of the URL.
        timeout: For how many seconds to wait for the server.
        unix_socket: Its socket in the file system; default its host and port.
        server_name: The name to ask for, and to verify, over TLS; default the host.
        insecure: Whether its certificate may be any.

    Raises:
        OSError: If there is none to be had.
    """
    if unix_socket is None:
        host = parts.hostname or ""
        address = host.encode() if host.isascii() else host  # of a text Python would load its tables of host names
        port = parts.port or (443 if parts.scheme == "https" else 80)
        connection = socket.create_connection((address, port), timeout)  # type: ignore[arg-type]
    elif hasattr(socket, "AF_UNIX"):
        connection = socket.socket(socket.AF_UNIX)
    else:
        raise OSError("Python has no unix sockets on this system")
    try:
        if unix_socket is not None:
            connection.settimeout(timeout)
            connection.connect(unix_socket)
        if parts.scheme == "http":
            return connection
        import ssl  # loads OpenSSL, which costs more than all else here

        context = ssl.create_default_context()
        if insecure:
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return context.wrap_socket(connection, server_hostname=server_name or parts.hostname)
    except BaseException:
        connection.close()
        raise


def _request(parts: urllib.parse.SplitResult, options: argparse.Namespace) -> bytes:
    """Return a request in HTTP/1.0: the answer then ends with the connection, and is not in chunks."""
    path = urllib.parse.quote(parts.path or "/", safe="/%:@!$&'()*+,;=~")
    query = f"?{urllib.parse.quote(parts.query, safe='/%:@!$&()*+,;=~?')}" if parts.query else ""
    own = {
        "host": f"Host: {options.server_name or parts.netloc}",
        "accept": "Accept: text/plain",
        "user-agent": "User-Agent: health_check.ping",
    }
    given = {header.partition(":")[0].strip().lower(): header for header in options.header}
    lines = [f"GET {path}{query} HTTP/1.0", *{**own, **given}.values(), "", ""]
    return "\r\n".join(lines).encode("latin-1", "replace")


def _answer(connection: socket.socket, until: float) -> tuple[int, str]:
    """Return the status and the beginning of the body, also where they come byte by byte."""
    received = b""
    head, end, body = received.partition(b"\r\n\r\n")
    while len(body) < BODY_BYTES and len(head) < MOST_HEAD_BYTES:
        connection.settimeout(max(until - time.monotonic(), 0.001))
        if not (part := connection.recv(65536)):
            break
        received += part
        head, end, body = received.partition(b"\r\n\r\n")
    words = head.split(None, 2)
    if not end or len(words) < 2 or not words[0].startswith(b"HTTP/") or not words[1].isdigit():
        raise ValueError(f"it said {head[:40].decode(errors='replace')!r}.")
    return int(words[1]), _escaped(body[:BODY_BYTES].decode(errors="replace"))


def _escaped(text: str) -> str:
    """Return the text with what a terminal obeys written as in Python."""
    return "".join(
        letter if letter.isprintable() or letter in "\n\t" else letter.encode("unicode_escape").decode()
        for letter in text.replace("\r\n", "\n")
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m health_check.ping",
        description="Ask a running server how a health endpoint is. For probes of containers:\nit loads no Django.",
        epilog=EPILOG,
        formatter_class=lambda prog: argparse.RawDescriptionHelpFormatter(prog, width=80),  # of the terminal: slow
    )
    parser.add_argument("url", metavar="URL", help="the endpoint, as in http://127.0.0.1:8000/health/")
    parser.add_argument(
        "--timeout", type=_seconds, default=5.0, metavar="SECONDS", help="how long to wait for all of it (default: 5)"
    )
    parser.add_argument(
        "--header",
        type=_header,
        action="append",
        default=[],
        metavar="'NAME: VALUE'",
        help="send this header, too; may be repeated",
    )
    parser.add_argument("--unix-socket", metavar="PATH", help="connect to this socket of the server instead of a port")
    parser.add_argument(
        "--server-name", metavar="NAME", help="name to ask for, and to verify, over TLS (default: the host of the URL)"
    )
    parser.add_argument("--insecure", action="store_true", help="do not verify the certificate of the server")
    return parser


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 < value <= 86400:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds above 0")
    return value


def _header(text: str) -> str:
    name, colon, _ = text.partition(":")
    if not colon or not name.strip().isascii() or not text.isprintable():
        raise argparse.ArgumentTypeError(f"{text!r} is not a header, as in 'Host: shop.example'")
    return text


if __name__ == "__main__":
    sys.exit(main())
