"""`headrace dev`: everything that helps while a service is written."""

from __future__ import annotations

from headrace.cli.serving import serving_command

command = serving_command(
    "dev",
    "Serve TARGET on this machine while you write it: starts again when a file changes, takes the next free port.",
    {"reload": True, "drain": 0.5, "loop_limit": 0.5},
    next_port=True,
)
