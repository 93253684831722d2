"""Talks with a chat service: questions in, answers as they are made, each with its first-token time and rate.

Answers go to standard output and nothing else does, so that `headrace chat < questions > answers` gives answers alone.
An answer is awaited by the runner, which turns Ctrl-C into the cancellation of that one wait: it never interrupts a
line that is being printed, and the connection is closed before anything else happens.
"""

from __future__ import annotations

import asyncio
import difflib
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import aclosing
from typing import Any

import click

from headrace.cli.chat_server import ChatServer
from headrace.cli.completion import Completion, Kind, Piece
from headrace.cli.conversation import Conversation
from headrace.cli.exits import EXIT_CANNOT_START, EXIT_OK, EXIT_STOPPED, EXIT_STREAM_FAILED, EXIT_TRUNCATED
from headrace.cli.pace import Pace
from headrace.cli.printable import printable
from headrace.errors import ConnectionFailed, HeadraceError, StreamError, StreamTruncated

PROMPT = "> "
HELP = """\
  /reset  begins a new conversation
  /exit   leaves; so does Ctrl-D
  Ctrl-C stops an answer and keeps what came of it; twice, it leaves"""

_COMMANDS = ("/reset", "/exit", "/help")
_ENDED_EARLY = {"length": "at the token limit", "content_filter": "cut by a content filter"}
_ADVICE = {
    401: "give its key: --api-key KEY, or HEADRACE_API_KEY=KEY",
    404: "name another model with --model, or another address",
}


class Talk:
    """One conversation.

    Args:
        runner: of the event loop; somebody else closes it.
        server: open.
        options: of every request, `model` among them.
        conversation: as far as it is already.
    """

    def __init__(
        self, runner: asyncio.Runner, server: ChatServer, options: Mapping[str, Any], conversation: Conversation
    ) -> None:
        self._runner = runner
        self._server = server
        self._options = options
        self._conversation = conversation

    def with_a_person(self, ask: Callable[[str], str]) -> int:
        """Asks until the end of input or two interrupts without a question between them. Returns the exit code.

        Args:
            ask: shows a prompt and returns a line; raises EOFError and KeyboardInterrupt.
        """
        interrupts = 0
        while interrupts < 2:
            try:
                line = ask(PROMPT)
            except EOFError:
                click.echo(err=True)
                return EXIT_OK
            except KeyboardInterrupt:
                interrupts += 1
                click.echo(err=True)
                if interrupts < 2:
                    _say("Ctrl-C again leaves")
                continue
            interrupts = 0
            if line.strip() == "/exit":
                return EXIT_OK
            if not self._commanded(line.strip()):
                interrupts = int(self.answer(line) == EXIT_STOPPED)
        return EXIT_STOPPED

    def with_lines(self, lines: Iterable[str]) -> int:
        """One question per line; ends at the first that gets no whole answer. Returns the exit code."""
        for line in lines:
            if line.strip() and (code := self.answer(line.rstrip("\r\n"))) != EXIT_OK:
                return code
        return EXIT_OK

    def _commanded(self, line: str) -> bool:
        """Does what a command says; whether the line was one, or nothing."""
        if line == "/reset":
            self._conversation.reset()
            _say("a new conversation")
        elif line == "/help":
            click.secho(HELP, dim=True, err=True)
        elif line.startswith("/") and line[1:].isalpha():
            close = difflib.get_close_matches(line, _COMMANDS, n=1)
            _say(f"there is no {line}; {'did you mean ' + close[0] if close else 'try /help'}")
        else:
            return not line
        return True

    def answer(self, question: str) -> int:
        """Asks, prints the answer as it comes, and keeps it. Returns the exit code that it would end a command with."""
        question = question.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
        completion, shown, pace = Completion(), _Shown(), Pace(time.monotonic)
        code, mark, why = EXIT_OK, "", ""
        try:
            self._runner.run(self._show(question, completion, shown, pace))
        except KeyboardInterrupt:
            code, mark = EXIT_STOPPED, "stopped"
        except HeadraceError as error:
            code, mark, why = exit_code(error), "cut off", reason(error)
        shown.end()
        if shown.text:
            self._conversation.keep(question, shown.text, mark)
        told, ending = pace.told(completion.tokens), mark or _ENDED_EARLY.get(completion.finish or "", "")
        if told or not why:
            _say(" · ".join(part for part in (told, ending) if part))
        if why:
            click.secho(f"error: {why}", fg="red", err=True)
        return code

    async def _show(self, question: str, completion: Completion, shown: _Shown, pace: Pace) -> None:
        messages = self._conversation.asking(question)
        async with aclosing(self._server.answer(messages, self._options, completion)) as pieces:
            async for piece in pieces:
                pace.piece()
                shown.add(piece)


class _Shown:
    """What was printed of one answer: its text to standard output, all else, dimmed, to standard error."""

    def __init__(self) -> None:
        self.text = ""
        self._kind: Kind | None = None

    def add(self, piece: Piece) -> None:
        """Prints a piece, each kind on lines of its own."""
        if piece.kind != self._kind:
            self.end()
        self._kind = piece.kind
        if piece.kind == "text":
            self.text += piece.text
            click.echo(printable(piece.text) if sys.stdout.isatty() else piece.text, nl=False)
        else:
            click.secho(printable(piece.text), dim=True, nl=False, err=True)

    def end(self) -> None:
        """Ends the line, if one was begun."""
        if self._kind is not None:
            click.echo(err=self._kind != "text")
        self._kind = None


def _say(text: str) -> None:
    """A line that is no answer, if there is something to say."""
    if text:
        click.secho(f"  {text}", dim=True, err=True)


def exit_code(error: HeadraceError) -> int:
    """The one that a command ends with when this was the end of it."""
    match error:
        case ConnectionFailed():
            return EXIT_CANNOT_START
        case StreamTruncated():
            return EXIT_TRUNCATED
    return EXIT_STREAM_FAILED


def reason(error: HeadraceError) -> str:
    """What went wrong and, where we know, what to do."""
    if not isinstance(error, StreamError) or isinstance(error, ConnectionFailed):
        return printable(str(error))
    advice = "/reset begins anew" if error.code == "context_length_exceeded" else _ADVICE.get(error.status, "")
    return printable(f"{error.code}: {error.message}") + (f"; {advice}" if advice else "")
