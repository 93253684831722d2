"""From an engine's name to the service that is served."""

import inspect
from pathlib import Path
from typing import Any

import pytest

from headrace.cli.engine_choice import EngineChoice
from headrace.cli.engine_loading import load_engine
from headrace.cli.loading import load_bound
from headrace.engines.tiny.engine import CHECKPOINT, TinyEngine
from headrace.errors import DefinitionError, SetupError
from headrace.openai.service import LanguageModel
from headrace.server.app import Application
from headrace.services.definition import define

TINY = EngineChoice("tiny")


def constructed(choice: EngineChoice, **assignments: str) -> Any:
    bound = load_bound(choice, {name.replace("__", "."): text for name, text in assignments.items()})
    return bound.service(*bound.args, **bound.kwargs)


def test_an_engine_is_served_as_a_language_model() -> None:
    bound = load_engine(TINY, {})
    assert bound.service is LanguageModel
    assert isinstance(bound.args[0], TinyEngine)
    assert "/v1/chat/completions" in [endpoint.path for endpoint in define(bound).endpoints]


def test_the_built_in_model_takes_its_likeliest_tokens_unless_told() -> None:
    bound = load_engine(TINY, {})
    assert inspect.signature(bound.service).bind(*bound.args, **bound.kwargs).arguments["temperature"] == 0.0


async def test_what_is_loaded_answers() -> None:
    application = Application(load_engine(EngineChoice("tiny", str(CHECKPOINT)), {}))
    async with application.runtime:
        assert application.runtime.healthy


def test_assignments_reach_the_engine_and_the_service() -> None:
    assert constructed(TINY).name == "tiny"
    assert constructed(TINY, TinyEngine__name="fox").name == "fox"
    assert constructed(TINY, TinyEngine__name="fox", LanguageModel__name="wolf").name == "wolf"


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("TinyEngine.nmae", 'HR19 TinyEngine.__init__ has no "nmae". Did you mean "name"?'),
        ("TinyEngine.concurrency", "HR19 TinyEngine.concurrency is int, not 'x'"),
        ("Chat.name", 'HR19 there is no service "Chat" here'),
    ],
)
def test_an_assignment_that_does_not_fit_is_refused(key: str, message: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        load_engine(TINY, {key: "x"})
    assert str(caught.value).startswith(message)


def test_a_model_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="the model /nowhere/qwen is not there"):
        load_engine(EngineChoice("tiny", "/nowhere/qwen"), {})
