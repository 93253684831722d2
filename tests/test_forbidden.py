"""What must not stand in src/: ways to run code that came as data.

Names from a socket never become code: no pickle in any form, no eval, no shell (docs/design, "No pickle, eval, shell").
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent.parent / "src"

MODULES = ["pickle", "_pickle", "cPickle", "marshal", "shelve", "cloudpickle", "dill", "jsonpickle", "joblib"]
MODULES += ["multiprocessing"]  # its queues and connections pickle what they carry
BUILTINS = ["eval", "exec"]
METHODS = ["yaml.load", "yaml.unsafe_load", "yaml.full_load", "os.system", "os.popen"]
METHODS += ["torch.load", "concurrent.futures.ProcessPoolExecutor"]
SWITCHES = ["shell", "allow_pickle"]  # keyword arguments that may only be a literal False


def forbidden(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """The line and the name of everything in a module that is forbidden."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Call):
            names = [ast.unparse(node.func)]
            if names[0].rpartition(".")[2] in ("import_module", "__import__") and node.args:
                names += [node.args[0].value] if isinstance(node.args[0], ast.Constant) else []
            for keyword in node.keywords:
                literal = isinstance(keyword.value, ast.Constant) and keyword.value.value is False
                if keyword.arg in SWITCHES and not literal:
                    yield node.lineno, f"{keyword.arg}={ast.unparse(keyword.value)}"
        else:
            continue
        for name in names:
            called = isinstance(node, ast.Call) and name.removeprefix("builtins.") in BUILTINS
            if called or name in METHODS or str(name).split(".")[0] in MODULES:
                yield node.lineno, name
                break


@pytest.mark.parametrize("file", sorted(SOURCE.rglob("*.py")), ids=lambda file: str(file.relative_to(SOURCE)))
def test_nothing_forbidden_stands_in_the_module(file: Path) -> None:
    assert list(forbidden(ast.parse(file.read_text(encoding="utf-8")))) == []


@pytest.mark.parametrize(
    ("code", "name"),
    [
        ("import pickle", "pickle"),
        ("import pickle as p", "pickle"),
        ("from marshal import loads", "marshal"),
        ("def f():\n  import cloudpickle", "cloudpickle"),
        ("import dill.source", "dill.source"),
        ("import joblib", "joblib"),
        ("from multiprocessing import Queue", "multiprocessing"),
        ("from concurrent.futures import ProcessPoolExecutor", "concurrent.futures.ProcessPoolExecutor"),
        ("torch.load(file)", "torch.load"),
        ("import_module('pickle')", "pickle"),
        ("pickle.loads(data)", "pickle.loads"),
        ("eval(text)", "eval"),
        ("exec(text)", "exec"),
        ("builtins.eval(text)", "builtins.eval"),
        ("run(command, shell=True)", "shell=True"),
        ("run(command, shell=wanted)", "shell=wanted"),
        ("yaml.load(text)", "yaml.load"),
        ("from yaml import load", "yaml.load"),
        ("os.system(command)", "os.system"),
        ("numpy.load(file, allow_pickle=True)", "allow_pickle=True"),
    ],
)
def test_forbidden_code_is_found(code: str, name: str) -> None:
    assert [found for _, found in forbidden(ast.parse(code))] == [name]


@pytest.mark.parametrize(
    "code",
    ["model.eval()", "run(command, shell=False)", "yaml.safe_load(text)", "json.loads(text)", "import pickleball"],
)
def test_innocent_code_is_left_alone(code: str) -> None:
    assert list(forbidden(ast.parse(code))) == []
