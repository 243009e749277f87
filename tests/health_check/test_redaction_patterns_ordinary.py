"""What looks like a secret to a careless reader, and is none."""

from __future__ import annotations

import pytest

from health_check.redaction import mask


@pytest.mark.parametrize(
    "text",
    [
        "https://example.com/path?mail=a@b.c",
        "https://example.com/a:b@c",
        "https://example.com:8443/user@host",
        "https://[::1]:8443/user@host",
        "http://h:80 and ops@example.com",
        "(http://h:80), ops@example.com",
        '{"url":"http://h:80","mail":"ops@example.com"}',
        "<url>http://h:80</url><mail>ops@example.com</mail>",
        "s3://bucket/user@host/key",
        "redis://h:6379/0 as ops@example.com",
        "mailto:ops@example.com, git@github.com:x/y.git",
        "pkg:npm/x@1.0, repo/img@sha256:0123456789abcdef",
        "worker celery@host: no heartbeat from rabbit@node-1",
        "GET /a/b@c:80/x at 12:30",
    ],
)
def test_address__without_a_secret(text: str) -> None:
    """An "@" in a path, a query or a mail address, and a port after a host, make no userinfo."""
    assert mask(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "password: must not be empty",
        "password: This field is required.",
        "token: expired",
        "the secret is missing; password required",
        "Access denied for user 'shop'@'10.0.0.7' (using password: YES)",
        "Access denied for user 'shop'@'localhost' (using password: NO)",
        'FATAL: password authentication failed for user "shop"',
        "WRONGPASS invalid username-password pair or user is disabled.",
        "NOAUTH Authentication required.",
        "(403) ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN.",
        "(535, b'5.7.8 Username and Password not accepted.')",
        "{'msgtype': 97, 'desc': 'Invalid credentials'}",
        "An error occurred (InvalidAccessKeyId): The AWS Access Key Id you provided does not exist.",
        "SignatureDoesNotMatch: The request signature does not match.",
        "the fields 'password', 'email' are unknown",
        "password > 8 characters, token <= 64",
        "Enter password: ",
        "KeyError: 'token'",
        "keys: ['a', 'b'], primary_key=5, cache_key='x', max_tokens=5",
        "CSRF cookie: not set; Cookie: missing",
        "Basic authentication, token authentication, bearer of news",
        "scikit sk-learn, task-force-of-very-long-names",
        "docker run -u 1000:1000 x --pass-through y",
        "unable to open /run/secrets/token: no such file",
        "DB_PASSWORD_FILE=/run/secrets/db",
        "connection to server at db.example (10.0.0.5), port 5432 failed: timeout expired",
        "ModuleNotFoundError: No module named 'passlib.hash'",
        "Error 111 connecting to cache:6379. Connection refused.",
    ],
)
def test_message__without_a_secret(text: str) -> None:
    """What services and forms say about secrets is no secret, and stays readable."""
    assert mask(text) == text
