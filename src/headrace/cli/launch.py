"""One start of a server, as the command line asked for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from headrace.cli.engine_choice import EngineChoice
from headrace.cli.target import Location
from headrace.config import Settings


@dataclass(frozen=True, slots=True)
class Launch:
    """What is served and how.

    Attributes:
        mode: the subcommand.
        source: where the service comes from.
        assignments: constructor arguments, as texts by `Class.parameter`.
        settings: of the server.
    """

    mode: str
    source: Location | EngineChoice
    assignments: Mapping[str, str]
    settings: Settings

    @property
    def title(self) -> str:
        """The mode as a server shows it, with its workers where there are several."""
        several = self.settings.workers > 1 and not self.settings.reload
        return f"{self.mode} · {self.settings.workers} workers" if several else self.mode
