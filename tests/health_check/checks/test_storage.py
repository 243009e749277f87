"""The check of a file storage."""

from __future__ import annotations

import io
import pathlib
from typing import Any, ClassVar

import pytest
from django.core.files.storage import FileSystemStorage, storages
from pytest_django import Settings

from health_check import Storage
from tests.support.checks import messages_of


class BreakableStorage(FileSystemStorage):
    """A storage of files that fails where it is told to."""

    failing: ClassVar[str] = ""

    def save(self, name: Any, content: Any, max_length: int | None = None) -> str:
        saved = super().save(name, content, max_length)
        if self.failing == "save":
            raise OSError("cannot write to bucket.internal")
        return saved

    def exists(self, name: str) -> bool:
        if self.failing == "exists":
            raise OSError("cannot look into bucket.internal")
        return self.failing != "lost" and super().exists(name)

    def open(self, name: str, mode: str = "rb") -> Any:
        if self.failing == "open":
            raise OSError("cannot read from bucket.internal")
        return io.BytesIO(b"something else") if self.failing == "content" else super().open(name, mode)

    def delete(self, name: str) -> None:
        if self.failing != "delete":
            super().delete(name)


@pytest.fixture
def folder(settings: Settings, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    """The folder of the default storage, which is one of files."""
    monkeypatch.setattr(BreakableStorage, "failing", "")
    settings.STORAGES = {
        "default": {"BACKEND": f"{__name__}.BreakableStorage", "OPTIONS": {"location": str(tmp_path)}},
        "memory": {"BACKEND": "django.core.files.storage.InMemoryStorage"},
        "broken": {"BACKEND": "no.such.Storage"},
        "wrong": {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": {"nonsense": 1}},
    }
    return tmp_path


def test_check__leaves_nothing(folder: pathlib.Path) -> None:
    """A storage that keeps what it is given is in order; the file of each run is its own, and not left."""
    assert Storage().get_file_name() != Storage().get_file_name()
    assert messages_of(Storage()) == []
    assert list(folder.rglob("*")) == []
    assert messages_of(Storage(alias="memory")) == []
    assert storages["memory"].listdir("") == ([], [])


@pytest.mark.parametrize(
    ("failing", "words"),
    [
        ("save", "cannot save a file ("),
        ("exists", "cannot save a file ("),
        ("lost", "the file is not there after saving it"),
        ("open", "cannot read the file ("),
        ("content", "the file does not hold what was saved"),
        ("delete", "the file is still there after deleting it"),
    ],
)
def test_check__fails(folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch, failing: str, words: str) -> None:
    """A storage that fails at any step is unavailable; the step is named, its words are not shown, no file is left."""
    monkeypatch.setattr(BreakableStorage, "failing", failing)
    [error] = messages_of(Storage())
    assert error.startswith(f"unavailable: {words}")
    assert "internal" not in error
    assert failing == "delete" or [path for path in folder.rglob("*") if path.is_file()] == []


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("alias", "words"),
    [
        ("missing", "is not in STORAGES, or its backend cannot be loaded"),
        ("broken", "is not in STORAGES, or its backend cannot be loaded"),
        ("wrong", "cannot be used (TypeError)"),
    ],
)
def test_check__no_such_storage(alias: str, words: str) -> None:
    """An alias that is missing, or whose backend is, or refuses its options, gives an error that names the alias."""
    assert messages_of(Storage(alias)) == [f"unavailable: the storage {alias!r} {words}"]


def test_check__name_and_content_overridden(folder: pathlib.Path) -> None:
    """A subclass may say where the file is and what is in it; the file of that name that is there already stays."""
    contents: list[bytes] = []

    class Own(Storage):
        def get_file_name(self) -> str:
            return "picture.png"

        def get_file_content(self) -> bytes:
            contents.append(b"own content")
            return contents[-1]

    (folder / "picture.png").write_bytes(b"picture")
    assert messages_of(Own()) == []
    assert contents == [b"own content"]
    assert [path.read_bytes() for path in folder.rglob("*")] == [b"picture"]
