"""Small charts drawn by the server from numbers, for pages that load no script: `staff/_chart.html` makes SVG of them."""

from collections.abc import Sequence
from dataclasses import dataclass

HEIGHT, WIDTH, GAP = 48, 6, 2


@dataclass(frozen=True, slots=True)
class Chart:
    """Bars above a base line. `path` is SVG path data in pixels; `words` say what it shows to those who do not see it."""

    path: str
    width: int
    height: int
    words: str


def bars(values: Sequence[int], words: str) -> Chart | None:
    """A bar for each value, the largest the full height; None without values."""
    if not values:
        return None
    most, width = max(*values, 1), len(values) * (WIDTH + GAP)
    heights = [round(HEIGHT * value / most) or (1 if value else 0) for value in values]
    drawn = "".join(
        f"M{number * (WIDTH + GAP)} {HEIGHT}v-{height}h{WIDTH}v{height}z"
        for number, height in enumerate(heights)
        if height
    )
    path = f"{drawn}M0 {HEIGHT}h{width}v1h-{width}z"
    return Chart(path, width, HEIGHT + 1, f"{words}: {min(values)}\u2013{max(values)}")
