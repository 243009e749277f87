"""Signals for those who want to react to what checks say.

They are sent by the process that ran the check, on a thread of their own: a receiver that raises or takes long holds
up nothing but later signals. Inside Django's test environment they are sent at once.

``check_finished``
    A run of a check has its outcome. Arguments: ``sender``, the class of the check; ``label``; ``result``, a
    ``health_check.records.Result``; ``record``, the check's record with it.

``state_changed``
    The state of a check became another one. Arguments as above, and ``previous_state`` and ``state``, of
    ``health_check.records.State``; ``previous_state`` is ``unknown`` at the first run.
"""

from django.dispatch import Signal

check_finished = Signal()
state_changed = Signal()
