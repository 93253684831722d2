"""The age of a process."""

import time

from headrace.cli.age import process_age, started_ago

# proc_pid_stat(5), of a process whose command is `) R 1 (`; it was started 5,000 ticks after boot.
STAT = "4711 () R 1 () S 1 4711 4711 0 -1 4194304 1 0 0 0 3 1 0 0 20 0 1 0 5000 12345678 900 18446744073709551615 1 1\n"


def test_the_start_is_the_22nd_field_whatever_the_command_is_called() -> None:
    assert started_ago(STAT, ticks_per_second=100, since_boot=52.5) == 2.5


def test_an_age_is_never_negative() -> None:
    assert started_ago(STAT, ticks_per_second=100, since_boot=49.99) == 0.0


def test_this_process_is_older_than_its_cpu_time_on_one_core() -> None:
    assert process_age() > time.thread_time()
