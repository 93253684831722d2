"""Which services a folder has, without importing anything."""

from typing import Any

from headrace.cli.discovery import services_in


def test_services_are_found_by_the_text_alone(project: Any) -> None:
    project.write(
        app="import not_there\n@service\nclass Chat: ...\nclass Plain: ...\n"
        "@headrace.service(name='s')\nclass Speak: ...\n",
        broken="@service\nclass Half(",
        sub__slash__more="@service()\nclass More: ...",
        hidden="# service\n@dataclass\nclass Data: ...",
    )
    project.write(**{".venv__slash__lib": "@service\nclass Foreign: ..."})
    project.write(env__slash__lib="@service\nclass Foreign: ...")
    (project / "env" / "pyvenv.cfg").write_text("")
    assert services_in(project.folder) == {"app.py": ["Chat", "Speak"], "sub/more.py": ["More"]}
