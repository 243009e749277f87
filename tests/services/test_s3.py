"""The check of an object storage, against one that speaks S3."""

from __future__ import annotations

import logging
import pathlib
import re
from collections.abc import Iterator
from typing import Any

import pytest
from pytest_django import Settings

from health_check.contrib.s3 import S3
from tests.services.contract import Contract, LastingContract, Service
from tests.support.checked import BUDGET_SECONDS, errors_of, seen_of
from tests.support.objects import BUCKET, REGION, Key, Objects, object_storage
from tests.support.repetitions import long, times

pytestmark = [pytest.mark.server, pytest.mark.timeout(300)]

ANYBODY = Key(id="planted-id", secret="planted-secret-7d1f")
"""A key for a storage that asks for none."""

GONE = "unavailable: cannot reach the object storage (EndpointConnectionError)"

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
def test_s3__bucket_or_none(objects: Objects, settings: Settings, read_only: bool) -> None:
    """A bucket that can be used is in order, and as empty as before; a missing one is told by the storage's code."""
    store_in(settings, objects, location="media", file_overwrite=False, gzip=True)
    assert errors_of(S3(read_only=read_only)) == []
    assert objects.names() == []
    store_in(settings, objects, bucket="planted-missing")
    [error] = errors_of(S3(read_only=read_only))
    assert error.startswith("unavailable: the object storage refused ")
    assert error.endswith(" (HTTP 404, NoSuchBucket)")
    store_in(settings, objects, endpoint_url="http://127.0.0.1:1")
    assert errors_of(S3(read_only=read_only)) == [GONE]


@pytest.fixture(params=[False, long(True)], ids=["writing", "listing"])
def service(objects: Objects, settings: Settings, request: pytest.FixtureRequest) -> Service:
    """An object storage, and the check of it, which writes or not."""
    store_in(settings, objects)
    return Service(
        server=objects,
        build=lambda: S3(read_only=request.param, timeout=BUDGET_SECONDS),
        silent="unavailable: the object storage did not answer in time",
        gone=re.escape(GONE),
        left=lambda: {"objects": len(objects.names())},
        runs=times(10),
    )


class TestContract(LastingContract):
    """The check of an object storage."""


@pytest.mark.long
class TestKilled(Contract):
    """The same, and after a start that takes seconds."""


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


def test_s3__cannot_be_used(
    objects: Objects, settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path
) -> None:
    """A storage of another kind, and one for which nobody has configured a key, is told."""
    store_in(settings, objects, access_key=None, secret_key=None)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    assert errors_of(S3()) == ["unavailable: there are no credentials for the object storage"]
    [error] = errors_of(S3(alias="files"))
    assert error == "unavailable: the storage 'files' is not one of django-storages' S3Storage"
