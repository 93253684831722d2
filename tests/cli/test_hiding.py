"""What is said when a file hides a module (HR04), as whole texts."""

import sys
from typing import Any

import pytest

CHAT = "from headrace.services.decorators import service\n\n@service\nclass Chat:\n    pass\n"


def test_a_target_with_the_name_of_a_python_module(project: Any) -> None:
    assert project.write(token=CHAT).mistake("token.py") == (
        'HR04 your file token.py hides Python\'s own module "token". Rename it.'
    )


def test_a_file_beside_the_target_that_hides_a_python_module_it_imports(project: Any) -> None:
    assert project.write(app="def f():\n    from token import NAME\n", token="").mistake("app.py") == (
        'HR04 your file token.py hides Python\'s own module "token". Rename it.'
    )


def test_a_file_that_hides_a_python_module_for_another_module(project: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "sched", raising=False)
    project.write(app="import helper\n", helper="from sched import scheduler\n", sched="")
    assert project.mistake("app.py") == (
        'HR04 your file sched.py hides Python\'s own module "sched". Rename it.'
    )  # fmt: skip


def test_a_target_with_the_name_of_a_package_in_use(project: Any) -> None:
    assert project.write(pytest=CHAT).mistake("pytest.py") == (
        'HR04 your file pytest.py hides the installed package "pytest". Rename it.'
    )


def test_a_target_named_headrace(project: Any) -> None:
    assert project.write(headrace=CHAT).mistake("headrace.py") == (
        'HR04 your file headrace.py hides the installed package "headrace". Rename it.'
    )


@pytest.mark.parametrize(
    "code", ["from uvicorn import Config\n", "import uvicorn\nuvicorn.Config\n", "import uvicorn.config\n"]
)
def test_a_file_that_hides_an_installed_package(project: Any, monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "uvicorn"]:
        monkeypatch.delitem(sys.modules, name)
    assert project.write(app=code, uvicorn="").mistake("app.py") == (
        'HR04 your file uvicorn.py hides the installed package "uvicorn". Rename it.'
    )


def test_a_file_with_a_python_modules_name_that_nobody_wants_is_left_alone(project: Any) -> None:
    assert project.write(app=CHAT, token="").loaded("app.py").__name__ == "Chat"
