"""Calibration as SVG: for each tenth of the scale, what was said and what happened."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

SIZE, EDGE = 280, 40
Points = Sequence[tuple[float, float, int]]


def calibration(panels: Mapping[str, Points]) -> str:
    """One panel for each title; a dot's area grows with the number of invoices behind it."""
    width = len(panels) * (SIZE + 2 * EDGE)
    inside = "".join(_panel(n, title, points) for n, (title, points) in enumerate(panels.items()))
    height = SIZE + 2 * EDGE + 20
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'font-family="sans-serif" font-size="12"><rect width="100%" height="100%" fill="white"/>{inside}</svg>\n'
    )


def _panel(n: int, title: str, points: Points) -> str:
    left, top = n * (SIZE + 2 * EDGE) + EDGE, EDGE
    most = max((count for _, _, count in points), default=1)
    dots = "".join(
        f'<circle cx="{left + said * SIZE:.1f}" cy="{top + (1 - was) * SIZE:.1f}" r="{2 + 9 * (count / most) ** 0.5:.1f}" '
        f'fill="#2f6f9f" fill-opacity="0.7"><title>said {said:.2f}, was {was:.2f}, {count} invoices</title></circle>'
        for said, was, count in points
    )
    return (
        f'<text x="{left}" y="{top - 12}" font-weight="bold">{escape(title)}</text>'
        f'<rect x="{left}" y="{top}" width="{SIZE}" height="{SIZE}" fill="none" stroke="#888"/>'
        f'<line x1="{left}" y1="{top + SIZE}" x2="{left + SIZE}" y2="{top}" stroke="#bbb" stroke-dasharray="4 4"/>'
        f'{dots}<text x="{left}" y="{top + SIZE + 18}">said: 0 to 1</text>'
        f'<text x="{left + SIZE}" y="{top + SIZE + 18}" text-anchor="end">upwards: what happened</text>'
    )
