"""Medians with quartiles, of runs and of ratios between runs of one round."""
from dataclasses import asdict, dataclass
from statistics import median, quantiles
from typing import Any


@dataclass(frozen=True)
class Spread:
    """Median and quartiles (by linear interpolation) of `runs`."""
    median: float
    low: float
    high: float
    runs: list[float]

    @staticmethod
    def of(runs: list[float]) -> "Spread":
        low, _, high = quantiles(runs, n=4, method="inclusive") if len(runs) > 1 else (runs[0],) * 3
        return Spread(median(runs), low, high, runs)

    def __str__(self) -> str:
        digits = 2 if self.median < 10 else 1 if self.median < 100 else 0
        return f"{self.median:.{digits}f} ({self.low:.{digits}f}–{self.high:.{digits}f})"

    def json(self) -> dict[str, Any]:
        return asdict(self)


def ratio(ours: list[float], theirs: list[float]) -> Spread:
    """Run by run, so that a machine that slows down for a while slows both."""
    return Spread.of([a / b for a, b in zip(ours, theirs, strict=True)])


def table(header: list[str], rows: list[list[str]]) -> str:
    """Plain text, first column to the left, the others to the right."""
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]

    def line(row: list[str]) -> str:
        return "  ".join([row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:]))]).rstrip()

    return "\n".join([line(header), line(["─" * width for width in widths]), *map(line, rows)])
