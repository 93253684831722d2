"""The process that serves an application: uvicorn on a socket that is already bound, with our signals and our log.

uvicorn is used at its own extension points: a `Server` whose signals and exit are decided here.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import resource
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from types import FrameType

import uvicorn

from headrace.config import Settings
from headrace.server.app import Application
from headrace.server.connection import Bounds, bounded
from headrace.server.log import JsonFormatter, TextFormatter
from headrace.server.response import ResponseAborted
from headrace.server.transport import set_peer_timeout
from headrace.server.watchdog import Watchdog
from headrace.server.websocket_connection import bounded_websocket

EXIT_OK, EXIT_STOPPED = 0, 130

OTHER_DESCRIPTORS = 32
"""Descriptors that a process has beside its connections, about."""

TOLD_GRACE = 1.0
"""Seconds that streams get, after the drain, to tell their clients `shutting_down`."""

CLOSE_GRACE = 1.0
"""Seconds that the event loop gets to close, with all that still runs on it or beside it."""

logger = logging.getLogger("headrace.server")


class Server(uvicorn.Server):
    """uvicorn's server with signals of our own: the first one drains, the second one ends the process."""

    def __init__(self, config: uvicorn.Config, application: Application, on_ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._application = application
        self._on_ready = on_ready
        self.interrupted = False

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listens, and says so."""
        await super().startup(sockets)
        self._on_ready()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Takes SIGINT and SIGTERM while serving. Unlike uvicorn's own, it does not raise them again afterwards."""
        if threading.current_thread() is not threading.main_thread():  # where Python allows no handlers
            yield
            return
        before = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Fails readiness at once and starts the drain; a second signal ends the process."""
        self.interrupted = self.interrupted or sig == signal.SIGINT
        if self.should_exit:
            _end_process(EXIT_STOPPED)
        self._application.drain()
        self.should_exit = True

    async def on_tick(self, counter: int) -> bool:
        """Every tenth of a second. Says, once a second, when so many connections are open that no more can be taken."""
        open_now, limit = len(self.server_state.connections), resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        if counter % 10 == 0 and open_now >= limit - OTHER_DESCRIPTORS:
            logger.warning(
                "%d connections are open, and this process may have %d descriptors (ulimit -n): new clients wait",
                open_now,
                limit,
            )
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Drains, then waits a moment for the streams that were cut off to tell their clients so."""
        await super().shutdown(sockets)
        if self.server_state.tasks:
            await asyncio.wait(self.server_state.tasks, timeout=TOLD_GRACE)


async def serve(application: Application, listener: socket.socket, on_ready: Callable[[], None]) -> int:
    """Starts the service, serves it until a signal, and stops it. Returns the exit code.

    Args:
        listener: bound; closed at the end.
        on_ready: called once, when requests are answered.

    Raises:
        SetupError: the service could not be started; nothing was served.
    """
    settings = application.settings
    set_peer_timeout(listener, settings.peer_timeout)
    with _imports_uncollected():
        return await _serve(application, listener, on_ready)


async def _serve(application: Application, listener: socket.socket, on_ready: Callable[[], None]) -> int:
    settings = application.settings
    async with application.runtime:
        config = uvicorn.Config(
            application,
            lifespan="off",
            http=bounded(
                Bounds(
                    head_time=settings.head_timeout,
                    write_time=settings.write_timeout,
                )
            ),
            ws=bounded_websocket(settings.write_timeout),
            ws_max_size=settings.max_body,
            ws_ping_interval=settings.ping,
            ws_ping_timeout=settings.ping,
            ws_per_message_deflate=False,
            timeout_keep_alive=settings.keep_alive,  # type: ignore[arg-type]  # uvicorn hands it to call_later
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=settings.drain,  # type: ignore[arg-type]  # uvicorn hands it to asyncio.wait_for
        )
        server = Server(config, application, on_ready)
        async with Watchdog(settings.loop_limit).watching() as watchdog:
            application.runtime.metrics.loop_lag.set_function(lambda: watchdog.lag)
            await server.serve([listener])
    return EXIT_STOPPED if server.interrupted else EXIT_OK


@contextlib.contextmanager
def _imports_uncollected() -> Iterator[None]:
    """Keeps the garbage collector off what is there now, the imported code: with many streams open it would go through
    all of it over and over. The service starts inside the block, so a model that it lets go is collected.
    """
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def run(application: Application, listener: socket.socket, on_ready: Callable[[], None]) -> int:
    """`serve`, on an event loop of its own: uvloop where it is installed.

    User code that neither stops nor returns does not hold up the end: after `CLOSE_GRACE` the process ends without it.
    """
    runner = asyncio.Runner(loop_factory=_loop_factory())
    try:
        code = runner.run(serve(application, listener, on_ready))
    except KeyboardInterrupt:  # before or after the time in which the server takes the signals
        code = EXIT_STOPPED
    except BaseException:
        runner.close()
        raise
    with _bounded(CLOSE_GRACE, code):
        runner.close()
    return code


@contextlib.contextmanager
def _bounded(seconds: float, code: int) -> Iterator[None]:
    """Ends the process with `code` when the block takes longer."""

    def give_up() -> None:
        logger.error("code of the service still runs %g s after the end; the process ends without it", seconds)
        _end_process(code)

    timer = threading.Timer(seconds, give_up)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _end_process(code: int) -> None:
    with contextlib.suppress(Exception):  # a signal handler may have interrupted a log line
        logging.shutdown()
    os._exit(code)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    return uvicorn.Config("", loop="auto", log_config=None).get_loop_factory()


def configure_logging(settings: Settings) -> None:
    """Sends the log to standard error, in the chosen format."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if settings.log_format == "json" else TextFormatter())
    handler.addFilter(_is_news)
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("headrace").setLevel(settings.log_level.upper())


def _is_news(record: logging.LogRecord) -> bool:
    """Drops uvicorn's report of what we raised to make it cut a connection: the stream's own line says why."""
    raised = record.exc_info[1] if record.exc_info else None
    return not (record.name == "uvicorn.error" and isinstance(raised, (ResponseAborted, asyncio.CancelledError)))
