"""The package `ai` of npm: through OpenAI's chat completions and responses, and Anthropic's messages."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from client_cases import ZOO

PROGRAMS = Path(__file__).parent / "node"
PROVIDERS = ["compatible", "chat", "responses", "anthropic"]


@pytest.fixture(scope="module")
def results(node_folder: Path, run: Any) -> dict[str, dict[str, Any]]:
    for program in PROGRAMS.iterdir():  # a program finds packages beside itself
        shutil.copy(program, node_folder)
    made: dict[str, dict[str, Any]] = run("node", node_folder / "ai.mjs")
    return made


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize(
    ("case", "text", "finish"),
    [
        ("text", "Hello, world", "stop"),
        ("whole", "Hello, world", "stop"),
        ("unicode", ZOO, "stop"),
        ("length", "cut", "length"),
    ],
)
def test_what_the_model_says_arrives(results: Any, provider: str, case: str, text: str, finish: str) -> None:
    made = results[f"{provider} {case}"]
    assert (made.get("text"), made.get("finish")) == (text, finish)


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("case", ["text", "whole"])
def test_the_tokens_are_told(results: Any, provider: str, case: str) -> None:
    assert results[f"{provider} {case}"].get("usage") == [3, 2]


@pytest.mark.parametrize("provider", ["compatible", "anthropic"])
def test_what_it_thinks_is_told_apart(results: Any, provider: str) -> None:
    made = results[f"{provider} reasoning"]
    assert (made["reasoning"], made["text"]) == ("Let me see.", "Yes.")


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize(("case", "cities"), [("call", ["Óbidos"]), ("calls", ["Óbidos", "Paris"])])
def test_function_calls_arrive_with_their_arguments_read(
    results: Any, provider: str, case: str, cities: list[str]
) -> None:
    made = results[f"{provider} {case}"]
    assert [[name, given] for _, name, given in made["calls"]] == [["weather", {"city": city}] for city in cities]
    assert made["finish"] == "tool-calls"


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_failure_in_the_middle_is_an_error_after_what_came(results: Any, provider: str) -> None:
    made = results[f"{provider} broken"]
    assert made["text"] == "so far"
    assert "503" in made["error"]


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("status", [400, 429, 500])
def test_a_refusal_is_raised_with_its_status_and_its_words(results: Any, provider: str, status: int) -> None:
    made = results[f"{provider} status {status}"]
    assert (made["name"], made["status"]) == ("AI_APICallError", status)
    assert made["says"]


@pytest.mark.parametrize("provider", PROVIDERS)
def test_the_model_s_place_is_free_within_100_ms_of_leaving(results: Any, provider: str) -> None:
    seconds = results[f"{provider} left"]["freed"]
    assert seconds[len(seconds) // 2] < 0.1, seconds
