"""Which module may import which: floors, rooms, no cycles, no I/O at the bottom, and a test file for every module.

Direction decays silently, so every kind of import counts: at the top, inside functions, under TYPE_CHECKING, and
`import_module("headrace...")` with a literal. The rules are tested too, on small packages that break each of them once.
"""

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = "headrace"

# From the lowest. Rooms of one floor do not know each other; `headrace/__init__` and `__main__` stand above all.
FLOORS = [
    ["errors"],
    ["config", "metrics"],
    ["wire"],
    ["streams"],
    ["batching", "client"],
    ["services", "engines"],
    ["openai", "server"],
    ["ray", "testing", "demo"],
    ["cli"],
]
WITHOUT_IO = ["errors", "config", "metrics", "wire"]
IO_MODULES = [
    *["asyncio", "socket", "ssl", "threading", "subprocess", "multiprocessing", "selectors", "http", "urllib.request"],
    *["uvicorn", "starlette", "httpx2"],
]
IO_METHODS = ["read_text", "read_bytes", "write_text", "write_bytes"]  # of pathlib.Path
WITHOUT_TEST_FILE: list[str] = []  # paths below src/headrace, each with its reason

Import = tuple[int, str]  # the line and the full dotted name


def violations(root: Path) -> list[str]:
    """Every broken rule of the package in this folder, as one line each."""
    modules = {_dotted(root, file): ast.parse(file.read_text(encoding="utf-8")) for file in sorted(root.rglob("*.py"))}
    imports = {name: list(_imports(name, tree, _is_package(root, name))) for name, tree in modules.items()}
    found = []
    for name, tree in modules.items():
        room = _room(name)
        if room not in _heights() and room != "":
            found.append(f"{name}: the room {room} stands on no floor")
            continue
        for line, imported in imports[name]:
            if problem := _direction(room, imported):
                found.append(f"{name}:{line}: {problem}")
        if room in WITHOUT_IO:
            found += [f"{name}:{line}: {problem}" for line, problem in _io(tree, imports[name])]
    if cycle := _cycle(imports):
        found.append("a cycle of imports: " + " -> ".join(cycle))
    return found


def untested(source: Path, tests: Path) -> list[str]:
    """The modules without a test file at the same path."""
    return [
        str(path)
        for file in sorted(source.rglob("*.py"))
        if file.name not in ("__init__.py", "__main__.py")
        if not (tests / (path := file.relative_to(source)).with_name(f"test_{file.name}")).is_file()
        if str(path) not in WITHOUT_TEST_FILE
    ]


def _heights() -> dict[str, int]:
    return {room: height for height, rooms in enumerate(FLOORS) for room in rooms}


def _dotted(root: Path, file: Path) -> str:
    parts = file.relative_to(root).with_suffix("").parts
    return ".".join([PACKAGE, *(part for part in parts if part != "__init__")])


def _is_package(root: Path, name: str) -> bool:
    return root.joinpath(*name.split(".")[1:], "__init__.py").is_file()


def _room(name: str) -> str:
    """The room of a module; "" for `headrace/__init__` and `__main__`."""
    parts = name.split(".")
    return "" if len(parts) == 1 or parts[1] == "__main__" else parts[1]


def _imports(name: str, tree: ast.Module, is_package: bool) -> Iterator[Import]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parts = name.split(".")
                above = parts[: len(parts) - node.level + is_package]
                base = ".".join([*above, base] if base else above)
            yield from ((node.lineno, f"{base}.{alias.name}") for alias in node.names)
        elif isinstance(node, ast.Call) and _called(node) in ("import_module", "__import__") and node.args:
            target = node.args[0]
            if isinstance(target, ast.Constant) and isinstance(target.value, str):
                yield node.lineno, target.value


def _called(node: ast.Call) -> str:
    if isinstance(node.func, ast.Attribute):
        return node.func.attr
    return node.func.id if isinstance(node.func, ast.Name) else ""


def _direction(room: str, imported: str) -> str:
    """What is wrong with importing this name in this room; empty when nothing is."""
    if imported.split(".")[0] != PACKAGE or room == "":
        return ""
    heights = _heights()
    theirs = imported.split(".")[1] if "." in imported else ""
    if theirs not in heights:
        return f"imports {imported}, which stands above all floors"
    if theirs == room:
        return ""
    if heights[theirs] == heights[room]:
        return f"imports {imported}; the rooms {room} and {theirs} of one floor do not know each other"
    if heights[theirs] > heights[room]:
        return f"imports {imported} from a floor above its own"
    return ""


def _io(tree: ast.Module, imports: list[Import]) -> Iterator[Import]:
    for line, imported in imports:
        if any(imported == module or imported.startswith(f"{module}.") for module in IO_MODULES):
            yield line, f"imports {imported}; no I/O here"
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "open":
            yield node.lineno, "calls open(); no I/O here"
        elif isinstance(node, ast.Attribute) and node.attr in IO_METHODS:
            yield node.lineno, f"uses {node.attr}; no I/O here"


def _cycle(imports: dict[str, list[Import]]) -> list[str]:
    """One cycle of modules, or nothing. A name counts for the longest module that it begins with."""
    graph = {}
    for name, imported in imports.items():
        targets = {_module(full, imports) for _, full in imported}
        # `from headrace import wire` in a package's own `__init__` names the package itself: its own names, no cycle.
        graph[name] = {target for target in targets if target is not None and target != name}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(reversed(error.args[1]))
    return []


def _module(name: str, modules: dict[str, list[Import]]) -> str | None:
    while name not in modules:
        if "." not in name:
            return None
        name = name.rpartition(".")[0]
    return name


def test_the_house_stands() -> None:
    assert violations(ROOT / "src" / PACKAGE) == []


def test_every_module_has_its_test_file_at_the_same_path() -> None:
    assert untested(ROOT / "src" / PACKAGE, ROOT / "tests") == []


def build(root: Path, files: dict[str, str]) -> Path:
    for path, text in files.items():
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    return root


@pytest.mark.parametrize(
    ("files", "found"),
    [
        pytest.param(
            {"wire/sse.py": "from headrace.streams.stream import Stream\n", "streams/stream.py": ""},
            ["headrace.wire.sse:1: imports headrace.streams.stream.Stream from a floor above its own"],
            id="a floor above",
        ),
        pytest.param(
            {"wire/sse.py": "def f():\n    import headrace.server.app\n"},
            ["headrace.wire.sse:2: imports headrace.server.app from a floor above its own"],
            id="deferred",
        ),
        pytest.param(
            {"wire/sse.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from headrace import cli\n"},
            ["headrace.wire.sse:3: imports headrace.cli from a floor above its own"],
            id="for types only",
        ),
        pytest.param(
            {"streams/a.py": "import importlib\nimportlib.import_module('headrace.cli.main')\n"},
            ["headrace.streams.a:2: imports headrace.cli.main from a floor above its own"],
            id="by name",
        ),
        pytest.param(
            {"streams/a.py": "from ..batching import policy\n"},
            ["headrace.streams.a:1: imports headrace.batching.policy from a floor above its own"],
            id="relative",
        ),
        pytest.param(
            {"streams/__init__.py": "from ..batching import policy\n"},
            ["headrace.streams:1: imports headrace.batching.policy from a floor above its own"],
            id="relative in a package",
        ),
        pytest.param(
            {"errors.py": "from headrace.config import Settings\n"},
            ["headrace.errors:1: imports headrace.config.Settings from a floor above its own"],
            id="errors is the lowest",
        ),
        pytest.param(
            {"config.py": "import headrace.metrics\n"},
            [
                "headrace.config:1: imports headrace.metrics; the rooms config and metrics of one floor"
                " do not know each other"
            ],
            id="a room of the same floor",
        ),
        pytest.param(
            {"client/aio.py": "from headrace.batching.policy import Policy\n"},
            [
                "headrace.client.aio:1: imports headrace.batching.policy.Policy; the rooms client and batching of"
                " one floor do not know each other"
            ],
            id="the client stays light",
        ),
        pytest.param(
            {"cli/main.py": "from headrace import __version__\n"},
            ["headrace.cli.main:1: imports headrace.__version__, which stands above all floors"],
            id="the roof",
        ),
        pytest.param(
            {"utils/text.py": ""},
            ["headrace.utils.text: the room utils stands on no floor"],
            id="an unknown room",
        ),
        pytest.param(
            {
                "streams/a.py": "from headrace.streams.b import B\n",
                "streams/b.py": "def f():\n    from headrace.streams import c\n",
                "streams/c.py": "import headrace.streams.a\n",
            },
            [
                "a cycle of imports: headrace.streams.a -> headrace.streams.b -> headrace.streams.c"
                " -> headrace.streams.a"
            ],
            id="a cycle",
        ),
        pytest.param(
            {"wire/a.py": "import asyncio\n"},
            ["headrace.wire.a:1: imports asyncio; no I/O here"],
            id="asyncio in wire",
        ),
        pytest.param(
            {"config.py": "from http import HTTPStatus\n"},
            ["headrace.config:1: imports http.HTTPStatus; no I/O here"],
            id="http in config",
        ),
        pytest.param(
            {"metrics.py": "from urllib import request\n"},
            ["headrace.metrics:1: imports urllib.request; no I/O here"],
            id="urllib.request in metrics",
        ),
        pytest.param(
            {"errors.py": "open('x')\n"},
            ["headrace.errors:1: calls open(); no I/O here"],
            id="open in errors",
        ),
        pytest.param(
            {"wire/a.py": "from pathlib import Path\nPath('x').read_bytes()\n"},
            ["headrace.wire.a:2: uses read_bytes; no I/O here"],
            id="a path read in wire",
        ),
    ],
)  # fmt: skip
def test_a_broken_rule_is_found(tmp_path: Path, files: dict[str, str], found: list[str]) -> None:
    assert violations(build(tmp_path, files)) == found


@pytest.mark.parametrize(
    "files",
    [
        pytest.param({"config.py": "from headrace.errors import HeadraceError\n"}, id="errors below config"),
        pytest.param({"cli/main.py": "import headrace.errors\nimport headrace.cli.dev\n"}, id="below and own room"),
        pytest.param({"__init__.py": "from headrace.cli import main\n", "cli/main.py": ""}, id="the roof sees all"),
        pytest.param({"__main__.py": "from headrace.cli.main import main\n"}, id="main sees all"),
        pytest.param({"demo.py": "import headrace.services.a\nimport headrace.engines.a\n"}, id="demo"),
        pytest.param({"wire/a.py": "import urllib.parse\nimport httpx2x\nself.open()\n"}, id="no I/O at all"),
        pytest.param({"streams/a.py": "import asyncio\nopen('x')\n"}, id="I/O above wire"),
        pytest.param(
            {"wire/__init__.py": "from headrace.wire.a import A\n", "wire/a.py": "from headrace.wire.b import B\n",
             "wire/b.py": ""}, id="a package that names its modules"
        ),
    ],
)  # fmt: skip
def test_what_is_allowed_is_not_reported(tmp_path: Path, files: dict[str, str]) -> None:
    assert violations(build(tmp_path, files)) == []


def test_a_module_without_its_test_file_is_found(tmp_path: Path) -> None:
    source = build(
        tmp_path / "src", {"__init__.py": "", "__main__.py": "", "a.py": "", "b/__init__.py": "", "b/c.py": ""}
    )
    tests = build(tmp_path / "tests", {"test_a.py": "", "test_c.py": ""})
    assert untested(source, tests) == ["b/c.py"]
