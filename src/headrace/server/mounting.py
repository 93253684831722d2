"""`headrace.asgi`: a service as an ASGI application, to mount in somebody else's.

Every `import headrace` comes by here, so the server itself is loaded when the first application is made.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from headrace.server.app import Application
    from headrace.services.decorators import Bound


def asgi(target: type | Bound[Any], **settings: Any) -> Application:
    """A service as an ASGI application: `app.mount("/poet", headrace.asgi(Poet))`.

    A mounted application is not told of its parent's lifespan: the service starts with the first request then. To start
    and stop it with the parent, enter it in the parent's lifespan: `async with poet.runtime: yield`.

    Args:
        target: a service class, or one bound to constructor arguments with `Service.bind(...)`.
        settings: by name, as in `headrace.toml`, with underscores: `max_concurrency=8`. Those of the listening socket
            are the parent's.

    Raises:
        DefinitionError: with every mistake of the service.
        ConfigError: a setting that does not exist, or a value that it does not take.
    """
    from headrace.config import Settings, from_toml
    from headrace.server.app import Application

    return Application(target, Settings(**from_toml(settings, "asgi(...)")))
