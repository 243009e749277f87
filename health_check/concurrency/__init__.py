"""Threads, futures, timers and clocks: the one place that knows of gevent, forks and the end of a process."""
