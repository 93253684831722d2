"""Where TARGET is, and what is said when it is not there (HR01)."""

import sys
from typing import Any

import pytest

CHAT = "from headrace.services.decorators import service\n\n@service\nclass Chat:\n    pass\n"
TWO = CHAT + "\n@service\nclass Speak:\n    pass\n"


def test_a_file_is_found_without_importing_it(project: Any) -> None:
    location = project.write(app="raise SystemExit").find("app.py")
    assert (location.module, location.name, location.label) == ("app", None, "app.py")
    assert location.file == project / "app.py"
    assert location.root == location.folder == project.folder


def test_a_name_follows_the_colon(project: Any) -> None:
    assert project.write(app="").find("app.py:Chat").name == "Chat"


def test_a_dotted_module_is_found_in_the_folder(project: Any) -> None:
    location = project.write(pkg__slash__mod=CHAT).find("pkg.mod:Chat")
    assert (location.module, location.name, location.label) == ("pkg.mod", "Chat", "pkg/mod.py")


def test_a_dotted_package_is_found_in_the_folder(project: Any) -> None:
    location = project.write(pkg__slash____init__=CHAT).find("pkg")
    assert (location.module, location.label) == ("pkg", "pkg/__init__.py")


def test_an_installed_module_is_found_by_its_name(project: Any) -> None:
    location = project.find("headrace.errors:StreamError")
    assert (location.module, location.file, location.label) == ("headrace.errors", None, "headrace.errors")


def test_a_file_in_a_package_is_imported_as_part_of_it(project: Any) -> None:
    project.write(pkg__slash____init__="", pkg__slash__app="from .names import Chat\n", pkg__slash__names=CHAT)
    assert project.loaded("pkg/app.py:Chat").__module__ == "pkg.names"


def test_a_file_in_another_folder_is_imported_from_there(project: Any) -> None:
    project.write(sub__slash__app="import beside\n" + CHAT, sub__slash__beside="")
    assert project.loaded("sub/app.py").__name__ == "Chat"
    assert sys.path[0] == str(project / "sub")


def test_without_a_target_the_usual_files_are_tried_in_order(project: Any) -> None:
    assert project.write(service="").find(None).label == "service.py"
    assert project.write(main="").find(None).label == "main.py"
    assert project.write(app="").find(None).label == "app.py"


@pytest.mark.parametrize(
    ("file", "table"), [("pyproject.toml", "[tool.headrace]"), ("headrace.toml", "[headrace]")]
)  # fmt: skip
def test_without_a_target_the_file_of_settings_is_asked_first(project: Any, file: str, table: str) -> None:
    project.write(app="", poet="")
    (project / file).write_text(f'{table}\ntarget = "poet.py:Poet"\n')
    location = project.find(None)
    assert (location.label, location.name) == ("poet.py", "Poet")


def test_a_file_of_settings_without_a_target_changes_nothing(project: Any) -> None:
    project.write(app="")
    (project / "pyproject.toml").write_text("[tool.headrace]\nport = 1\n")
    (project / "headrace.toml").write_text("[headrace]\nport = 1\n")
    assert project.find(None).label == "app.py"


# HR01: not found


def test_a_missing_file_lists_the_services_that_are_here(project: Any) -> None:
    assert project.write(app=TWO).mistake("nope.py") == (
        'HR01 no file "nope.py" here. Services found: app.py (Chat, Speak). Try: headrace dev app.py:Chat'
    )


def test_a_file_with_one_service_needs_no_name_in_the_advice(project: Any) -> None:
    assert project.write(poet=CHAT).mistake(None) == (
        "HR01 no target was named, and none of app.py, main.py, service.py is here."
        " Services found: poet.py (Chat). Try: headrace dev poet.py"
    )


def test_a_missing_file_in_an_empty_folder(project: Any) -> None:
    assert project.mistake("nope.py:Chat") == (
        'HR01 no file "nope.py" here. No class decorated with @service was found.\n  fix: headrace dev path/to/file.py'
    )


@pytest.mark.parametrize("target", ["nope", "nope.mod", "nope:Chat", "no-pe"])
def test_a_missing_module(project: Any, target: str) -> None:
    assert project.write(app=CHAT).mistake(target) == (
        f'HR01 no module "{target.split(":")[0]}" here. Services found: app.py (Chat). Try: headrace dev app.py'
    )


def test_a_colon_alone_is_no_module(project: Any) -> None:
    assert project.mistake(":Chat").startswith('HR01 no module "" here.')


def test_a_missing_module_of_an_installed_package(project: Any) -> None:
    assert project.mistake("headrace.nope:Chat") == 'HR01 there is no module "headrace.nope"'


def test_a_broken_file_of_settings(project: Any) -> None:
    (project / "pyproject.toml").write_text("[tool.headrace\n")
    assert project.mistake(None) == (
        "HR01 pyproject.toml cannot be read as TOML:"
        " Expected ']' at the end of a table declaration (at line 1, column 15)"
    )


def test_a_target_that_is_no_text(project: Any) -> None:
    (project / "pyproject.toml").write_text("[tool.headrace]\ntarget = 3\n")
    assert project.mistake(None) == 'HR01 pyproject.toml: target is 3; write target = "app.py:Chat"'


# what follows from it


def test_the_folder_of_the_target_is_watched(project: Any) -> None:
    project.write(sub__slash__app="")
    assert project.find("sub/app.py").watched == [project / "sub"]


def test_the_folder_of_a_project_is_watched_too(project: Any) -> None:
    project.write(sub__slash__app="")
    (project / "pyproject.toml").write_text("")
    assert project.find("sub/app.py").watched == [project / "sub", project.folder]


def test_its_title_has_the_name_that_was_asked_for(project: Any) -> None:
    project.write(app="")
    assert project.find("app.py").title("Chat") == "app.py:Chat"
    assert project.find("app.py:app").title("Chat") == "app.py:app"
