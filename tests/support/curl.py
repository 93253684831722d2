"""The curl lines of a program's docstring, run as a reader of it would, but on another port."""

import ast
import subprocess
from pathlib import Path


def curl_lines(program: Path) -> list[str]:
    """Each line that is a call of curl."""
    document = ast.get_docstring(ast.parse(program.read_text("utf-8"))) or ""
    return [line for line in document.splitlines() if line.startswith("curl ")]


def run_curl(line: str, port: int) -> bytes:
    """What curl prints; fails where curl does, or where the answer is an error."""
    command = line.replace("curl ", "curl -sS --fail-with-body ", 1).replace("localhost:8000", f"127.0.0.1:{port}")
    done = subprocess.run(command, shell=True, capture_output=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
