"""Every example starts, and the curl lines of its docstring work."""

import ast
import subprocess
from pathlib import Path

import pytest
from served import REPOSITORY, Serve
from speech import speak

EXAMPLES = sorted((REPOSITORY / "examples").glob("*.py"))


def curl_lines(example: Path) -> list[str]:
    document = ast.get_docstring(ast.parse(example.read_text("utf-8"))) or ""
    return [line.strip().removeprefix("curl ") for line in document.splitlines() if line.strip().startswith("curl ")]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_the_curl_lines_of_an_example_work(serve: Serve, tmp_path: Path, example: Path) -> None:
    (tmp_path / "README.md").write_text("a text to send")
    (tmp_path / "speech.wav").write_bytes(speak("It was a long time ago.").wav())
    served = serve(str(example))
    lines = curl_lines(example)
    assert lines
    for line in lines:
        command = f"curl -sS --fail-with-body {line.replace('localhost:8000', f'127.0.0.1:{served.port}')}"
        done = subprocess.run(command, shell=True, capture_output=True, timeout=30, cwd=tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr
        assert done.stdout or (tmp_path / "tone.wav").stat().st_size == 44 + 8000
