"""What was said so far, as the messages that a chat service is sent. Questions and answers always take turns."""

from __future__ import annotations

from typing import TypeAlias

ChatMessage: TypeAlias = dict[str, str]


class Conversation:
    """A conversation with a model.

    Args:
        system: what the model is told before it; None: nothing.
    """

    def __init__(self, system: str | None = None) -> None:
        self._system: list[ChatMessage] = [] if system is None else [{"role": "system", "content": system}]
        self._turns: list[ChatMessage] = []

    def asking(self, question: str) -> list[ChatMessage]:
        """The messages that ask this; the question itself is kept with its answer."""
        return [*self._system, *self._turns, {"role": "user", "content": question}]

    def keep(self, question: str, answer: str, mark: str = "") -> None:
        """Adds a question and its answer.

        Args:
            question: as it was asked.
            answer: what came of it.
            mark: why it is not the whole answer; the model reads it too, so that it knows where it was stopped.
        """
        content = f"{answer} [{mark}]" if mark else answer
        self._turns += [{"role": "user", "content": question}, {"role": "assistant", "content": content}]

    def reset(self) -> None:
        """Begins anew."""
        self._turns.clear()
