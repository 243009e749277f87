"""Real servers, sent anything: they go on, and what our site answers and prints gives no secret away."""

from __future__ import annotations

import collections
import concurrent.futures
import contextlib
import dataclasses
import pathlib

import pytest

from tests.support.client import get
from tests.support.fuzz_bytes import Raw, asked, raw_of
from tests.support.fuzz_requests import AT_ONCE, SECONDS, fuzz
from tests.support.fuzz_rules import LEAKS, Judge, assert_nothing_shown, assert_well_formed
from tests.support.repetitions import times
from tests.support.servers import Server, gunicorn, uvicorn

pytestmark = [pytest.mark.server, pytest.mark.timeout(SECONDS)]

EXAMPLES = 125

CRASHES = ["Exception in ASGI application", "Error handling request", "Internal Server Error: ", "Exception ignored"]
"""What servers and Django print when something got past us."""


def planted(server: str, kind: str, folder: pathlib.Path) -> contextlib.AbstractContextManager[Server]:
    """Serve the site that has secrets everywhere."""
    environment = {
        "DJANGO_SETTINGS_MODULE": "tests.support.site.planted_settings",
        "TEST_SITE_KIND": kind,
        "PLANTED_PASSWORD": LEAKS[0],
    }
    if server == "gunicorn":
        return gunicorn(folder, environment, application="django.core.wsgi:get_wsgi_application()")
    options = ["--no-access-log", "--no-proxy-headers", "--factory"]
    return uvicorn(folder, environment, *options, application="django.core.asgi:get_asgi_application")


@pytest.mark.parametrize(("server", "kind"), [("gunicorn", "first"), ("uvicorn", "plain")])
def test_fuzz__raw(server: str, kind: str, tmp_path: pathlib.Path) -> None:
    """Whatever is sent, a request or none, the server goes on, and no secret is in what it sends or prints."""
    judge = Judge(gets_through=kind == "first")
    others: collections.Counter[int] = collections.Counter()
    with planted(server, kind, tmp_path) as site, concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        host, port = site.address.split(":")

        @fuzz(raw_of, examples=EXAMPLES, name=server)
        def check(raws: list[Raw]) -> None:
            for raw, answer in zip(raws, pool.map(lambda raw: asked((host, int(port)), raw), raws), strict=True):
                if raw.request is not None:
                    assert answer is not None
                    judge.judge(dataclasses.replace(raw.request, peer="127.0.0.1"), answer)
                    assert raw.method != "HEAD" or not answer.body
                    continue
                others[answer.status if answer else 0] += 1
                if answer is not None:
                    assert_nothing_shown(answer)
                    if answer.status == 500 and answer.body:
                        assert_well_formed(answer)

        check()
        assert get(f"{site.url}/health/live/").status == 200
        printed = site.output()
    assert [word for word in (*LEAKS, *CRASHES) if word in printed] == []
    print(f"{server}: {judge}\nno proper requests: {dict(sorted(others.items()))}")
    assert judge.inputs + others.total() >= times(EXAMPLES) * AT_ONCE
