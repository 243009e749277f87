"""The log."""

from __future__ import annotations

import pytest

from health_check.logs import details, log_error, log_once


def test_log_once__says_the_same_once(caplog: pytest.LogCaptureFixture) -> None:
    """What a probe meets at every request is logged once, and again when words, subject or error are others."""
    for text in ("broken", "broken", "worse", "worse", "broken"):
        log_once("page", text, ValueError("no"))
    log_once("store", "broken", ValueError("no"))
    log_once("page", "broken", OSError("no"))
    said = [record.getMessage().splitlines()[0] for record in caplog.records]
    assert said == ["broken", "worse", "broken", "broken", "broken"]


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
    assert details(None) == ""
    assert "hunter2" not in caplog.text
