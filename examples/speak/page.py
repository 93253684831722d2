"""The page at `/`: an application of its own, mounted in the service.

Its files are a fixed table, so nothing of a request becomes a path. The browser is told to load and to connect to
nothing but this server, and to run no script that stands in the page itself.
"""

from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

FOLDER = Path(__file__).parent / "page"

HTML, SCRIPT, STYLE, IMAGE = "text/html", "text/javascript", "text/css", "image/svg+xml"

FILES = {
    "index.html": HTML,
    "app.js": SCRIPT,
    "session.js": SCRIPT,
    "player.js": SCRIPT,
    "player-worklet.js": SCRIPT,
    "wave.js": SCRIPT,
    "meters.js": SCRIPT,
    "style.css": STYLE,
    "icon.svg": IMAGE,
}

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; media-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-cache",
}


def route(name: str, media_type: str) -> Route:
    """The route of one file; `index.html` is at `/`."""

    def answer(request: Request) -> Response:
        return Response((FOLDER / name).read_bytes(), media_type=media_type, headers=HEADERS)

    return Route("/" if name == "index.html" else f"/{name}", answer)


page = Starlette(routes=[route(name, media_type) for name, media_type in FILES.items()])
