import pytest

from headrace.engines.engine import ModelInfo
from headrace.openai.models import ModelCard, Models, listed
from headrace.openai.refusals import ModelNotFound

INFO = ModelInfo("engine's own", owned_by="somebody", created=17)
MODELS = Models("tiny", ("tinychat", "tiny"))


def test_each_name_has_a_card() -> None:
    assert MODELS.cards(INFO) == [ModelCard("tiny", 17, "somebody"), ModelCard("tinychat", 17, "somebody")]


def test_the_card_of_a_name_has_that_name() -> None:
    assert MODELS.card("tinychat", INFO) == ModelCard("tinychat", 17, "somebody")


def test_a_name_of_another_model_is_refused_with_those_that_are_here() -> None:
    with pytest.raises(ModelNotFound) as caught:
        MODELS.card("gpt-9", INFO)
    assert caught.value.message == 'the model "gpt-9" does not exist; this server has "tiny", "tinychat"'
    assert caught.value.errors[0]["pointer"] == "/model"


def test_a_known_name_passes() -> None:
    MODELS.check("tiny")


def test_the_list_to_the_letter() -> None:
    assert listed([ModelCard("tiny", 17, "somebody")]) == {
        "object": "list",
        "data": [{"id": "tiny", "object": "model", "created": 17, "owned_by": "somebody"}],
    }
