"""`headrace dev`; what it does as a process is tested in tests/e2e/test_command.py."""

from typing import Any


def test_the_help_says_what_it_is_for(project: Any) -> None:
    said = " ".join(project.run("dev", "--help").output.split())
    assert "Serve TARGET on this machine while you write it: starts again when a file changes" in said


def test_a_wrong_setting_is_a_mistake_of_use(project: Any) -> None:
    assert project.run("dev", "--port", "70000").exit_code == 2
