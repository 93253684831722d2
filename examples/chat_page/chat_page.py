"""A language model, and a page to chat with it: one HTML page and its scripts, served next to the model.

headrace dev examples/chat_page/chat_page.py
curl localhost:8000/v1/models

Then open http://localhost:8000/ and ask something. Any other engine takes the place of the built-in one.
"""

from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from headrace import asgi_app, service
from headrace.engines.tiny.engine import TinyEngine
from headrace.openai.service import LanguageModel

FOLDER = Path(__file__).parent / "page"

HTML, SCRIPT, STYLE, IMAGE = "text/html", "text/javascript", "text/css", "image/svg+xml"

# A fixed table: nothing of a request becomes a path.
FILES = {
    "page.html": HTML,
    "chat.js": SCRIPT,
    "answer.js": SCRIPT,
    "sse.js": SCRIPT,
    "turn.js": SCRIPT,
    "pace.js": SCRIPT,
    "style.css": STYLE,
    "icon.svg": IMAGE,
}

# The browser loads and asks nothing but this server, and runs no script that stands in the page or in an answer.
HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-cache",
}


def route(name: str, media_type: str) -> Route:
    """The route of one file; the page itself is at `/`."""

    def answer(request: Request) -> Response:
        return Response((FOLDER / name).read_bytes(), media_type=media_type, headers=HEADERS)

    return Route("/" if name == "page.html" else f"/{name}", answer)


@service
@asgi_app(Starlette(routes=[route(name, media_type) for name, media_type in FILES.items()]))
class ChatPage(LanguageModel):
    """A language model, and a page at `/` to chat with it."""


app = ChatPage.bind(TinyEngine(), temperature=0.0)
