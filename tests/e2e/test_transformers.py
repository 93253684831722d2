"""Checkpoints behind the API, in processes of the environment that has torch (`transformers_environment`)."""

import contextlib
import json
import os
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from served import REPOSITORY, Served, receive
from transformers_environment import run_by, transformers_python

pytestmark = pytest.mark.slow

CHECKPOINT = REPOSITORY / "src/headrace/engines/tiny/data"
STARTS_WITHIN = 120.0  # seconds: torch takes some to be imported
FREED_WITHIN = 0.1  # seconds
PATIENCE = 5  # tries: a busy machine only ever adds
ENDLESS = """
import sys
from pathlib import Path
from tiny_checkpoints import byte_level_tokenizer, write_checkpoint
tokenizer = byte_level_tokenizer()
tokenizer.eos_token = None
write_checkpoint(Path(sys.argv[1]), tokenizer, max_position_embeddings=8192, eos_token_id=None)
"""
APP = """
from headrace.engines.transformers.engine import TransformersEngine
from headrace.openai.service import serve
app = serve(TransformersEngine({folder!r}, name="poet", rows=1))
"""


@contextlib.contextmanager
def serving(*arguments: str, folder: Path = REPOSITORY) -> Iterator[Served]:
    served = Served(
        *arguments,
        folder=folder,
        environment={"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"},
        program=run_by(transformers_python()),
    )
    try:
        found = re.search(r"http://[^ ]*?:(\d+)/", served.line_with("➜", STARTS_WITHIN))
        assert found is not None
        served.port = int(found.group(1))
        yield served
        if served.process.poll() is None:
            served.assert_every_stream_ended()
    finally:
        served.stop()


@pytest.fixture(scope="module")
def endless(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A model that never ends by itself, and has a row for one answer at a time."""
    folder = tmp_path_factory.mktemp("endless")
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY / "tests/support")}
    subprocess.run([str(transformers_python()), "-c", ENDLESS, str(folder)], check=True, timeout=120, env=environment)
    (folder / "app.py").write_text(APP.format(folder=str(folder)))
    with serving("run", "app.py:app", "--port", "0", folder=folder) as served:
        yield served


@pytest.fixture(scope="module")
def tinychat() -> Iterator[Served]:
    with serving("run", "--engine", "transformers", "--model", str(CHECKPOINT), "--port", "0") as served:
        yield served


def chat(**more: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": "What is streaming?"}], "temperature": 0, **more}


def records(body: bytes) -> list[Any]:
    lines = [line.removeprefix("data: ") for line in body.decode().split("\n") if line.startswith("data: ")]
    return [json.loads(line) if line.startswith("{") else line for line in lines]


def test_a_checkpoint_is_served_without_any_code(tinychat: Served) -> None:
    status, _, body = tinychat.post("/v1/chat/completions", chat(model="data"))
    assert status == 200, body
    (choice,) = json.loads(body)["choices"]
    assert choice["message"]["content"].startswith("Streaming means sending a response in small pieces")
    assert choice["finish_reason"] == "stop"


def test_an_answer_is_streamed(tinychat: Served) -> None:
    status, _, body = tinychat.post("/v1/chat/completions", chat(model="data", stream=True))
    *chunks, done = records(body)
    text = "".join(chunk["choices"][0]["delta"].get("content") or "" for chunk in chunks)
    assert (status, done, chunks[-1]["choices"][0]["finish_reason"]) == (200, "[DONE]", "stop")
    assert text.startswith("Streaming means sending a response in small pieces")
    assert len(chunks) > 20


def test_a_conversation_beyond_the_context_is_refused_as_the_clients_know_it(tinychat: Served) -> None:
    messages = [{"role": "user", "content": "word " * 3000}]
    status, _, body = tinychat.post("/v1/chat/completions", {"model": "data", "messages": messages})
    error = json.loads(body)["error"]
    assert (status, error["code"], error["param"]) == (400, "context_length_exceeded", "messages")


def test_another_model_is_not_found(tinychat: Served) -> None:
    status, _, body = tinychat.post("/v1/chat/completions", chat(model="gpt-4"))
    assert (status, json.loads(body)["error"]["code"]) == (404, "model_not_found")


def test_a_client_that_leaves_frees_its_row_for_the_next_one(endless: Served) -> None:
    took = []
    while len(took) < PATIENCE and min(took, default=1.0) > FREED_WITHIN:
        asked = {"model": "poet", "prompt": "a", "stream": True, "max_tokens": 8000}
        with contextlib.ExitStack() as opened:
            leaving = endless.send("/v1/completions", asked)
            opened.callback(leaving.close)
            receive(leaving, b"data: ")
            waiting = opened.enter_context(endless.send("/v1/completions", asked))
            endless.until(lambda: endless.metric("headrace_streams_live") == 2, within=5)
            leaving.close()
            left = time.monotonic()
            receive(waiting, b"data: ")
            took.append(time.monotonic() - left)
    assert min(took) <= FREED_WITHIN, took


def test_a_client_that_leaves_while_it_waits_for_a_row_is_not_answered(endless: Served) -> None:
    asked = {"model": "poet", "prompt": "a", "stream": True, "max_tokens": 8000}
    with endless.send("/v1/completions", asked) as running:
        receive(running, b"data: ")
        endless.send("/v1/completions", asked).close()
        endless.until(lambda: endless.metric("headrace_streams_live") == 1, within=5)


def test_a_server_that_is_stopped_stops_the_model() -> None:
    with serving("run", "--engine", "transformers", "--model", str(CHECKPOINT), "--port", "0", "--drain", "1") as own:
        connection = own.send("/v1/chat/completions", chat(model="data", stream=True, max_tokens=900))
        receive(connection, b"data: ")
        assert own.stop() == 0
        connection.close()


def test_a_folder_that_is_no_checkpoint_is_told_and_nothing_starts(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    served = Served(
        *("run", "--engine", "transformers", "--model", str(tmp_path), "--port", "0"),
        program=run_by(transformers_python()),
    )
    assert served.exit_code(within=STARTS_WITHIN) == 3
    assert f"the checkpoint in {tmp_path} cannot be loaded" in "".join(served.output)
