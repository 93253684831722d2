"""The process that serves: imports the service, serves it until a signal, and says how that went."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
import time

from headrace.cli.age import process_age
from headrace.cli.children import Inheritance
from headrace.cli.exits import EXIT_CANNOT_START, EXIT_OK, EXIT_STOPPED, refuse, show_mistakes
from headrace.cli.launch import Launch
from headrace.cli.loading import load_bound
from headrace.cli.port import share, url
from headrace.cli.screen import Ready, show_ready
from headrace.errors import DefinitionError, SetupError
from headrace.server.app import Application
from headrace.server.run import configure_logging, run
from headrace.server.security import public_without_key
from headrace.services.decorators import Bound
from headrace.services.mistakes import setup_mistake
from headrace.services.runtime import Runtime

STOP_GRACE = 30.0
"""Seconds that a child gets after the drain, for its `on_stop`, before it ends itself: its code may hang."""


class Worker:
    """Serves one service in this process.

    Args:
        launch: what and how.
        inherited: what the supervisor gave; None when there is none.
    """

    def __init__(self, launch: Launch, inherited: Inheritance | None) -> None:
        self._launch = launch
        self._inherited = inherited
        self._signals: list[int] = []
        self._served: Application | None = None

    def serve(self, listener: socket.socket) -> int:
        """Serves until a signal. Returns the exit code; ends the command when the code has mistakes.

        Args:
            listener: bound; closed at the end.
        """
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._leave)
        if self._inherited is not None:
            threading.Thread(target=self._follow, args=(self._inherited.pipe,), daemon=True).start()
        code = EXIT_STOPPED
        with contextlib.suppress(KeyboardInterrupt):
            code = self._serve(listener)
        return EXIT_OK if self._signals == [signal.SIGTERM] else code

    def _serve(self, listener: socket.socket) -> int:
        settings = self._launch.settings
        try:
            bound = load_bound(self._launch.source, self._launch.assignments)
            application = Application(bound, settings)
        except DefinitionError as error:
            refuse(error.mistakes, EXIT_CANNOT_START)

        def ready() -> None:
            self._served = application
            share(listener)
            if self._inherited is not None:
                with contextlib.suppress(OSError):  # the supervisor is gone; its pipe will say so
                    os.write(self._inherited.ready, b"1")
            if self._inherited is None or self._inherited.announces:
                self._announce(bound, application.runtime, listener)

        configure_logging(settings)
        try:
            return run(application, listener, ready)
        except SetupError as error:
            show_mistakes([setup_mistake(application.runtime.definition.name, error)])
            return EXIT_CANNOT_START

    def _announce(self, bound: Bound[object], runtime: Runtime, listener: socket.socket) -> None:
        if (mistake := public_without_key(self._launch.settings)) is not None:
            show_mistakes([mistake])
        label = self._launch.source.title(bound.service.__name__)
        model = model_name(runtime)
        show_ready(Ready(runtime.definition, label, self._launch.title, url(listener), process_age(), model))

    def _leave(self, number: int, _: object) -> None:
        """A signal while nothing is served: it interrupts the code that is starting; a second one ends the process.

        While we serve, the server takes the signals; one that comes after that is a second one.
        """
        if self._signals or self._served is not None:
            os._exit(EXIT_STOPPED)
        self._signals.append(number)
        raise KeyboardInterrupt

    def _follow(self, pipe: int) -> None:
        """Waits for the end of the pipe, then stops this process as SIGTERM does, unless it is stopping already."""
        os.read(pipe, 1)
        stopping = self._served is not None and self._served.draining
        if not stopping and not self._signals:
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)
        time.sleep(self._launch.settings.drain + STOP_GRACE)
        os._exit(EXIT_STOPPED)


def model_name(runtime: Runtime) -> str | None:
    """What clients of the OpenAI API ask for, where what runs is a language model."""
    if all(endpoint.dialect is None for endpoint in runtime.definition.endpoints):
        return None
    from headrace.openai.service import LanguageModel  # deferred: services without another API do not need it

    return runtime.instance.name if isinstance(runtime.instance, LanguageModel) else None
