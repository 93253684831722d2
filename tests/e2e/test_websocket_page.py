"""What the page on conversations shows is served, and does what it says."""

import json
from pathlib import Path

import pytest
from served import REPOSITORY, Serve
from websockets.sync.client import connect
from websockets.typing import Subprotocol

PAGE = (REPOSITORY / "docs" / "howto" / "websockets.md").read_text("utf-8")
BLOCKS = [block.partition("```")[0] for block in PAGE.split("```python\n")[1:]]


@pytest.mark.parametrize(("block", "path"), list(zip(BLOCKS, ["/speak", "/converse"], strict=True)))
def test_the_services_of_the_page_converse(serve: Serve, tmp_path: Path, block: str, path: str) -> None:
    (tmp_path / "app.py").write_text(block)
    served = serve("app.py", folder=tmp_path)
    with connect(f"ws://127.0.0.1:{served.port}{path}", subprotocols=[Subprotocol("headrace.v1")]) as session:
        for text, sounds in [("it rains", [b"IT", b"RAINS"]), ("take a coat", [b"TAKE", b"A", b"COAT"])]:
            session.send(json.dumps({"item": text}))
            assert [session.recv(timeout=5) for _ in sounds] == sounds
        session.send('{"end": {}}')
        assert json.loads(session.recv(timeout=5))["end"]["items"] == 5
