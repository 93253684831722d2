"""The models that a service answers for: the names that clients may ask for, and what is told of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from headrace.engines.engine import ModelInfo
from headrace.openai.refusals import model_not_found


@dataclass(frozen=True, slots=True)
class ModelCard:
    """One model. `created` is in seconds since 1970; 0 where nobody knows."""

    id: str
    created: int
    owned_by: str

    def members(self) -> dict[str, Any]:
        """The object of `/v1/models/{model}`."""
        return {"id": self.id, "object": "model", "created": self.created, "owned_by": self.owned_by}


class Models:
    """The one model of a service under all its names.

    Args:
        name: the first of them.
        aliases: further ones.
    """

    def __init__(self, name: str, aliases: Sequence[str] = ()) -> None:
        self._names = tuple(dict.fromkeys((name, *aliases)))

    @property
    def name(self) -> str:
        """The first of its names."""
        return self._names[0]

    def cards(self, info: ModelInfo) -> list[ModelCard]:
        """A card for each name."""
        return [ModelCard(name, info.created, info.owned_by) for name in self._names]

    def check(self, name: str) -> None:
        """Raises ModelNotFound for a name that is none of them."""
        if name not in self._names:
            known = ", ".join(f'"{each}"' for each in self._names)
            raise model_not_found(f'the model "{name[:100]}" does not exist; this server has {known}')

    def card(self, name: str, info: ModelInfo) -> ModelCard:
        """The card of one name; raises ModelNotFound."""
        self.check(name)
        return ModelCard(name, info.created, info.owned_by)


def listed(cards: Sequence[ModelCard]) -> dict[str, Any]:
    """The object of `/v1/models`."""
    return {"object": "list", "data": [card.members() for card in cards]}
