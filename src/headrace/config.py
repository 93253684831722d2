"""Every setting, declared once.

The fields of `Settings` carry their help text and their bounds. Command-line flags, environment variables,
`headrace.toml` and `docs/reference/settings.md` derive from these declarations, so they cannot disagree. Nothing here
reads a file, the environment or the command line: callers pass what they read.

Precedence, strongest first: flag, environment, file, default. Every bound is finite by default.
"""

from __future__ import annotations

import dataclasses
import difflib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from headrace.errors import HeadraceError

_SWITCH = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}
_KIND_NAMES = {str: "text", bool: "true or false", int: "a whole number", float: "a number", tuple: "a list of texts"}
_MEBIBYTE = 1024 * 1024

Default = TypeVar("Default")


class ConfigError(HeadraceError, ValueError):
    """A setting that does not exist, or a value that it does not take."""

    def __init__(self, message: str, *, setting: str, value: object, accepted: str) -> None:
        super().__init__(message)
        self.setting = setting
        self.value = value
        self.accepted = accepted


@dataclass(frozen=True, slots=True)
class Setting:
    """One row of the table of settings."""

    default: Any
    summary: str
    name: str = ""
    choices: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    unit: str = ""
    pattern: str = ""  # each text must match it whole
    shape: str = ""  # the pattern in words
    secret: bool = False  # never shown

    @property
    def kind(self) -> type:
        """`str`, `bool`, `int`, `float`, or `tuple` for several texts."""
        return type(self.default)

    @property
    def repeatable(self) -> bool:
        """Whether its flag may be given several times."""
        return self.kind is tuple

    @property
    def flag(self) -> str:
        """Its flag on the command line."""
        return f"--{self.key}"

    @property
    def variable(self) -> str:
        """Its environment variable."""
        return f"HEADRACE_{self.name.upper()}"

    @property
    def key(self) -> str:
        """Its key in the file."""
        return self.name.replace("_", "-")

    @property
    def usage(self) -> str:
        """Its flag as `--help` writes it."""
        if self.kind is bool:
            return f"{self.flag} / --no-{self.key}"
        return f"{self.flag} {(self.unit or ('number' if self.kind is int else 'text')).upper()}"

    @property
    def shown_default(self) -> str:
        """The default as the file would write it; empty when the default is "nothing"."""
        if self.kind is bool:
            return str(self.default).lower()
        return "" if self.repeatable else str(self.default)

    @property
    def accepted(self) -> str:
        """What it accepts, in words."""
        if self.choices:
            return f"one of {', '.join(self.choices)}"
        if self.shape:
            return self.shape
        if self.minimum is None:
            return _KIND_NAMES[self.kind]
        unit = f" ({self.unit})" if self.unit else ""
        return f"{_KIND_NAMES[self.kind]} from {self.minimum} to {self.maximum}{unit}"

    def check(self, value: object, source: str = "") -> Any:
        """Returns the value in the setting's own type, or raises `ConfigError`. `source` says where it stands."""
        if self.kind is tuple:
            texts = value if isinstance(value, (tuple, list)) else (value,)
            if not all(isinstance(text, str) and re.fullmatch(self.pattern, text) for text in texts):
                raise self.refusal(value, source)
            return tuple(texts)
        if self.kind is float and type(value) is int:
            value = float(value)
        if type(value) is not self.kind:
            raise self.refusal(value, source)
        if isinstance(value, str) and (
            (self.choices and value not in self.choices) or (self.pattern and not re.fullmatch(self.pattern, value))
        ):
            raise self.refusal(value, source)
        if self.minimum is not None and self.maximum is not None:
            assert isinstance(value, (int, float))
            if not self.minimum <= value <= self.maximum:
                raise self.refusal(value, source)
        return value

    def read(self, text: str, source: str) -> Any:
        """Reads the value from text, as it stands in an environment variable."""
        value: object = text
        try:
            if self.kind is bool:
                value = _SWITCH[text.strip().lower()]
            elif self.kind is tuple:
                value = tuple(part.strip() for part in text.split(",") if part.strip())
            elif self.kind in (int, float):
                value = self.kind(text)
        except (KeyError, ValueError):
            raise self.refusal(text, source) from None
        return self.check(value, source)

    def refusal(self, value: object, source: str) -> ConfigError:
        """The error for a value that this setting does not take; a secret one is not repeated in it."""
        shown = "not shown here" if self.secret else repr(value)
        place = f" (from {source})" if source else ""
        message = f"the setting {self.key} is {shown}{place}; it takes {self.accepted}"
        return ConfigError(message, setting=self.name, value=None if self.secret else value, accepted=self.accepted)


def setting(default: Default, summary: str, **declared: Any) -> Default:
    """Declares a field of `Settings`, of the type of its default; `declared` are further fields of `Setting`."""
    row = Setting(default, summary, **declared)
    field: Default = dataclasses.field(default=default, repr=not row.secret, metadata={"setting": row})
    return field


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The settings of a server. Every value was checked: `Settings(port=70000)` raises `ConfigError`."""

    host: str = setting(
        "127.0.0.1",
        "The address to listen on. The default is reachable from this machine only; `0.0.0.0` is every address.",
        pattern=r"\S+",
        shape="a host name or an address",
    )
    port: int = setting(8000, "The port to listen on. 0 takes any free one.", minimum=0, maximum=65535)
    reload: bool = setting(False, "Starts again when a file of the service changes. `headrace dev` turns it on.")
    workers: int = setting(1, "Server processes that share the port.", minimum=1, maximum=256)
    log_level: str = setting(
        "info",
        "The least important line that is still logged.",
        choices=("critical", "error", "warning", "info", "debug"),
    )
    log_format: str = setting("text", "Log lines for people, or one JSON object per line.", choices=("text", "json"))
    cors_origin: tuple[str, ...] = setting(
        (),
        "An origin whose pages may call this server from a browser; `*` is every origin.",
        pattern=r"\*|[a-z][a-z0-9+.-]*://[^/\s,]+",
        shape="`*`, or a scheme and a host without a path, such as `https://example.org`",
    )
    api_key: tuple[str, ...] = setting(
        (),
        "A key that opens this server; without any key it is open. Prefer the environment variable: other users of the"
        " machine can see flags.",
        pattern=r"[!-+\--~]+",
        shape="visible ASCII characters without spaces and commas",
        secret=True,
    )
    max_concurrency: int = setting(
        1000, "Streams that run at the same time, per process.", minimum=1, maximum=1_000_000, unit="streams"
    )
    max_queue: int = setting(
        1000,
        "Requests that may wait for a place, per process; the next one is answered 503.",
        minimum=0,
        maximum=1_000_000,
        unit="requests",
    )
    drain: float = setting(
        25.0,
        "How long open streams may finish after the server was told to stop.",
        minimum=0,
        maximum=3600,
        unit="seconds",
    )
    heartbeat: float = setting(
        15.0,
        "How long a stream may be silent before a sign of life is sent, so that proxies keep it open.",
        minimum=0.01,
        maximum=3600,
        unit="seconds",
    )
    ping: float = setting(
        20.0,
        "How often a WebSocket's peer is asked whether it is there, and how long it has to answer.",
        minimum=0.01,
        maximum=3600,
        unit="seconds",
    )
    max_body: int = setting(
        8 * _MEBIBYTE,
        "The largest request body, and WebSocket message; 8 MiB unless told.",
        minimum=1,
        maximum=1024 * _MEBIBYTE,
        unit="bytes",
    )
    max_answer: int = setting(
        64 * _MEBIBYTE,
        "The most that is gathered for one `application/json` answer; 64 MiB unless told. Streams have no limit.",
        minimum=1,
        maximum=4096 * _MEBIBYTE,
        unit="bytes",
    )
    allowed_host: tuple[str, ...] = setting(
        (),
        "A name under which this server may be called; `*` is every name. Left out, a server on a loopback address"
        " answers to loopback names only, so that no web page can reach it through a name of its own.",
        pattern=r"\*|[A-Za-z0-9._-]+(:\d{1,5})?|\[[0-9A-Fa-f:.]+\](:\d{1,5})?|[0-9A-Fa-f:]+",
        shape="`*`, or a host name or address, with its port where it matters",
    )
    key_concurrency: int = setting(
        0, "Streams that one key may run at the same time, per process; 0 is no limit.", minimum=0, maximum=1_000_000
    )
    key_rate: float = setting(
        0.0,
        "Requests a second that one key may start on average; 0 is no limit.",
        minimum=0,
        maximum=1_000_000,
        unit="requests",
    )
    key_burst: int = setting(
        10, "Requests that one key may start at once when it was quiet before.", minimum=1, maximum=1_000_000
    )
    head_timeout: float = setting(
        10.0, "How long the head of a request may take.", minimum=0.01, maximum=3600, unit="seconds"
    )
    body_timeout: float = setting(
        30.0, "How long the body of a request may make no progress.", minimum=0.01, maximum=3600, unit="seconds"
    )
    write_timeout: float = setting(
        30.0,
        "How long a client may read nothing of what waits for it; then its connection is reset.",
        minimum=0.01,
        maximum=3600,
        unit="seconds",
    )
    peer_timeout: float = setting(
        30.0, "How long a peer may be unreachable before its connection ends.", minimum=1, maximum=3600, unit="seconds"
    )
    keep_alive: float = setting(
        5.0, "How long a connection is kept between two requests.", minimum=0, maximum=3600, unit="seconds"
    )
    loop_limit: float = setting(
        1.0,
        "How long code may keep the event loop from running before the log names its line.",
        minimum=0.05,
        maximum=3600,
        unit="seconds",
    )
    sync_threads: int = setting(
        128, "Worker threads for generators that are not async, per process.", minimum=1, maximum=10_000, unit="threads"
    )

    def __post_init__(self) -> None:
        for row in settings():
            object.__setattr__(self, row.name, row.check(getattr(self, row.name)))


def settings() -> Iterator[Setting]:
    """The table of settings, in the order of `Settings`; the command's flags and the docs page are made from it."""
    for field in dataclasses.fields(Settings):
        row: Setting = field.metadata["setting"]
        yield dataclasses.replace(row, name=field.name)


def from_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    """The settings that the environment gives.

    An empty variable is not set. `PORT` counts when `HEADRACE_PORT` is not set.
    """
    given = {}
    for row in settings():
        names = (row.variable, "PORT") if row.name == "port" else (row.variable,)
        for name in names:
            if environ.get(name):
                given[row.name] = row.read(environ[name], name)
                break
    return given


SERVED = ("target", "engine", "model")
"""Keys of a file's table that say what is served."""


def from_toml(data: Mapping[str, Any], source: str = "headrace.toml") -> dict[str, Any]:
    """The settings of a file: the content of its `[headrace]` or `[tool.headrace]` table.

    Keys are written with dashes or underscores. What is to be served stands in the same table and is no setting: it is
    left out.
    """
    table = {row.name: row for row in settings()}
    given: dict[str, Any] = {}
    for key, value in data.items():
        name = key.replace("-", "_")
        if name in SERVED:
            continue
        if name not in table:
            raise _unknown(key, value, source)
        if name in given:
            message = f"{source} gives the setting {table[name].key} twice, with a dash and with an underscore"
            raise ConfigError(message, setting=name, value=None, accepted=table[name].accepted)
        given[name] = table[name].check(value, source)
    return given


def merge(flags: Mapping[str, Any], environment: Mapping[str, Any], file: Mapping[str, Any]) -> Settings:
    """The settings of this start: the strongest source that names a setting gives it.

    A flag of `None`, or an empty list for a repeatable one, was not given.
    """
    given = {name: value for name, value in flags.items() if value is not None and value != ()}
    return Settings(**{**file, **environment, **given})


def _unknown(key: str, value: object, source: str) -> ConfigError:
    keys = [row.key for row in settings()]
    close = difflib.get_close_matches(key.replace("_", "-"), keys, n=1)
    hint = f'Did you mean "{close[0]}"?' if close else f"It takes {', '.join(keys)}."
    return ConfigError(
        f'{source} has an unknown setting "{key}". {hint}', setting=key, value=value, accepted=", ".join(keys)
    )
