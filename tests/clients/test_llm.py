"""The command `llm`, told of the server in its own list of models."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from client_cases import SCRIPTS, ZOO
from served import Served


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, scripted: Served, tiny: Served) -> Path:
    folder = tmp_path_factory.mktemp("llm")
    entry = "- model_id: {name}\n  model_name: {name}\n  api_base: http://127.0.0.1:{port}/v1\n  supports_tools: true\n"
    models = {"scripted": scripted.port, "tiny": tiny.port}
    text = "".join(entry.format(name=name, port=port) for name, port in models.items())
    (folder / "extra-openai-models.yaml").write_text(text)
    return folder


@pytest.fixture(scope="module")
def llm(home: Path, foreign_python: Path) -> Any:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "LLM_USER_PATH": str(home), "OPENAI_API_KEY": "none"}
        command = [str(foreign_python.parent / "llm"), *arguments]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)

    return run


def script(case: str) -> str:
    return json.dumps(SCRIPTS[case])


@pytest.mark.parametrize("flags", [[], ["--no-stream"]])
@pytest.mark.parametrize(("case", "text"), [("text", "Hello, world"), ("unicode", ZOO)])
def test_an_answer_is_printed(llm: Any, flags: list[str], case: str, text: str) -> None:
    done = llm("-m", "scripted", *flags, script(case))
    assert (done.returncode, done.stdout) == (0, text + "\n")


def test_the_tokens_are_told(llm: Any) -> None:
    assert "3 input, 2 output" in llm("-m", "scripted", "--usage", script("text")).stderr


def test_a_function_is_called_and_its_result_sent_back(llm: Any, scripted: Served) -> None:
    tool = "def weather(city: str) -> str:\n    return 'rain in ' + city\n"
    llm("-m", "scripted", "--functions", tool, "--chain-limit", "2", script("call"))
    results = [each for each in scripted.state()["last"]["messages"] if each["role"] == "tool"]
    assert [(each["tool_call_id"], each["content"]) for each in results][:1] == [("call_a", "rain in Óbidos")]


@pytest.mark.parametrize("case", ["broken", "status 400", "status 429"])
def test_a_failure_ends_the_command_with_one(llm: Any, case: str) -> None:
    done = llm("-m", "scripted", script(case))
    assert done.returncode == 1
    assert "Error" in done.stderr


def test_the_built_in_model_answers(llm: Any) -> None:
    done = llm("-m", "tiny", "What is streaming?")
    assert done.returncode == 0
    assert "stream" in done.stdout.lower()
