"""`headrace run`; what it does as a process is tested in tests/e2e/test_command.py."""

import socket
from typing import Any


def test_the_help_says_what_it_is_for(project: Any) -> None:
    said = " ".join(project.run("run", "--help").output.split())
    assert "Serve TARGET in production: no reload, and a port that is taken is an error." in said


def test_a_taken_port_is_an_error(project: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        result = project.write(app="").run("run", "--port", str(listener.getsockname()[1]))
    assert result.exit_code == 3
    assert result.stderr.startswith("HR11 port ")
