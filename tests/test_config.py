"""The settings: their table, their sources, their order, their errors, and the page that is made from them."""

import math
import runpy
import tomllib
from dataclasses import FrozenInstanceError
from pathlib import Path
from typing import Any

import pytest

from headrace.config import ConfigError, Settings, from_environment, from_toml, merge, settings
from headrace.errors import HeadraceError

ROOT = Path(__file__).parent.parent

DEFAULTS = {
    "host": "127.0.0.1",
    "port": 8000,
    "reload": False,
    "workers": 1,
    "log_level": "info",
    "log_format": "text",
    "cors_origin": (),
    "api_key": (),
    "max_concurrency": 1000,
    "max_queue": 1000,
    "drain": 25.0,
    "heartbeat": 15.0,
    "ping": 20.0,
    "max_body": 8388608,
    "max_answer": 67108864,
    "allowed_host": (),
    "key_concurrency": 0,
    "key_rate": 0.0,
    "key_burst": 10,
    "head_timeout": 10.0,
    "body_timeout": 30.0,
    "write_timeout": 30.0,
    "peer_timeout": 30.0,
    "keep_alive": 5.0,
    "loop_limit": 1.0,
    "sync_threads": 128,
}


def test_the_table_lists_every_setting_with_its_default() -> None:
    assert {row.name: row.default for row in settings()} == DEFAULTS
    assert {row.name: getattr(Settings(), row.name) for row in settings()} == DEFAULTS


def test_every_setting_says_what_it_is_for() -> None:
    assert [row.name for row in settings() if not row.summary.endswith(".")] == []


def test_every_number_has_both_bounds() -> None:
    numbers = [row for row in settings() if row.kind in (int, float)]
    assert [row.name for row in numbers if row.minimum is None or row.maximum is None] == []


@pytest.mark.parametrize(
    ("name", "flag", "variable", "key", "usage"),
    [
        ("port", "--port", "HEADRACE_PORT", "port", "--port NUMBER"),
        ("reload", "--reload", "HEADRACE_RELOAD", "reload", "--reload / --no-reload"),
        ("log_level", "--log-level", "HEADRACE_LOG_LEVEL", "log-level", "--log-level TEXT"),
        ("drain", "--drain", "HEADRACE_DRAIN", "drain", "--drain SECONDS"),
        ("cors_origin", "--cors-origin", "HEADRACE_CORS_ORIGIN", "cors-origin", "--cors-origin TEXT"),
    ],
)
def test_names_derive_from_the_field(name: str, flag: str, variable: str, key: str, usage: str) -> None:
    row = next(row for row in settings() if row.name == name)
    assert (row.flag, row.variable, row.key, row.usage) == (flag, variable, key, usage)


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        Settings().port = 1  # type: ignore[misc]


def test_settings_are_printed_without_their_secrets() -> None:
    assert "sesame" not in repr(Settings(api_key=("sesame",)))


@pytest.mark.parametrize(
    ("variable", "text", "name", "value"),
    [
        ("HEADRACE_HOST", "0.0.0.0", "host", "0.0.0.0"),
        ("HEADRACE_PORT", "9000", "port", 9000),
        ("PORT", "9000", "port", 9000),
        ("HEADRACE_RELOAD", "1", "reload", True),
        ("HEADRACE_RELOAD", "Yes", "reload", True),
        ("HEADRACE_RELOAD", "off", "reload", False),
        ("HEADRACE_LOG_FORMAT", "json", "log_format", "json"),
        ("HEADRACE_DRAIN", "2.5", "drain", 2.5),
        ("HEADRACE_DRAIN", "3", "drain", 3.0),
        ("HEADRACE_CORS_ORIGIN", "https://a.example, https://b.example", "cors_origin", ("https://a.example", "https://b.example")),
        ("HEADRACE_API_KEY", "one,two", "api_key", ("one", "two")),
    ],
)  # fmt: skip
def test_the_environment_is_read_in_the_settings_own_type(variable: str, text: str, name: str, value: object) -> None:
    assert from_environment({variable: text}) == {name: value}


def test_port_counts_below_headrace_port() -> None:
    assert from_environment({"PORT": "1000", "HEADRACE_PORT": "2000"}) == {"port": 2000}


def test_port_counts_when_headrace_port_is_empty() -> None:
    assert from_environment({"PORT": "1000", "HEADRACE_PORT": ""}) == {"port": 1000}


def test_an_empty_variable_is_not_set() -> None:
    assert from_environment({"HEADRACE_WORKERS": "", "HEADRACE_API_KEY": ""}) == {}


def test_foreign_variables_are_left_alone() -> None:
    assert from_environment({"HOST": "machine", "HEADRACE_SERVICE_HOST": "10.0.0.1"}) == {}


@pytest.mark.parametrize(
    ("variable", "text", "message"),
    [
        (
            "HEADRACE_PORT",
            "70000",
            "the setting port is 70000 (from HEADRACE_PORT); it takes a whole number from 0 to 65535",
        ),
        ("PORT", "-1", "the setting port is -1 (from PORT); it takes a whole number from 0 to 65535"),
        (
            "HEADRACE_PORT",
            "tcp://10.0.0.1:80",
            "the setting port is 'tcp://10.0.0.1:80' (from HEADRACE_PORT); it takes a whole number from 0 to 65535",
        ),
        (
            "HEADRACE_DRAIN",
            "nan",
            "the setting drain is nan (from HEADRACE_DRAIN); it takes a number from 0 to 3600 (seconds)",
        ),
        (
            "HEADRACE_HEARTBEAT",
            "inf",
            "the setting heartbeat is inf (from HEADRACE_HEARTBEAT); it takes a number from 0.01 to 3600 (seconds)",
        ),
        (
            "HEADRACE_RELOAD",
            "maybe",
            "the setting reload is 'maybe' (from HEADRACE_RELOAD); it takes true or false",
        ),
        (
            "HEADRACE_LOG_LEVEL",
            "loud",
            "the setting log-level is 'loud' (from HEADRACE_LOG_LEVEL); it takes one of critical, error, warning,"
            " info, debug",
        ),
        (
            "HEADRACE_CORS_ORIGIN",
            "https://a.example/",
            "the setting cors-origin is ('https://a.example/',) (from HEADRACE_CORS_ORIGIN); it takes `*`, or a scheme"
            " and a host without a path, such as `https://example.org`",
        ),
        (
            "HEADRACE_API_KEY",
            "open sesame",
            "the setting api-key is not shown here (from HEADRACE_API_KEY); it takes visible ASCII characters"
            " without spaces and commas",
        ),
    ],
)
def test_a_refusal_names_the_setting_the_value_and_what_it_takes(variable: str, text: str, message: str) -> None:
    with pytest.raises(ConfigError) as refusal:
        from_environment({variable: text})
    assert str(refusal.value) == message


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("port", "8000"),
        ("port", 8000.0),
        ("port", True),
        ("port", 65536),
        ("workers", 0),
        ("max_concurrency", 0),
        ("max_queue", -1),
        ("heartbeat", 0),
        ("drain", math.inf),
        ("drain", "25"),
        ("max_body", 0),
        ("host", ""),
        ("host", "two words"),
        ("reload", 1),
        ("cors_origin", ("example.org",)),
        ("cors_origin", (1,)),
        ("api_key", ("",)),
    ],
)
def test_settings_refuse_what_they_do_not_take(name: str, value: Any) -> None:
    with pytest.raises(ConfigError) as refusal:
        Settings(**{name: value})
    assert refusal.value.setting == name


def test_a_refusal_is_of_our_tree_and_a_value_error() -> None:
    assert issubclass(ConfigError, HeadraceError)
    assert issubclass(ConfigError, ValueError)


def test_a_refused_secret_is_not_kept_in_the_error() -> None:
    with pytest.raises(ConfigError) as refusal:
        Settings(api_key=("open sesame",))
    assert refusal.value.value is None


def test_the_file_takes_dashes_and_underscores() -> None:
    data = tomllib.loads("max-queue = 5\nmax_body = 10\ndrain = 3\n")
    assert from_toml(data) == {"max_queue": 5, "max_body": 10, "drain": 3.0}


def test_the_file_takes_one_text_or_a_list_where_several_may_stand() -> None:
    assert from_toml({"api-key": "one"}) == {"api_key": ("one",)}
    assert from_toml({"api-key": ["one", "two"]}) == {"api_key": ("one", "two")}


def test_the_target_may_stand_in_the_file() -> None:
    assert from_toml({"target": "app.py:Chat"}) == {}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"max-quee": 5}, 'headrace.toml has an unknown setting "max-quee". Did you mean "max-queue"?'),
        (
            {"colour": "red"},
            'headrace.toml has an unknown setting "colour". It takes host, port, reload, workers, log-level,'
            " log-format, cors-origin, api-key, max-concurrency, max-queue, drain, heartbeat, ping, max-body,"
            " max-answer, allowed-host, key-concurrency, key-rate, key-burst, head-timeout, body-timeout,"
            " write-timeout, peer-timeout, keep-alive, loop-limit, sync-threads.",
        ),
        (
            {"max-queue": 1, "max_queue": 2},
            "headrace.toml gives the setting max-queue twice, with a dash and with an underscore",
        ),
        (
            {"port": "8000"},
            "the setting port is '8000' (from headrace.toml); it takes a whole number from 0 to 65535",
        ),
    ],
)
def test_the_file_is_checked(data: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as refusal:
        from_toml(data)
    assert str(refusal.value) == message


def test_a_refusal_names_the_file_it_was_given() -> None:
    with pytest.raises(ConfigError, match=r"^pyproject\.toml has an unknown setting"):
        from_toml({"prt": 1}, source="pyproject.toml")


@pytest.mark.parametrize(
    ("flags", "environment", "file", "port"),
    [
        ({"port": 1}, {"port": 2}, {"port": 3}, 1),
        ({"port": None}, {"port": 2}, {"port": 3}, 2),
        ({}, {}, {"port": 3}, 3),
        ({}, {}, {}, 8000),
    ],
)
def test_the_strongest_source_wins(flags: Any, environment: Any, file: Any, port: int) -> None:
    assert merge(flags, environment, file).port == port


def test_a_repeatable_flag_that_was_not_given_leaves_the_other_sources_alone() -> None:
    assert merge({"api_key": ()}, {"api_key": ("one",)}, {}).api_key == ("one",)


def test_a_switch_can_be_turned_off_by_its_flag() -> None:
    assert merge({"reload": False}, {"reload": True}, {}).reload is False


def test_flags_are_checked_when_merged() -> None:
    with pytest.raises(ConfigError, match=r"^the setting port is 70000; it takes"):
        merge({"port": 70000}, {}, {})


def test_the_docs_page_is_up_to_date() -> None:
    page = runpy.run_path(str(ROOT / "scripts" / "docs"))["page"]()
    written = (ROOT / "docs" / "reference" / "settings.md").read_text(encoding="utf-8")
    assert written == page, "run .venv/bin/python scripts/docs"
