"""From TARGET to the service: what is found, what is taken, and the whole text of every mistake."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from headrace.cli.target import find, load, services_in
from headrace.errors import DefinitionError, InvalidItem
from headrace.services.decorators import Bound

CHAT = "from headrace.services.decorators import service\n\n@service\nclass Chat:\n    pass\n"
TWO = CHAT + "\n@service\nclass Speak:\n    pass\n"


@pytest.fixture(autouse=True)
def _clean_imports() -> Iterator[None]:
    """What a test imports from its folder is gone after it."""
    path, modules = list(sys.path), set(sys.modules)
    yield
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        del sys.modules[name]


def write(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        file = folder / f"{name.replace('__slash__', '/')}.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    return folder


def mistake(folder: Path, target: str | None) -> str:
    """The text of the mistake that loading gives, with the folder and the interpreter named as such."""
    with pytest.raises(DefinitionError) as error:
        load(find(target, folder))
    text = str(error.value).replace(str(folder.resolve()), "FOLDER").replace(sys.executable, "PYTHON")
    return text.replace(sys.version.split()[0], "VERSION")


def loaded(folder: Path, target: str | None) -> type:
    found = load(find(target, folder))
    assert isinstance(found, type)
    return found


# finding


def test_a_file_is_found_without_importing_it(tmp_path: Path) -> None:
    location = find("app.py", write(tmp_path, app="raise SystemExit"))
    assert (location.module, location.name, location.label) == ("app", None, "app.py")
    assert location.file == tmp_path / "app.py"
    assert location.root == location.folder == tmp_path


def test_a_name_follows_the_colon(tmp_path: Path) -> None:
    assert find("app.py:Chat", write(tmp_path, app="")).name == "Chat"


def test_a_dotted_module_is_found_in_the_folder(tmp_path: Path) -> None:
    location = find("pkg.mod:Chat", write(tmp_path, pkg__slash__mod=CHAT))
    assert (location.module, location.name, location.label) == ("pkg.mod", "Chat", "pkg/mod.py")


def test_a_dotted_package_is_found_in_the_folder(tmp_path: Path) -> None:
    location = find("pkg", write(tmp_path, pkg__slash____init__=CHAT))
    assert (location.module, location.label) == ("pkg", "pkg/__init__.py")


def test_an_installed_module_is_found_by_its_name(tmp_path: Path) -> None:
    location = find("headrace.errors:StreamError", tmp_path)
    assert (location.module, location.file, location.label) == ("headrace.errors", None, "headrace.errors")


def test_a_file_in_a_package_is_imported_as_part_of_it(tmp_path: Path) -> None:
    write(tmp_path, pkg__slash____init__="", pkg__slash__app="from .names import Chat\n", pkg__slash__names=CHAT)
    assert loaded(tmp_path, "pkg/app.py:Chat").__module__ == "pkg.names"


def test_a_file_in_another_folder_is_imported_from_there(tmp_path: Path) -> None:
    write(tmp_path, sub__slash__app="import beside\n" + CHAT, sub__slash__beside="")
    assert loaded(tmp_path, "sub/app.py").__name__ == "Chat"
    assert sys.path[0] == str(tmp_path / "sub")


def test_without_a_target_the_usual_files_are_tried_in_order(tmp_path: Path) -> None:
    assert find(None, write(tmp_path, service="")).label == "service.py"
    assert find(None, write(tmp_path, main="")).label == "main.py"
    assert find(None, write(tmp_path, app="")).label == "app.py"


@pytest.mark.parametrize(
    ("file", "table"), [("pyproject.toml", "[tool.headrace]"), ("headrace.toml", "[headrace]")]
)  # fmt: skip
def test_without_a_target_the_file_of_settings_is_asked_first(tmp_path: Path, file: str, table: str) -> None:
    write(tmp_path, app="", poet="")
    (tmp_path / file).write_text(f'{table}\ntarget = "poet.py:Poet"\n')
    location = find(None, tmp_path)
    assert (location.label, location.name) == ("poet.py", "Poet")


def test_a_file_of_settings_without_a_target_changes_nothing(tmp_path: Path) -> None:
    write(tmp_path, app="")
    (tmp_path / "pyproject.toml").write_text("[tool.headrace]\nport = 1\n")
    (tmp_path / "headrace.toml").write_text("headrace = 1\n")
    assert find(None, tmp_path).label == "app.py"


def test_services_are_found_by_the_text_alone(tmp_path: Path) -> None:
    write(
        tmp_path,
        app="import not_there\n@service\nclass Chat: ...\nclass Plain: ...\n"
        "@headrace.service(name='s')\nclass Speak: ...\n",
        broken="@service\nclass Half(",
        sub__slash__more="@service()\nclass More: ...",
        hidden="# service\n@dataclass\nclass Data: ...",
    )
    write(tmp_path / ".venv", lib="@service\nclass Foreign: ...")
    write(tmp_path / "env", lib="@service\nclass Foreign: ...")
    (tmp_path / "env" / "pyvenv.cfg").write_text("")
    assert services_in(tmp_path) == {"app.py": ["Chat", "Speak"], "sub/more.py": ["More"]}


# taking


def test_the_only_service_of_a_module_is_taken(tmp_path: Path) -> None:
    assert loaded(write(tmp_path, app=CHAT), "app.py").__name__ == "Chat"


def test_the_named_service_is_taken(tmp_path: Path) -> None:
    assert loaded(write(tmp_path, app=TWO), "app.py:Speak").__name__ == "Speak"


def test_an_imported_service_does_not_count_unless_named(tmp_path: Path) -> None:
    write(tmp_path, other=CHAT, app="from other import Chat\n" + CHAT.replace("Chat", "Mine"))
    assert loaded(tmp_path, "app.py").__name__ == "Mine"
    assert loaded(tmp_path, "app.py:Chat").__name__ == "Chat"


def test_a_bound_app_comes_before_its_class(tmp_path: Path) -> None:
    found = load(find("app", write(tmp_path, app=CHAT + "app = Chat.bind(3)\n")))
    assert isinstance(found, Bound)
    assert found.args == (3,)


def test_the_bound_app_that_others_are_given_to_is_taken(tmp_path: Path) -> None:
    code = TWO + "speak = Speak.bind()\nchat = Chat.bind(speak=speak)\n"
    found = load(find("app.py", write(tmp_path, app=code)))
    assert isinstance(found, Bound)
    assert found.service.__name__ == "Chat"


def test_a_bound_app_can_be_named(tmp_path: Path) -> None:
    found = load(find("app:speak", write(tmp_path, app=TWO + "speak = Speak.bind()\nchat = Chat.bind()\n")))
    assert isinstance(found, Bound)
    assert found.service.__name__ == "Speak"


def test_loading_twice_gives_the_same_class(tmp_path: Path) -> None:
    write(tmp_path, app=CHAT)
    assert loaded(tmp_path, "app.py") is loaded(tmp_path, "app.py")


def test_a_file_of_the_same_name_in_another_folder_is_another_module(tmp_path: Path) -> None:
    write(tmp_path, a__slash__app=CHAT, b__slash__app=CHAT.replace("Chat", "Poet"))
    assert loaded(tmp_path / "a", "app.py").__name__ == "Chat"
    assert loaded(tmp_path / "b", "app.py").__name__ == "Poet"


def test_a_file_may_have_the_name_of_a_package_that_it_does_not_need(tmp_path: Path) -> None:
    assert loaded(write(tmp_path, build=CHAT), "build.py").__name__ == "Chat"


def test_mistakes_that_the_code_itself_reports_pass_unchanged(tmp_path: Path) -> None:
    code = "from headrace.errors import *\nraise DefinitionError([Mistake('HR05', 'no type')])\n"
    assert mistake(write(tmp_path, app=code), "app.py") == "HR05 no type"


# HR01: not found


def test_a_missing_file_lists_the_services_that_are_here(tmp_path: Path) -> None:
    assert mistake(write(tmp_path, app=TWO), "nope.py") == (
        'HR01 no file "nope.py" here. Services found: app.py (Chat, Speak). Try: headrace dev app.py:Chat'
    )


def test_a_file_with_one_service_needs_no_name_in_the_advice(tmp_path: Path) -> None:
    assert mistake(write(tmp_path, poet=CHAT), None) == (
        "HR01 no target was named, and none of app.py, main.py, service.py is here."
        " Services found: poet.py (Chat). Try: headrace dev poet.py"
    )


def test_a_missing_file_in_an_empty_folder(tmp_path: Path) -> None:
    assert mistake(tmp_path, "nope.py:Chat") == (
        'HR01 no file "nope.py" here. No class decorated with @service was found.\n  fix: headrace dev path/to/file.py'
    )


@pytest.mark.parametrize("target", ["nope", "nope.mod", "nope:Chat", "no-pe"])
def test_a_missing_module(tmp_path: Path, target: str) -> None:
    assert mistake(write(tmp_path, app=CHAT), target) == (
        f'HR01 no module "{target.split(":")[0]}" here. Services found: app.py (Chat). Try: headrace dev app.py'
    )


def test_a_colon_alone_is_no_module(tmp_path: Path) -> None:
    assert mistake(tmp_path, ":Chat").startswith('HR01 no module "" here.')


def test_a_missing_module_of_an_installed_package(tmp_path: Path) -> None:
    assert mistake(tmp_path, "headrace.nope:Chat") == 'HR01 there is no module "headrace.nope"'


def test_a_broken_file_of_settings(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool.headrace\n")
    assert mistake(tmp_path, None) == (
        "HR01 pyproject.toml is not valid TOML: Expected ']' at the end of a table declaration (at line 1, column 15)"
    )


def test_a_target_that_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool.headrace]\ntarget = 3\n")
    assert mistake(tmp_path, None) == 'HR01 pyproject.toml: target is 3; write target = "app.py:Chat"'


# HR02: the name


def test_a_name_with_a_typing_error(tmp_path: Path) -> None:
    assert mistake(write(tmp_path, app=CHAT), "app.py:Caht") == 'HR02 app.py has no "Caht". Did you mean "Chat"?'


def test_a_name_like_no_other(tmp_path: Path) -> None:
    assert mistake(write(tmp_path, app=TWO), "app.py:Zebra") == (
        'HR02 app.py has no "Zebra". Services found: Chat, Speak. Try: headrace dev app.py:Chat'
    )


def test_a_name_that_is_not_a_service(tmp_path: Path) -> None:
    assert mistake(write(tmp_path, app="class Chat: ...\n"), "app.py:Chat") == (
        'HR02 "Chat" in app.py is not a service. A service is a class decorated with @service.\n'
        "  fix: @service\n"
        "       class Chat:"
    )


def test_a_subclass_of_a_service_is_not_a_service_itself(tmp_path: Path) -> None:
    assert mistake(write(tmp_path, app=CHAT + "class Mine(Chat): ...\n"), "app.py:Mine") == (
        'HR02 "Mine" in app.py is not a service. Services found: Chat. Try: headrace dev app.py:Chat\n'
        "  fix: @service\n"
        "       class Mine:"
    )


def test_a_module_without_a_service(tmp_path: Path) -> None:
    assert mistake(write(tmp_path, app="x = 1\n"), "app.py") == (
        "HR02 app.py has no service of its own. A service is a class decorated with @service.\n"
        "  fix: @service\n"
        "       class Chat:"
    )


def test_a_module_with_several_services(tmp_path: Path) -> None:
    assert mistake(write(tmp_path, app=TWO), "app.py") == (
        "HR02 app.py has 2 services: Chat, Speak. Choose one: headrace dev app.py:Chat"
    )


# HR03: the import fails


def test_a_package_that_is_not_installed(tmp_path: Path) -> None:
    write(tmp_path, app="import helper\n", helper="\nimport zzz_not_there.part\n")
    assert mistake(tmp_path, "app.py") == (
        'HR03 helper.py imports "zzz_not_there", which is not installed\n'
        "  helper.py:2\n"
        "    import zzz_not_there.part\n"
        "  This is Python VERSION at PYTHON.\n"
        "  fix: PYTHON -m pip install zzz_not_there"
    )


def test_a_package_whose_distribution_has_another_name(tmp_path: Path) -> None:
    assert mistake(write(tmp_path, app="import cv2\n"), "app.py").endswith("fix: PYTHON -m pip install opencv-python")


def test_a_module_that_an_installed_package_does_not_have(tmp_path: Path) -> None:
    assert mistake(write(tmp_path, app="import click.zebra\n"), "app.py") == (
        'HR03 app.py imports "click.zebra", which this version of "click" does not have\n'
        "  app.py:1\n"
        "    import click.zebra\n"
        "  This is Python VERSION at PYTHON.\n"
        "  fix: PYTHON -m pip install --upgrade click"
    )


def test_a_module_of_ones_own_with_a_typing_error(tmp_path: Path) -> None:
    assert mistake(write(tmp_path, app="import helprs\n", helpers=""), "app.py") == (
        'HR03 app.py imports "helprs", which does not exist. Did you mean "helpers"?\n  app.py:1\n    import helprs'
    )


def test_a_missing_part_of_ones_own_package(tmp_path: Path) -> None:
    assert mistake(write(tmp_path, app="import own.part\n", own__slash____init__=""), "app.py") == (
        'HR03 app.py imports "own.part", which is not in your own "own"\n'
        "  app.py:1\n"
        "    import own.part"
    )  # fmt: skip


def test_a_name_that_a_module_does_not_have(tmp_path: Path) -> None:
    assert mistake(write(tmp_path, app="from helper import zebra\n", helper=""), "app.py") == (
        "HR03 app.py failed while it was imported:"
        " ImportError: cannot import name 'zebra' from 'helper' (FOLDER/helper.py)\n"
        "  app.py:1\n"
        "    from helper import zebra"
    )


def test_code_that_is_not_python(tmp_path: Path) -> None:
    assert mistake(write(tmp_path, app="class Chat:\n    def f(self)\n        pass\n"), "app.py") == (
        "HR03 app.py is not valid Python: expected ':'\n"
        "  app.py:2\n"
        "    def f(self)\n"
        "               ^"
    )  # fmt: skip


def test_code_that_raises_shows_the_users_nearest_line(tmp_path: Path) -> None:
    write(tmp_path, app="import helper\n", helper='import json\nDATA = json.loads("{")\n')
    assert mistake(tmp_path, "app.py") == (
        "HR03 app.py failed while it was imported: json.decoder.JSONDecodeError:"
        " Expecting property name enclosed in double quotes: line 1 column 2 (char 1)\n"
        "  helper.py:2\n"
        '    DATA = json.loads("{")\n'
        "  It was reached through app.py:1."
    )


def test_an_attribute_that_an_object_does_not_have(tmp_path: Path) -> None:
    assert mistake(write(tmp_path, app="json = 3\njson.loads\n"), "app.py") == (
        "HR03 app.py failed while it was imported: AttributeError: 'int' object has no attribute 'loads'\n"
        "  app.py:2\n"
        "    json.loads"
    )


def test_a_script_that_leaves_the_program(tmp_path: Path) -> None:
    assert mistake(write(tmp_path, app="import sys\nsys.exit(3)\n"), "app.py") == (
        "HR03 app.py left the program while it was imported: SystemExit: 3\n"
        "  app.py:2\n"
        "    sys.exit(3)\n"
        '  fix: if __name__ == "__main__":\n'
        "           main()"
    )


def test_the_users_own_error_is_kept_as_the_cause(tmp_path: Path) -> None:
    write(tmp_path, app="from headrace.errors import InvalidItem\nraise InvalidItem('mine')\n")
    with pytest.raises(DefinitionError) as error:
        load(find("app.py", tmp_path))
    assert isinstance(error.value.__cause__, InvalidItem)


# HR04: a file hides a module


def test_a_target_with_the_name_of_a_python_module(tmp_path: Path) -> None:
    assert mistake(write(tmp_path, token=CHAT), "token.py") == (
        'HR04 your file token.py hides Python\'s own module "token". Rename it.'
    )


def test_a_file_beside_the_target_that_hides_a_python_module_it_imports(tmp_path: Path) -> None:
    assert mistake(write(tmp_path, app="def f():\n    from token import NAME\n", token=""), "app.py") == (
        'HR04 your file token.py hides Python\'s own module "token". Rename it.'
    )


def test_a_file_that_hides_a_python_module_for_another_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "sched", raising=False)
    write(tmp_path, app="import helper\n", helper="from sched import scheduler\n", sched="")
    assert mistake(tmp_path, "app.py") == (
        'HR04 your file sched.py hides Python\'s own module "sched". Rename it.'
    )  # fmt: skip


def test_a_target_with_the_name_of_a_package_in_use(tmp_path: Path) -> None:
    assert mistake(write(tmp_path, pytest=CHAT), "pytest.py") == (
        'HR04 your file pytest.py hides the installed package "pytest". Rename it.'
    )


def test_a_target_named_headrace(tmp_path: Path) -> None:
    assert mistake(write(tmp_path, headrace=CHAT), "headrace.py") == (
        'HR04 your file headrace.py hides the installed package "headrace". Rename it.'
    )


@pytest.mark.parametrize(
    "code", ["from uvicorn import Config\n", "import uvicorn\nuvicorn.Config\n", "import uvicorn.config\n"]
)
def test_a_file_that_hides_an_installed_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "uvicorn"]:
        monkeypatch.delitem(sys.modules, name)
    assert mistake(write(tmp_path, app=code, uvicorn=""), "app.py") == (
        'HR04 your file uvicorn.py hides the installed package "uvicorn". Rename it.'
    )


def test_a_file_with_a_python_modules_name_that_nobody_wants_is_left_alone(tmp_path: Path) -> None:
    assert loaded(write(tmp_path, app=CHAT, token=""), "app.py").__name__ == "Chat"
