"""The check of a file storage."""

from __future__ import annotations

import io
import pathlib
from typing import Any, ClassVar

import pytest
from django.core.files.storage import FileSystemStorage, storages
from pytest_django import Settings

from health_check import Storage
from health_check.registry.definitions import label_of


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


@pytest.fixture
def folder(settings: Settings, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    """The folder of the default storage, which is one of files."""
    monkeypatch.setattr(BreakableStorage, "failing", "")
    settings.STORAGES = {
        "default": {"BACKEND": f"{__name__}.BreakableStorage", "OPTIONS": {"location": str(tmp_path)}},
        "memory": {"BACKEND": "django.core.files.storage.InMemoryStorage"},
        "broken": {"BACKEND": "no.such.Storage"},
    }
    return tmp_path


def errors_of(check: Storage) -> list[str]:
    """Return the texts of the errors of a run."""
    check.run_check()
    return [str(error) for error in check.errors]


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("alias", ["default", "memory"])
def test_check__ok(alias: str) -> None:
    """A storage that keeps what it is given is in order."""
    assert errors_of(Storage(alias=alias)) == []


def test_check__leaves_nothing(folder: pathlib.Path) -> None:
    """Neither a file nor a folder is left behind."""
    assert errors_of(Storage()) == []
    assert list(folder.rglob("*")) == []


def test_check__wrong_options(settings: Settings) -> None:
    """A storage whose backend refuses its options is told as such."""
    backend = "django.core.files.storage.FileSystemStorage"
    settings.STORAGES = {**settings.STORAGES, "wrong": {"BACKEND": backend, "OPTIONS": {"nonsense": 1}}}
    assert errors_of(Storage("wrong")) == ["unavailable: the storage 'wrong' cannot be used (TypeError)"]


@pytest.mark.usefixtures("folder")
def test_check__leaves_nothing_in_memory() -> None:
    """Neither a file nor a folder is left in a storage in memory."""
    assert errors_of(Storage(alias="memory")) == []
    assert storages["memory"].listdir("") == ([], [])


@pytest.mark.parametrize(
    ("failing", "words"),
    [
        ("save", "cannot save a file ("),
        ("exists", "cannot save a file ("),
        ("lost", "the file is not there after saving it"),
        ("open", "cannot read the file ("),
        ("content", "the file does not hold what was saved"),
    ],
)
def test_check__fails(folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch, failing: str, words: str) -> None:
    """A storage that fails at any step is unavailable; the step is named, its words are not shown, no file is left."""
    monkeypatch.setattr(BreakableStorage, "failing", failing)
    [error] = errors_of(Storage())
    assert error.startswith(f"unavailable: {words}")
    assert "internal" not in error
    assert [path for path in folder.rglob("*") if path.is_file()] == []


def test_check__cannot_delete(folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A storage that does not delete is unavailable."""
    monkeypatch.setattr(BreakableStorage, "delete", lambda storage, name: None)
    [error] = errors_of(Storage())
    assert error.startswith("unavailable: ")
    assert "delet" in error


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("alias", ["missing", "broken"])
def test_check__no_such_storage(alias: str) -> None:
    """An alias that is missing, or whose backend is, gives an error that names the alias."""
    [error] = errors_of(Storage(alias=alias))
    assert error.startswith("unavailable: ")
    assert f"'{alias}'" in error


def test_check__files_of_its_own(folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each run has a file of its own, and does no harm to others."""
    names: list[str] = []
    save = BreakableStorage.save

    def noting(storage: BreakableStorage, name: str, content: Any, max_length: int | None = None) -> str:
        names.append(name)
        return save(storage, name, content, max_length)

    monkeypatch.setattr(BreakableStorage, "save", noting)
    (folder / "picture.png").write_bytes(b"picture")
    for _ in range(2):
        assert errors_of(Storage()) == []
    assert len(set(names)) == 2
    assert (folder / "picture.png").read_bytes() == b"picture"


def test_check__name_and_content_overridden(folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A subclass may say where the file is and what is in it, and no file is left even if it is an existing one."""
    contents: list[bytes] = []

    class Own(Storage):
        def get_file_name(self) -> str:
            return "own/name.txt"

        def get_file_content(self) -> bytes:
            contents.append(b"own content")
            return contents[-1]

    assert errors_of(Own()) == []
    assert contents == [b"own content"]
    assert [path for path in folder.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize(
    ("check", "label"),
    [(Storage(), "Storage"), (Storage("default"), "Storage"), (Storage(alias="media"), "Storage(alias='media')")],
)
def test_label__alias_alone(check: Storage, label: str) -> None:
    """The label has the alias where it is not the default."""
    assert label_of(check) == label
