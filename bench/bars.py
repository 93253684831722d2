"""A picture of bars as SVG: a panel for each metric, with a logarithmic axis of its own, a group for each workload."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

WIDTH, BAR, GAP, LEFT, LABEL = 900, 14, 12, 150, 60
COLOURS = {"headrace": "#0b7285", "limit": "#868e96"}
OTHER = "#d0bfff"


@dataclass(frozen=True, slots=True)
class Panel:
    """One metric.

    Attributes:
        title: what it is; less is better.
        unit: of the numbers.
        values: by workload and server, all above 0.
    """

    title: str
    unit: str
    values: Mapping[str, Mapping[str, float]]


def picture(panels: Sequence[Panel]) -> str:
    """The panels, one below the other."""
    parts, y = list[str](), 0
    for panel in panels:
        drawn, height = _draw(panel, y)
        parts += drawn
        y = height
    style = "font-family: sans-serif; font-size: 11px; fill: #333; background: #fff"
    size = f'width="{WIDTH}" height="{y}" viewBox="0 0 {WIDTH} {y}"'
    title = f"<title>{escape(', '.join(panel.title for panel in panels))}: less is better</title>"
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size} style="{style}">{title}{"".join(parts)}</svg>\n'


def _draw(panel: Panel, top: int) -> tuple[list[str], int]:
    """The parts of a panel, and where it ends."""
    numbers = [number for each in panel.values.values() for number in each.values()]
    low, high = math.floor(math.log10(min(numbers))), math.ceil(math.log10(max(numbers)))
    scale = (WIDTH - LEFT - LABEL) / max(1, high - low)
    heading = f"{panel.title}, {panel.unit}; less is better"
    parts = [f'<text x="0" y="{top + 18}" font-size="14" font-weight="bold">{escape(heading)}</text>']
    begin = y = top + 46
    for workload, servers in panel.values.items():
        parts.append(f'<text x="0" y="{y + BAR - 3}" font-weight="bold">{escape(workload)}</text>')
        y += BAR
        for name, number in servers.items():
            length = max(1.0, (math.log10(number) - low) * scale)
            parts.append(f'<text x="{LEFT - 8}" y="{y + BAR - 3}" text-anchor="end">{escape(name)}</text>')
            colour = COLOURS.get(name, OTHER)
            parts.append(f'<rect x="{LEFT}" y="{y}" width="{length:.1f}" height="{BAR - 2}" fill="{colour}"/>')
            parts.append(f'<text x="{LEFT + length + 5:.1f}" y="{y + BAR - 3}">{number:.3g}</text>')
            y += BAR
        y += GAP
    for power in range(low, high + 1):
        x = LEFT + (power - low) * scale
        parts.append(
            f'<line x1="{x:.1f}" y1="{begin}" x2="{x:.1f}" y2="{y - GAP}" stroke="#ccc" stroke-dasharray="2 4"/>'
        )
        parts.append(f'<text x="{x:.1f}" y="{begin - 6}" text-anchor="middle">{10.0**power:g}</text>')
    return parts, y + GAP
