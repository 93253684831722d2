"""A picture of bars as SVG: one group for each workload, one logarithmic axis."""

from __future__ import annotations

import math
from collections.abc import Mapping
from html import escape

WIDTH, BAR, GAP, LEFT, LABEL = 900, 14, 26, 150, 60
COLOURS = {"headrace": "#0b7285", "limit": "#868e96"}
OTHER = "#d0bfff"


def bars(values: Mapping[str, Mapping[str, float]]) -> str:
    """The picture.

    Args:
        values: microseconds by workload and server, all above 0.
    """
    numbers = [number for each in values.values() for number in each.values() if number > 0]
    low, high = math.floor(math.log10(min(numbers))), math.ceil(math.log10(max(numbers)))
    scale = (WIDTH - LEFT - LABEL) / (high - low)
    parts, y = list[str](), 20
    for workload, servers in values.items():
        parts.append(f'<text x="0" y="{y + BAR}" font-weight="bold">{escape(workload)}</text>')
        y += BAR + 6
        for name, number in servers.items():
            length = max(1.0, (math.log10(max(number, 10.0**low)) - low) * scale)
            parts.append(f'<text x="{LEFT - 8}" y="{y + BAR - 3}" text-anchor="end">{escape(name)}</text>')
            colour = COLOURS.get(name, OTHER)
            parts.append(f'<rect x="{LEFT}" y="{y}" width="{length:.1f}" height="{BAR - 2}" fill="{colour}"/>')
            parts.append(f'<text x="{LEFT + length + 5:.1f}" y="{y + BAR - 3}">{number:.3g}</text>')
            y += BAR
        y += GAP
    for power in range(low, high + 1):
        x = LEFT + (power - low) * scale
        parts.append(f'<line x1="{x:.1f}" y1="14" x2="{x:.1f}" y2="{y - GAP}" stroke="#ccc" stroke-dasharray="2 4"/>')
        parts.append(f'<text x="{x:.1f}" y="10" text-anchor="middle">{10.0**power:g} µs</text>')
    style = "font-family: sans-serif; font-size: 11px; fill: #333; background: #fff"
    size = f'width="{WIDTH}" height="{y}" viewBox="0 0 {WIDTH} {y}"'
    title = "<title>CPU microseconds per item, less is better</title>"
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size} style="{style}">{title}{"".join(parts)}</svg>\n'
