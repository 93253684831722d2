"""Makes the tokens of a prompt: a text as it is, a conversation through the checkpoint's chat template.

The template writes the control tokens (who speaks, where a turn ends); where the same characters stand in a message,
they are encoded as ordinary text, so that nobody can end their own turn and speak as somebody else.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from typing import Any

import jinja2

from headrace.engines.arguments import check_length, check_tokens, too_long
from headrace.engines.generation import Generation, Message, Tool, ToolCall
from headrace.engines.refusals import entry, refusal


class Prompts:
    """The tokenizer of a checkpoint, for reading. Threads may use it beside each other.

    Args:
        tokenizer: the checkpoint's.
        positions: tokens of a prompt and its answer.
        vocabulary: how many tokens the model has.
    """

    def __init__(self, tokenizer: Any, positions: int, vocabulary: int) -> None:
        self._tokenizer = tokenizer
        self._positions = positions
        self._vocabulary = vocabulary
        self._longest_token = max(len(token) for token in tokenizer.get_vocab())  # characters
        self._encoding = threading.Lock()  # it changes settings of the tokenizer

    @property
    def template(self) -> str | None:
        """The chat template; None: the checkpoint has none, and takes no conversations."""
        template: str | dict[str, str] | None = self._tokenizer.chat_template
        if isinstance(template, dict):
            return template.get("tool_use") or template.get("default")
        return template

    def tokens(self, generation: Generation) -> list[int]:
        """The tokens to begin with, at least one and fewer than all positions.

        Raises:
            InvalidArguments: the prompt is empty, names tokens that there are none of, or the template refuses it.
            ContextTooLong: it leaves no room for an answer.
        """
        check_tokens(generation, self._vocabulary)
        characters = _characters(generation)
        if characters > self._positions * self._longest_token:  # far too long: not worth the time of encoding it
            raise too_long(generation, f"{characters} characters", self._positions)
        if generation.messages is not None:
            tokens = self._conversation(generation.messages, generation)
        elif isinstance(generation.prompt, str):
            tokens = self._text(generation.prompt)
        else:
            tokens = list(generation.prompt or ())
        check_length(generation, len(tokens), self._positions)
        return tokens

    def _text(self, text: str) -> list[int]:
        """With the beginning that the checkpoint wants; a text without tokens begins with the mark of a new one."""
        with self._encoding:
            tokens: list[int] = self._tokenizer.encode(_encodable(text))
        beginning = self._tokenizer.bos_token_id
        return tokens or ([] if beginning is None else [beginning])

    def _conversation(self, messages: Sequence[Message], generation: Generation) -> list[int]:
        if self.template is None:
            detail = "this model has no chat template, so it takes no conversations; give it a text to continue"
            raise refusal([entry("/messages", detail, "unsupported")])
        tools = [_described(tool) for tool in generation.tools] if generation.tool_choice != "none" else []
        try:
            with self._encoding:
                tokens: list[int] = self._tokenizer.apply_chat_template(
                    [_turn(message) for message in messages],
                    tools=tools or None,
                    add_generation_prompt=True,
                    return_dict=False,
                    sanitize_control_tokens=True,
                )
        # A template raises what it likes: its own `raise_exception`, or the type errors of a turn it does not expect.
        except (jinja2.TemplateError, TypeError, ValueError, LookupError, AttributeError) as error:
            detail = f"the model's chat template does not take this conversation: {error}"
            raise refusal([entry("/messages", detail, "template")]) from error
        return tokens


def _characters(generation: Generation) -> int:
    if generation.messages is not None:
        return sum(len(message.content) for message in generation.messages)
    return len(generation.prompt or "")


def _turn(message: Message) -> dict[str, Any]:
    """A message in the form that chat templates expect."""
    turn: dict[str, Any] = {"role": message.role, "content": _encodable(message.content)}
    if message.tool_calls:
        turn["tool_calls"] = [_called(call) for call in message.tool_calls]
    for name in ("tool_call_id", "name"):
        if (value := getattr(message, name)) is not None:
            turn[name] = _encodable(value)
    return turn


def _called(call: ToolCall) -> dict[str, Any]:
    """Templates write arguments as JSON themselves, so they want the value; a text that has none stays as it is."""
    try:
        arguments = json.loads(call.arguments or "{}")
    except (ValueError, RecursionError):
        arguments = call.arguments
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": arguments}}


def _described(tool: Tool) -> dict[str, Any]:
    function = {"name": tool.name, "description": tool.description, "parameters": dict(tool.parameters)}
    return {"type": "function", "function": function}


def _encodable(text: str) -> str:
    """Lone surrogates, which UTF-8 cannot carry, become question marks."""
    return text.encode("utf-8", "replace").decode()
