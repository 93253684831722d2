"""`headrace run --engine`: a language model without any code of the user's, as a process."""

import json
import signal
from pathlib import Path
from typing import Any

import pytest
from process import children
from served import REPOSITORY, Serve, Served

TINY = REPOSITORY / "src/headrace/engines/tiny/data"


def answer(served: Served, model: str = "tiny") -> str:
    asked = {"model": model, "messages": [{"role": "user", "content": "What is streaming?"}]}
    status, _, body = served.post("/v1/chat/completions", asked)
    assert status == 200, body
    document: dict[str, Any] = json.loads(body)
    text: str = document["choices"][0]["message"]["content"]
    return text


@pytest.mark.parametrize(
    ("command", "flags"),
    [
        pytest.param("run", ("--engine", "tiny"), id="run"),
        pytest.param("run", ("--demo",), id="demo"),
        pytest.param("dev", ("--engine", "tiny", "--model", str(TINY)), id="dev"),
    ],
)
def test_an_engine_is_served_behind_the_api(
    launch: Serve, tmp_path: Path, command: str, flags: tuple[str, ...]
) -> None:
    served = launch(command, *flags, "--port", "0", folder=tmp_path).ready()
    base = f"http://127.0.0.1:{served.port}/"
    served.line_with("POST /v1/chat/completions")
    assert f"· {command} · engine tiny " in served.output[0]
    assert served.output[1] == f'  ➜ {base}        ➜ OpenAI base {base}v1 (model "tiny")\n'
    assert answer(served).startswith("Streaming means")
    status, _, body = served.post("/chat", {"messages": [{"role": "user", "content": "What is streaming?"}]})
    assert (status, body.decode().startswith("Streaming means")) == (200, True)
    served.assert_every_stream_ended()


def test_a_service_of_ones_own_says_where_its_api_is_too(launch: Serve, tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(
        "from headrace.engines.tiny.engine import TinyEngine\n"
        "from headrace.openai.service import serve\n"
        'app = serve(TinyEngine(), name="fox")\n'
    )
    served = launch("run", "--port", "0", folder=tmp_path).ready()
    assert served.output[1].endswith(f'➜ OpenAI base http://127.0.0.1:{served.port}/v1 (model "fox")\n')
    assert answer(served, "fox") != ""
    served.assert_every_stream_ended()


def test_workers_share_an_engine_of_each_their_own(launch: Serve, tmp_path: Path) -> None:
    served = launch("run", "--engine", "tiny", "--workers", "2", "--port", "0", folder=tmp_path).ready()
    assert len(children(served.process.pid)) == 2
    assert answer(served).startswith("Streaming means")
    assert served.stop(signal.SIGTERM) == 0
    assert sum("OpenAI base" in line for line in served.output) == 1


def test_the_engine_comes_from_the_environment_or_the_file(launch: Serve, tmp_path: Path) -> None:
    (tmp_path / "headrace.toml").write_text(f'[headrace]\nengine = "tiny"\nmodel = "{TINY}"\nport = 0\n')
    served = launch("run", "--set", "TinyEngine.name=fox", folder=tmp_path).ready()
    assert answer(served, "fox").startswith("Streaming means")
    served.assert_every_stream_ended()
    (tmp_path / "headrace.toml").unlink()
    environment = {"HEADRACE_ENGINE": "tiny", "HEADRACE_MODEL": "./nowhere"}
    refused = launch("run", "--port", "0", folder=tmp_path, environment=environment)
    assert refused.exit_code() == 3
    assert refused.output == [f"error: the model ./nowhere is not there, seen from {tmp_path}\n"]


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("app.py", "--engine", "tiny"), 2, "error: --engine is for an engine, app.py is code of yours; leave one"),
        (("--engine", "transformers"), 2, "error: the engine transformers needs a model, a folder or name: --model"),
        (("--engine", "tinny"), 2, 'error: there is no engine "tinny". Did you mean "tiny"?'),
        (("--model", "x"), 2, "error: --model is the model of an engine; name it with --engine, or HEADRACE_ENGINE"),
        (("--engine", "tiny", "--model", "./nowhere"), 3, "error: the model ./nowhere is not there, seen from "),
        (("--engine", "tiny", "--workers", "2", "--model", "./nowhere"), 3, "error: the model ./nowhere is not there"),
        (("--engine", "tiny", "--set", "TinyEngine.concurrency=x"), 3, "HR19 TinyEngine.concurrency is int, not 'x'"),
        (("--engine", "tiny", "--model", "."), 3, "HR12 "),
    ],
)
def test_what_cannot_be_served_is_told_without_a_traceback(
    launch: Serve, tmp_path: Path, arguments: tuple[str, ...], code: int, said: str
) -> None:
    served = launch("run", "--port", "0", *arguments, folder=tmp_path)
    assert served.exit_code() == code
    assert any(line.startswith(said) for line in served.output), served.output
    assert "Traceback" not in "".join(served.output)
