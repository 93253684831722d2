"""What stands in a model's text besides the answer: thoughts and function calls, marked as its chat template has it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable

from headrace.engines.events import EngineEvent
from headrace.engines.generation import Generation
from headrace.engines.reasoning import START, opens, with_reasoning
from headrace.engines.tool_calls.calling import with_tool_calls
from headrace.engines.tool_calls.forms import parser_for
from headrace.errors import SetupError

TAIL = 8
"""Tokens at the end of a prompt in which the mark of a thought may stand."""


class Markup:
    """The marks of one model.

    Args:
        template: its chat template; None: it has none.
        tool_parser: the name of a form of calls; None: the one that the template shows.

    Raises:
        SetupError: the template takes no tools, although there is a `tool_parser`; or there is no such form.
    """

    def __init__(self, template: str | None, tool_parser: str | None = None) -> None:
        template = template or ""
        self._has_thoughts = START in template
        self._make_parser = parser_for(tool_parser, template) if "tools" in template else None
        if tool_parser is not None and self._make_parser is None:
            raise SetupError(f"the chat template of this model takes no tools; leave tool_parser={tool_parser!r} out")

    @property
    def tools(self) -> bool:
        """Whether the model can call functions."""
        return self._make_parser is not None

    def marked(self, generation: Generation) -> bool:
        """Whether marks count in the answers to this."""
        return self._thinks(generation) or self._calls(generation)

    def read(
        self, events: AsyncGenerator[EngineEvent, None], generation: Generation, ending: Callable[[], str]
    ) -> AsyncGenerator[EngineEvent, None]:
        """The events with thoughts and calls told apart.

        Args:
            events: the answers; closing what this gives closes them.
            generation: what they answer.
            ending: the text of the prompt's last tokens (`TAIL`); it may have the first mark already.
        """
        if self._thinks(generation):
            events = with_reasoning(events, open=opens(ending()))
        if self._make_parser is not None and self._calls(generation):
            events = with_tool_calls(events, self._make_parser, parallel=generation.parallel_tool_calls)
        return events

    def _thinks(self, generation: Generation) -> bool:
        # An answer that is made to fit a schema has no room for thoughts.
        return self._has_thoughts and generation.messages is not None and generation.response_format is None

    def _calls(self, generation: Generation) -> bool:
        asked = generation.messages is not None and bool(generation.tools) and generation.tool_choice != "none"
        return asked and self.tools
