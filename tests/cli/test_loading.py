"""Which service of a module is taken, and the whole text of what is said when there is none (HR02)."""

from typing import Any

from headrace.cli.loading import load, load_bound
from headrace.cli.target import find
from headrace.services.decorators import Bound

CHAT = "from headrace.services.decorators import service\n\n@service\nclass Chat:\n    pass\n"
TWO = CHAT + "\n@service\nclass Speak:\n    pass\n"


def test_the_only_service_of_a_module_is_taken(project: Any) -> None:
    assert project.write(app=CHAT).loaded("app.py").__name__ == "Chat"


def test_the_named_service_is_taken(project: Any) -> None:
    assert project.write(app=TWO).loaded("app.py:Speak").__name__ == "Speak"


def test_an_imported_service_does_not_count_unless_named(project: Any) -> None:
    project.write(other=CHAT, app="from other import Chat\n" + CHAT.replace("Chat", "Mine"))
    assert project.loaded("app.py").__name__ == "Mine"
    assert project.loaded("app.py:Chat").__name__ == "Chat"


def test_a_bound_app_comes_before_its_class(project: Any) -> None:
    found = project.write(app=CHAT + "app = Chat.bind(3)\n").load("app")
    assert isinstance(found, Bound)
    assert found.args == (3,)


def test_the_bound_app_that_others_are_given_to_is_taken(project: Any) -> None:
    code = TWO + "speak = Speak.bind()\nchat = Chat.bind(speak=speak)\n"
    found = project.write(app=code).load("app.py")
    assert isinstance(found, Bound)
    assert found.service.__name__ == "Chat"


def test_the_service_that_depends_on_the_others_is_taken(project: Any) -> None:
    code = TWO + (
        "\nfrom headrace.services.dependencies import depends\n\n@service\nclass Both:\n"
        "    chat = depends(Chat)\n    def __init__(self, speak=depends(Speak)):\n        pass\n"
    )
    assert project.write(app=code).loaded("app.py").__name__ == "Both"


def test_of_services_in_a_circle_none_is_taken_for_the_others(project: Any) -> None:
    code = (
        TWO + "\nfrom headrace.services.dependencies import depends\nChat.a = depends(Speak)\nSpeak.b = depends(Chat)\n"
    )
    assert "app.py has 2 services: Chat, Speak" in project.write(app=code).mistake("app.py")


def test_a_bound_app_can_be_named(project: Any) -> None:
    found = project.write(app=TWO + "speak = Speak.bind()\nchat = Chat.bind()\n").load("app:speak")
    assert isinstance(found, Bound)
    assert found.service.__name__ == "Speak"


def test_loading_twice_gives_the_same_class(project: Any) -> None:
    project.write(app=CHAT)
    assert project.loaded("app.py") is project.loaded("app.py")


def test_a_file_of_the_same_name_in_another_folder_is_another_module(project: Any) -> None:
    project.write(a__slash__app=CHAT, b__slash__app=CHAT.replace("Chat", "Poet"))
    names = []
    for folder in ("a", "b"):
        service = load(find("app.py", project / folder))
        assert isinstance(service, type)
        names.append(service.__name__)
    assert names == ["Chat", "Poet"]


def test_a_file_may_have_the_name_of_a_package_that_it_does_not_need(project: Any) -> None:
    assert project.write(build=CHAT).loaded("build.py").__name__ == "Chat"


def test_mistakes_that_the_code_itself_reports_pass_unchanged(project: Any) -> None:
    code = "from headrace.errors import *\nraise DefinitionError([Mistake('HR05', 'no type')])\n"
    assert project.write(app=code).mistake("app.py") == "HR05 no type"


# HR02: the name


def test_a_name_with_a_typing_error(project: Any) -> None:
    assert project.write(app=CHAT).mistake("app.py:Caht") == 'HR02 app.py has no "Caht". Did you mean "Chat"?'


def test_a_name_like_no_other(project: Any) -> None:
    assert project.write(app=TWO).mistake("app.py:Zebra") == (
        'HR02 app.py has no "Zebra". Services found: Chat, Speak. Try: headrace dev app.py:Chat'
    )


def test_a_name_that_is_not_a_service(project: Any) -> None:
    assert project.write(app="class Chat: ...\n").mistake("app.py:Chat") == (
        'HR02 "Chat" in app.py is not a service. A service is a class decorated with @service.\n'
        "  fix: @service\n"
        "       class Chat:"
    )


def test_a_subclass_of_a_service_is_not_a_service_itself(project: Any) -> None:
    assert project.write(app=CHAT + "class Mine(Chat): ...\n").mistake("app.py:Mine") == (
        'HR02 "Mine" in app.py is not a service. Services found: Chat. Try: headrace dev app.py:Chat\n'
        "  fix: @service\n"
        "       class Mine:"
    )


def test_a_module_without_a_service(project: Any) -> None:
    assert project.write(app="x = 1\n").mistake("app.py") == (
        "HR02 app.py has no service of its own. A service is a class decorated with @service.\n"
        "  fix: @service\n"
        "       class Chat:"
    )


def test_a_module_with_several_services(project: Any) -> None:
    assert project.write(app=TWO).mistake("app.py") == (
        "HR02 app.py has 2 services: Chat, Speak. Choose one: headrace dev app.py:Chat"
    )


# the constructor's arguments


WITH_ARGUMENTS = CHAT.replace("    pass", "    def __init__(self, times: int, name: str = 'n') -> None: ...")


def test_a_class_is_bound_to_the_arguments_of_the_command_line(project: Any) -> None:
    bound = load_bound(project.write(app=WITH_ARGUMENTS).find("app.py"), {"Chat.times": "2"})
    assert (bound.service.__name__, bound.args, bound.kwargs) == ("Chat", (), {"times": 2})


def test_the_command_line_wins_over_the_code(project: Any) -> None:
    code = WITH_ARGUMENTS + "app = Chat.bind(1, name='mine')\n"
    bound = load_bound(project.write(app=code).find("app.py"), {"Chat.times": "2"})
    assert (bound.args, bound.kwargs) == ((2,), {"name": "mine"})
