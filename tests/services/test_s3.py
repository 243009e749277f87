"""The check of an object storage, against one that speaks S3."""

from __future__ import annotations

import logging
import pathlib
from collections.abc import Iterator
from typing import Any

import pytest
from pytest_django import Settings

from health_check.contrib.s3 import S3
from tests.support.checked import BUDGET_SECONDS, RUNS, errors_of, nothing_left, seen_of
from tests.support.client import eventually
from tests.support.objects import BUCKET, REGION, Key, Objects, object_storage

pytestmark = [pytest.mark.server, pytest.mark.timeout(300)]

ANYBODY = Key(id="planted-id", secret="planted-secret-7d1f")
"""A key for a storage that asks for none."""

KINDS = pytest.mark.parametrize("read_only", [False, True], ids=["writing", "listing"])


@pytest.fixture(scope="module")
def objects(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Objects]:
    """An object storage that lets everybody in."""
    with object_storage(tmp_path_factory.mktemp("moto")) as objects:
        yield objects


def store_in(settings: Settings, objects: Objects, key: Key = ANYBODY, bucket: str = BUCKET, **options: Any) -> None:
    """Make a bucket the site's default storage."""
    known = {"access_key": key.id, "secret_key": key.secret, "region_name": REGION, "signature_version": "s3v4"}
    place = {"bucket_name": bucket, "endpoint_url": objects.url}
    settings.STORAGES = {
        "default": {"BACKEND": "storages.backends.s3.S3Storage", "OPTIONS": {**known, **place, **options}},
        "files": {"BACKEND": "django.core.files.storage.InMemoryStorage"},
    }


@KINDS
@pytest.mark.parametrize("options", [{}, {"location": "media", "file_overwrite": False, "gzip": True}])
def test_s3__ok(objects: Objects, settings: Settings, read_only: bool, options: dict[str, Any]) -> None:
    """A bucket that can be used is in order, and as empty as before."""
    store_in(settings, objects, **options)
    assert errors_of(S3(read_only=read_only)) == []
    assert objects.names() == []


@KINDS
def test_s3__no_such_bucket(objects: Objects, settings: Settings, read_only: bool) -> None:
    """A bucket that is not there is told by the storage's own code, without its name."""
    store_in(settings, objects, bucket="planted-missing")
    [error] = errors_of(S3(read_only=read_only))
    assert error.startswith("unavailable: the object storage refused ")
    assert error.endswith(" (HTTP 404, NoSuchBucket)")


@KINDS
def test_s3__paused_and_on_again(objects: Objects, settings: Settings, read_only: bool) -> None:
    """A storage that does nothing is told in time, and in order again as soon as it goes on."""
    store_in(settings, objects)
    check = S3(read_only=read_only, timeout=BUDGET_SECONDS)
    objects.pause()
    try:
        assert errors_of(check) == ["unavailable: the object storage did not answer in time"]
    finally:
        objects.resume()
    eventually(lambda: errors_of(S3(read_only=read_only)) == [], what="a storage in order")


def test_s3__killed_and_started_again(tmp_path: pathlib.Path, settings: Settings) -> None:
    """A storage that is gone is told at once, and in order when it is back."""
    with object_storage(tmp_path) as objects:
        store_in(settings, objects)
        objects.kill()
        for read_only in (False, True):
            [error] = errors_of(S3(read_only=read_only, timeout=BUDGET_SECONDS))
            assert error == "unavailable: cannot reach the object storage (EndpointConnectionError)"
        objects.start()
        assert errors_of(S3()) == []


def test_s3__rights(tmp_path: pathlib.Path, settings: Settings, caplog: pytest.LogCaptureFixture) -> None:
    """Who may only list a bucket can check just that; an unknown key and a wrong secret are told, and not shown."""
    caplog.set_level(logging.INFO)
    with object_storage(tmp_path) as objects:
        key = objects.let_in(["s3:ListBucket", "s3:GetObject"])
        store_in(settings, objects, key)
        assert errors_of(S3(read_only=True)) == []
        [error] = errors_of(S3())
        assert error == "unavailable: the object storage refused PutObject (HTTP 403, AccessDenied)"
        for wrong in (Key(id="planted-id", secret=key.secret), Key(id=key.id, secret="planted-wrong")):
            store_in(settings, objects, wrong)
            [error] = errors_of(S3(read_only=True))
            assert error.startswith("unavailable: the object storage refused ListObjectsV2 (HTTP 403, ")
            assert key.secret not in caplog.text + error + seen_of(S3(read_only=True)).logged
            assert "planted" not in caplog.text + error


@pytest.mark.parametrize(
    ("alias", "error"),
    [
        ("files", "unavailable: the storage 'files' is not one of django-storages' S3Storage"),
        ("missing", "unavailable: the storage 'missing' is not in STORAGES, or its backend cannot be loaded"),
    ],
)
def test_s3__another_storage(objects: Objects, settings: Settings, alias: str, error: str) -> None:
    """A storage of another kind, or that is not configured, is told."""
    store_in(settings, objects)
    assert errors_of(S3(alias=alias)) == [error]


def test_s3__no_credentials(
    objects: Objects, settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path
) -> None:
    """Where nobody has configured a key, that is told."""
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    store_in(settings, objects, access_key=None, secret_key=None)
    assert errors_of(S3()) == ["unavailable: there are no credentials for the object storage"]


@pytest.mark.timeout(600)
def test_s3__leaves_nothing(objects: Objects, settings: Settings) -> None:
    """After many runs, good and bad, there is no object, connection, file or thread that was not there before."""
    store_in(settings, objects)
    assert errors_of(S3()) == []
    with nothing_left():
        for _ in range(RUNS):
            S3().run_check()
        for _ in range(3):
            S3(read_only=True).run_check()
    assert objects.names() == []
