"""`headrace bench`: load on an endpoint or an OpenAI API, ours or any other, in the numbers of `vllm bench serve`."""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click

from headrace.cli.assignments import read_assignments
from headrace.cli.chat_server import ChatServer
from headrace.cli.exits import (
    EXIT_CANNOT_START,
    EXIT_OK,
    EXIT_STOPPED,
    EXIT_STREAM_FAILED,
    EXIT_TRUNCATED,
    EXIT_USAGE,
    fail,
)
from headrace.cli.load.answer import TRUNCATED, UNCONNECTED
from headrace.cli.load.report import Report
from headrace.cli.load.request import Address, Request, Route, Wire, address_of, ask_endpoint, ask_model
from headrace.cli.load.run import Load, Plan
from headrace.cli.load.tally import Tally
from headrace.cli.talk import exit_code, reason
from headrace.errors import ConnectionFailed, HeadraceError

PROMPT = "Once upon a time"
MAX_TOKENS = 128
MAX_REQUESTS = 1_000_000
MAX_CONCURRENCY = 10_000
MAX_SECONDS = 24 * 3600.0


class Rate(click.ParamType[float]):
    """Requests per second: above zero, or `inf`."""

    name = "rate"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The number."""
        try:
            rate = float(value)
        except ValueError:
            rate = math.nan
        if not rate > 0:
            self.fail(f"{value!r} is no rate; write requests per second, 2.5 for instance, or inf", param, ctx)
        return rate


def _writable(_: click.Context, __: click.Parameter, name: str | None) -> str | None:
    """Found out before the load and not after it."""
    if name is not None and name != "-" and not Path(name).absolute().parent.is_dir():
        raise click.BadParameter(f"there is no folder {str(Path(name).parent)!r} for it")
    return name


@click.command("bench")
@click.argument("url", required=False, default="http://127.0.0.1:8000")
@click.argument("arguments", nargs=-1)
@click.option("--requests", type=click.IntRange(1, MAX_REQUESTS), default=100, show_default=True, help="In all.")
@click.option(
    "--concurrency", type=click.IntRange(1, MAX_CONCURRENCY), default=8, show_default=True, help="Requests at a time."
)
@click.option(
    "--rate",
    type=Rate(),
    default="inf",
    show_default=True,
    help="Requests per second on average, at random times; inf: each as soon as another has ended.",
)
@click.option(
    "--duration",
    type=click.FloatRange(0, MAX_SECONDS, min_open=True),
    default=60.0,
    show_default=True,
    help="Seconds after which the run ends, done or not.",
)
@click.option(
    "--warmup", type=click.IntRange(0, MAX_REQUESTS), default=1, show_default=True, help="Requests before, not counted."
)
@click.option("--seed", type=int, default=0, show_default=True, help="Of the random times.")
@click.option("--route", type=click.Choice(["chat", "completions"]), help="URL is an OpenAI API; this part of it.")
@click.option("--model", help="Which model answers; the server's first one, unless told.")
@click.option("--prompt", help=f"What the model is asked.  [default: {PROMPT}]")
@click.option("--max-tokens", type=click.IntRange(min=1), help=f"The longest answer.  [default: {MAX_TOKENS}]")
@click.option("--wire", type=click.Choice(["sse", "ndjson", "raw"]), help="The format to ask an endpoint for.")
@click.option(
    "--api-key",
    envvar=["HEADRACE_API_KEY", "OPENAI_API_KEY"],
    show_envvar=True,
    help="The key that opens the server. Other users of the machine can see flags: prefer the environment.",
)
@click.option(
    "--json",
    "json_file",
    type=click.Path(dir_okay=False, writable=True, allow_dash=True),
    callback=_writable,
    metavar="FILE",
    help="Write the numbers as JSON, too; - prints them instead of the table.",
)
@click.option("--yes", is_flag=True, help="Put the load on another machine.")
def command(
    url: str,
    arguments: tuple[str, ...],
    route: Route | None,
    wire: Wire | None,
    model: str | None,
    prompt: str | None,
    max_tokens: int | None,
    api_key: str | None,
    json_file: str | None,
    yes: bool,
    warmup: int,
    **plan: Any,
) -> None:
    """Put load on the server at URL and print how it streams.

    Without a path, or with one that ends with /v1, URL is an OpenAI API; else it is an endpoint, whose ARGUMENTS are
    NAME=TEXT or NAME:=JSON. For an OpenAI API they are further members of the request, as in temperature:=0.
    """
    # The variable of a server may name several keys; any of them opens it.
    key = api_key.split(",")[0].strip() if api_key else None
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        try:
            address = address_of(url, route)
            question = _Question(address, model, prompt, max_tokens, read_assignments(arguments))
            question.check(wire)
            _permit(address, yes)
            if address.route is not None and model is None:
                question = replace(question, model=runner.run(_first_model(address, key)))
            request = question.request(wire, key)
        except (ValueError, TypeError) as error:
            fail(str(error), EXIT_USAGE)
        except HeadraceError as error:
            fail(reason(error), exit_code(error))
        raise SystemExit(_Bench(runner, request, Plan(**plan), question.model, json_file).run(warmup))


@dataclass(frozen=True, slots=True)
class _Question:
    """What is asked. None: as usual."""

    address: Address
    model: str | None
    prompt: str | None
    max_tokens: int | None
    arguments: dict[str, Any]

    def check(self, wire: Wire | None) -> None:
        """Raises ValueError where something belongs to the other kind of server."""
        if self.address.route is not None:
            if wire is not None:
                raise ValueError("--wire is for endpoints: the OpenAI API streams server-sent events alone")
            return
        for flag, value in (("model", self.model), ("prompt", self.prompt), ("max-tokens", self.max_tokens)):
            if value is not None:
                raise ValueError(
                    f"--{flag} is for an OpenAI API, and {self.address.url} is an endpoint: "
                    "write its arguments as NAME=TEXT, or give --route chat if it is the base of such an API"
                )

    def request(self, wire: Wire | None, api_key: str | None) -> Request:
        """The request that asks it."""
        if self.address.route is None:
            return ask_endpoint(self.address, self.arguments, wire, api_key)
        prompt = PROMPT if self.prompt is None else self.prompt
        chat = self.address.route == "chat"
        asked = {"messages": [{"role": "user", "content": prompt}]} if chat else {"prompt": prompt}
        members = {"model": self.model, **asked, "max_tokens": self.max_tokens or MAX_TOKENS} | self.arguments
        if "max_completion_tokens" in members:  # the newer name of it; some servers refuse the two together
            del members["max_tokens"]
        return ask_model(self.address, members, api_key)


class _Bench:
    """One run, and what is told of it.

    Args:
        runner: of the event loop; somebody else closes it.
        request: sent again and again.
        plan: how often and how fast.
        model: that is asked; None: none is.
        json_file: for the numbers, `-` to print them; None: for nobody.
    """

    def __init__(
        self, runner: asyncio.Runner, request: Request, plan: Plan, model: str | None, json_file: str | None
    ) -> None:
        self._runner = runner
        self._request = request
        self._plan = plan
        self._model = model
        self._json_file = json_file

    def run(self, warmup: int) -> int:
        """Runs it, and prints what was measured, also when it is interrupted. Returns the exit code."""
        plan, tally = self._plan, Tally()
        load = Load(self._request)
        click.secho(
            f"{plan.requests} requests to {self._request.url}, {plan.concurrency} at a time, "
            f"at most {plan.duration:g} s; Ctrl-C ends it",
            dim=True,
            err=True,
        )
        stopped = False
        try:
            if warmup:
                before = replace(plan, requests=warmup, rate=math.inf)
                self._runner.run(load.run(before, Tally()))
            self._runner.run(load.run(plan, tally))
        except ConnectionFailed as error:
            fail(reason(error), EXIT_CANNOT_START)
        except KeyboardInterrupt:
            stopped = True
        finally:
            load.close()
        self._tell(Report(plan, tally, self._model))
        return EXIT_STOPPED if stopped else ending(tally)

    def _tell(self, report: Report) -> None:
        numbers = json.dumps(report.members(), indent=2)
        click.echo(numbers if self._json_file == "-" else "\n".join(report.lines()))
        for note in report.notes():
            click.secho(note, fg="yellow", err=True)
        if self._json_file not in (None, "-"):
            try:
                Path(str(self._json_file)).write_text(numbers + "\n", "utf-8")
            except OSError as error:
                fail(f"cannot write {self._json_file}: {error.strerror}", EXIT_USAGE)


def ending(tally: Tally) -> int:
    """The exit code of a run that was not interrupted. A run in which no answer came whole is no success."""
    if tally.failed and not tally.completed and set(tally.failures) == {UNCONNECTED}:
        return EXIT_CANNOT_START
    if set(tally.failures) - {TRUNCATED} or not (tally.completed or tally.failed):
        return EXIT_STREAM_FAILED
    return EXIT_TRUNCATED if tally.failures else EXIT_OK


def _permit(address: Address, yes: bool) -> None:
    if address.local:
        return
    host = address.url.host
    if not yes:
        raise ValueError(
            f"{host} is another machine, and load there may cost its owner money and its users their answers; "
            "if you may do that, add --yes"
        )
    click.secho(f"warning: this is load on {host}, another machine", fg="yellow", err=True)


async def _first_model(address: Address, api_key: str | None) -> str:
    server = ChatServer(address.base, api_key)
    try:
        models = await server.models()
    finally:
        await server.close()
    if not models:
        fail(f"{address.base} has no model; name one with --model", EXIT_STREAM_FAILED)
    return models[0]


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop's, where there is one."""
    with contextlib.suppress(ImportError):
        import uvloop

        return uvloop.new_event_loop
    return None
