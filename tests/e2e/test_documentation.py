"""What the README and the pages show is run, and gives what they show."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest
from served import REPOSITORY, Serve

from headrace.services.definition import define

README = (REPOSITORY / "README.md").read_text("utf-8")
BLOCKS = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
CHANGING = re.compile(r's_[A-Za-z0-9_-]{32}|(?<=_ms":)[\d.]+')


def blocks(text: str, language: str) -> list[str]:
    return [body for name, body in BLOCKS.findall(text) if name == language]


CURL = [block for block in blocks(README, "") if block.startswith("$ curl")]


@pytest.mark.parametrize("block", CURL, ids=["text", "sse", "ndjson", "gathered", "mistake"])
def test_the_curl_lines_of_the_readme_print_what_stands_below_them(serve: Serve, tmp_path: Path, block: str) -> None:
    (tmp_path / "app.py").write_text(blocks(README, "python")[0])
    served = serve("app.py", folder=tmp_path)
    line, _, expected = block.partition("\n")
    command = line.removeprefix("$ curl ").replace("localhost:8000", f"127.0.0.1:{served.port}")
    done = subprocess.run(f"curl -sS {command}", shell=True, capture_output=True, text=True, timeout=20, check=True)
    assert CHANGING.sub("#", done.stdout.strip()) == CHANGING.sub("#", expected.strip())


def test_the_readme_shows_five_of_them() -> None:
    assert len(CURL) == 5


def test_the_example_of_the_readme_is_twelve_lines_long() -> None:
    code = [line for line in blocks(README, "python")[0].splitlines() if line]
    assert len(code) <= 12


def test_the_client_of_the_readme_reads_its_service(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(blocks(README, "python")[0])
    served = serve("app.py", folder=tmp_path)
    program = blocks(README, "python")[1].replace("localhost:8000", f"127.0.0.1:{served.port}")
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=20, check=True)
    assert done.stdout == "rain 0\nrain 1\n"


def test_the_service_of_the_readme_calls_the_other_one(serve: Serve, tmp_path: Path) -> None:
    poet, _, shouting, _ = blocks(README, "python")
    (tmp_path / "app.py").write_text(f"{poet}\nfrom headrace import Handle, depends\n\n\n{shouting}")
    served = serve("app.py", folder=tmp_path)
    assert served.post("/shout", {"topic": "rain"})[2] == b"RAIN 0\nRAIN 1\n"


def test_openai_s_client_of_the_readme_reads_the_built_in_model(launch: Serve) -> None:
    served = launch("run", "--demo", "--port", "0").ready()
    program = blocks(README, "python")[3].replace("localhost:8000", f"127.0.0.1:{served.port}")
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout.startswith("Streaming means sending a response in small pieces")
    served.assert_every_stream_ended()


@pytest.mark.parametrize("page", ["docs/quickstart.md"])
def test_every_service_on_the_pages_has_no_mistake(page: str, tmp_path: Path) -> None:
    for number, code in enumerate(blocks((REPOSITORY / page).read_text("utf-8"), "python")):
        path = tmp_path / f"block_{number}.py"
        path.write_text(code)
        spec = importlib.util.spec_from_file_location(path.stem, path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        services = [value for value in vars(module).values() if hasattr(value, "__headrace_service__")]
        assert services, f"{page}: block {number} shows no service"
        assert all(define(service).endpoints for service in services)
