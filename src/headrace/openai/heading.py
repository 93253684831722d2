"""What is said once of an answer, and repeated in each of its chunks."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Heading:
    """Attributes: `id` with its prefix, `created` in seconds since 1970, `model` as the request named it."""

    id: str
    created: int
    model: str

    @classmethod
    def new(cls, prefix: str, model: str) -> Heading:
        """The heading of an answer that begins now, with a random id."""
        return cls(f"{prefix}-{secrets.token_hex(12)}", int(time.time()), model)

    def members(self, kind: str) -> dict[str, str | int]:
        """The first members of an object of this kind."""
        return {"id": self.id, "object": kind, "created": self.created, "model": self.model}
