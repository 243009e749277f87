"""Read the checks, then fork children that read them too: ``python -m tests.support.site.forking CHILDREN``.

Another thread goes on reading meanwhile, so that locks are held and runs are under way when a child is made.
"""

from __future__ import annotations

import os
import signal
import sys
import threading

import django
from django.test import Client

ANSWER_SECONDS = 30
"""How long a child may take; then it counts as deadlocked, and SIGALRM ends it."""


def main(children: int) -> int:
    """Return 0 if the parent and all children answer right."""
    django.setup()
    if not answers_right():
        return 1
    done = threading.Event()
    reader = threading.Thread(target=read_until, args=(done,))
    reader.start()
    try:
        good = all(child_answers_right() for _ in range(children))
    finally:
        done.set()
        reader.join()
    return 0 if good and answers_right() else 1


def answers_right() -> bool:
    """Tell whether this process finds all checks in order."""
    answer = Client(headers={"host": "127.0.0.1"}).get("/health/", {"format": "json"})
    return answer.status_code == 200 and set(answer.json().values()) == {"OK"}


def read_until(done: threading.Event) -> None:
    """Read the checks again and again."""
    while not done.is_set():
        answers_right()


def child_answers_right() -> bool:
    """Tell whether a forked child finds all checks in order."""
    pid = os.fork()
    if pid == 0:
        signal.alarm(ANSWER_SECONDS)
        os._exit(0 if answers_right() else 1)
    return os.waitpid(pid, 0)[1] == 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
