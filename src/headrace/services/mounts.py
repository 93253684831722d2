"""The ASGI applications that are mounted in a service: where each one is served, and what is wrong with it.

Paths are looked up in this order: endpoints, headrace's own, then the application with the longest path that covers
the one asked for.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from headrace.errors import Mistake
from headrace.services.decorators import MOUNTS, MountOptions
from headrace.services.mistakes import place_of, place_of_class
from headrace.streams.deadlines import Timeouts
from headrace.wire.stream_types import StreamTypes, stream_types

_PATH = re.compile(r"/|(/[A-Za-z0-9._~!$&'()*+,;=:@-]+)+")


@dataclass(frozen=True, slots=True, eq=False)
class MountDefinition:
    """One mounted application, without mistakes.

    Attributes:
        label: `Service.app /path`, as logs and metrics name all that it answers.
        path: without a slash at its end; empty for `/`.
        types: of what it sends, which nobody checks.
        timeouts: none of its own; a client may ask for one.
    """

    label: str
    app: Any
    path: str
    types: StreamTypes
    timeouts: Timeouts

    def covers(self, path: str) -> bool:
        """Whether a request to this path is the application's."""
        return path.startswith(f"{self.path}/") or path == self.path


def read_mounts(service: type, name: str, taken: Iterable[str]) -> tuple[tuple[MountDefinition, ...], list[Mistake]]:
    """The applications that `@asgi_app` has mounted in a class, those with the longest paths first, and the mistakes.

    Args:
        service: the class.
        name: of the service.
        taken: paths that others answer at.
    """
    mounts: list[MountDefinition] = []
    mistakes: list[Mistake] = []
    served = set(taken) - {"/"}  # an endpoint at `/` comes before the application there, as at any other path
    for options in getattr(service, MOUNTS, ()):
        if wrong := _mistake(service, options, served):
            mistakes.append(wrong)
        else:
            served.add(options.path)
            label = f"{name}.app {options.path}"
            mounts.append(
                MountDefinition(label, options.app, options.path.rstrip("/"), stream_types(bytes), Timeouts())
            )
    return tuple(sorted(mounts, key=lambda mount: len(mount.path), reverse=True)), mistakes


def _mistake(service: type, options: MountOptions, served: set[str]) -> Mistake | None:
    """HR17: what `@asgi_app(...)` was given."""
    path, name = options.path, service.__name__
    if not callable(options.app) or not _takes_three(options.app):
        factory = callable(options.app) and not inspect.iscoroutinefunction(options.app) and _takes_nothing(options.app)
        shown = getattr(options.app, "__name__", type(options.app).__name__)
        return Mistake(
            "HR17",
            f"{name}: @asgi_app was given {shown}, which is not an ASGI application",
            place_of(options.app) if inspect.isfunction(options.app) else place_of_class(service),
            "An ASGI application is called with scope, receive and send.",
            f"@asgi_app({shown}())" if factory else "@asgi_app(FastAPI())",
        )
    if not isinstance(path, str) or not _PATH.fullmatch(path):
        what = f"{name}: @asgi_app cannot mount an application at {path!r}"
        why = 'A path starts with "/", is plain text, and has no "/" at its end.'
    elif path in served:
        what, why = f"{name}: @asgi_app cannot mount an application at {path}", f"{path} is served already."
    else:
        return None
    return Mistake("HR17", what, place_of_class(service), why, '@asgi_app(app, path="/app")')


def _takes_three(app: Any) -> bool:
    return _takes(app, None, None, None)


def _takes_nothing(app: Any) -> bool:
    return _takes(app)


def _takes(app: Any, *arguments: None) -> bool:
    try:
        inspect.signature(app).bind(*arguments)
    except TypeError:
        return False
    except ValueError:  # an extension's, which says nothing of itself
        return True
    return True
