"""What is said when the user's code cannot be imported (HR03), as whole texts."""

from typing import Any

import pytest

from headrace.errors import DefinitionError, InvalidItem


def test_a_package_that_is_not_installed(project: Any) -> None:
    project.write(app="import helper\n", helper="\nimport zzz_not_there.part\n")
    assert project.mistake("app.py") == (
        'HR03 helper.py imports "zzz_not_there", which is not installed\n'
        "  helper.py:2\n"
        "    import zzz_not_there.part\n"
        "  This is Python VERSION at PYTHON.\n"
        "  fix: PYTHON -m pip install zzz_not_there"
    )


def test_a_package_whose_distribution_has_another_name(project: Any) -> None:
    assert project.write(app="import cv2\n").mistake("app.py").endswith("fix: PYTHON -m pip install opencv-python")


def test_a_module_that_an_installed_package_does_not_have(project: Any) -> None:
    assert project.write(app="import click.zebra\n").mistake("app.py") == (
        'HR03 app.py imports "click.zebra", which this version of "click" does not have\n'
        "  app.py:1\n"
        "    import click.zebra\n"
        "  This is Python VERSION at PYTHON.\n"
        "  fix: PYTHON -m pip install --upgrade click"
    )


def test_a_module_of_ones_own_with_a_typing_error(project: Any) -> None:
    assert project.write(app="import helprs\n", helpers="").mistake("app.py") == (
        'HR03 app.py imports "helprs", which does not exist. Did you mean "helpers"?\n  app.py:1\n    import helprs'
    )


def test_a_missing_part_of_ones_own_package(project: Any) -> None:
    assert project.write(app="import own.part\n", own__slash____init__="").mistake("app.py") == (
        'HR03 app.py imports "own.part", which is not in your own "own"\n'
        "  app.py:1\n"
        "    import own.part"
    )  # fmt: skip


def test_a_name_that_a_module_does_not_have(project: Any) -> None:
    assert project.write(app="from helper import zebra\n", helper="").mistake("app.py") == (
        "HR03 app.py failed while it was imported:"
        " ImportError: cannot import name 'zebra' from 'helper' (FOLDER/helper.py)\n"
        "  app.py:1\n"
        "    from helper import zebra"
    )


def test_code_that_is_not_python(project: Any) -> None:
    assert project.write(app="class Chat:\n    def f(self)\n        pass\n").mistake("app.py") == (
        "HR03 app.py is not valid Python: expected ':'\n"
        "  app.py:2\n"
        "    def f(self)\n"
        "               ^"
    )  # fmt: skip


def test_code_that_raises_shows_the_users_nearest_line(project: Any) -> None:
    project.write(app="import helper\n", helper='import json\nDATA = json.loads("{")\n')
    assert project.mistake("app.py") == (
        "HR03 app.py failed while it was imported: json.decoder.JSONDecodeError:"
        " Expecting property name enclosed in double quotes: line 1 column 2 (char 1)\n"
        "  helper.py:2\n"
        '    DATA = json.loads("{")\n'
        "  It was reached through app.py:1."
    )


def test_an_attribute_that_an_object_does_not_have(project: Any) -> None:
    assert project.write(app="json = 3\njson.loads\n").mistake("app.py") == (
        "HR03 app.py failed while it was imported: AttributeError: 'int' object has no attribute 'loads'\n"
        "  app.py:2\n"
        "    json.loads"
    )


def test_a_script_that_leaves_the_program(project: Any) -> None:
    assert project.write(app="import sys\nsys.exit(3)\n").mistake("app.py") == (
        "HR03 app.py left the program while it was imported: SystemExit: 3\n"
        "  app.py:2\n"
        "    sys.exit(3)\n"
        '  fix: if __name__ == "__main__":\n'
        "           main()"
    )


def test_the_users_own_error_is_kept_as_the_cause(project: Any) -> None:
    project.write(app="from headrace.errors import InvalidItem\nraise InvalidItem('mine')\n")
    with pytest.raises(DefinitionError) as error:
        project.load("app.py")
    assert isinstance(error.value.__cause__, InvalidItem)
