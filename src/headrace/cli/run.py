"""`headrace run`: production."""

from __future__ import annotations

from headrace.cli.serving import serving_command

command = serving_command(
    "run", "Serve TARGET in production: no reload, and a port that is taken is an error.", {}, next_port=False
)
