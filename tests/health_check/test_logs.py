"""The log."""

from __future__ import annotations

import pytest

from health_check.logs import details, log_error, log_once


def test_log_once__says_the_same_once(caplog: pytest.LogCaptureFixture) -> None:
    """What a probe meets at every request is logged once, and again when it changes."""
    for text in ("broken", "broken", "worse", "worse", "broken"):
        log_once("page", text, ValueError("no"))
    assert [record.getMessage().splitlines()[0] for record in caplog.records] == ["broken", "worse", "broken"]


def test_log_once__tells_subjects_and_errors_apart(caplog: pytest.LogCaptureFixture) -> None:
    """The same words about something else, or because of another error, are news."""
    log_once("page", "broken", ValueError("no"))
    log_once("store", "broken", ValueError("no"))
    log_once("page", "broken", OSError("no"))
    assert len(caplog.records) == 3


def test_log_once__does_not_remember_for_ever(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Subjects that come with requests do not fill the memory."""
    monkeypatch.setattr("health_check.logs.MOST", 3)
    for number in range(10):
        log_once(str(number), "broken")
    log_once("0", "broken")
    assert len(caplog.records) == 11


def test_log_error__masks_words_and_traceback(caplog: pytest.LogCaptureFixture) -> None:
    """Neither what we say nor what an exception says shows a secret."""
    try:
        raise ValueError("amqp://guest:hunter2@broker/")
    except ValueError as error:
        log_error("token=hunter2", error)
    assert "ValueError" in caplog.text
    assert "hunter2" not in caplog.text


def test_details__without_exception__says_nothing() -> None:
    """No exception, no traceback."""
    assert details(None) == ""
