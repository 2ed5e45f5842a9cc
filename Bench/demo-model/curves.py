#!/usr/bin/env python3
"""Draw a training's curves as one SVG: losses on the left, acceptance of drafts on held-out text on the right.

    curves.py LOSS_CSV SVG
"""
import argparse
import csv
import math

WIDTH, HEIGHT, LEFT, TOP, PLOT_WIDTH, PLOT_HEIGHT = 920, 340, 48, 34, 340, 250
DOMAINS = (("swift_code", "code", "#1b6ca8"), ("swift_tests", "tests", "#c1662b"), ("markdown", "prose", "#3c8d5a"))
DRAFT_COLOURS = ("#12456b", "#1b6ca8", "#4f8fbd", "#7fa9c9")
LABEL_HEIGHT = 13


def ticks(low, high):
    """At most seven round numbers, equally far apart, and how many decimals they need."""
    power = math.floor(math.log10((high - low) / 7 or 1))
    step = next(s for s in (m * 10 ** power for m in (1, 2, 5, 10, 20)) if (high - low) / s <= 7)
    count = range(math.ceil(low / step), math.floor(high / step) + 1)
    return [i * step for i in count], max(0, -math.floor(math.log10(step)))


class Plot:
    """One pair of axes; x in millions of tokens."""

    def __init__(self, left, title, xs, ys):
        self.left, self.x, self.y = left, (min(xs), max(xs)), self.padded(ys)
        self.parts = [f'<text x="{left}" y="20" font-weight="600">{title}</text>']
        self.labels = []
        self.axes()

    @staticmethod
    def padded(values):
        low, high = min(values), max(values)
        margin = 0.05 * (high - low or 1)
        return low - margin, high + margin

    def place(self, x, y):
        return (self.left + (x - self.x[0]) / (self.x[1] - self.x[0] or 1) * PLOT_WIDTH,
                TOP + (self.y[1] - y) / (self.y[1] - self.y[0]) * PLOT_HEIGHT)

    def axes(self):
        bottom = TOP + PLOT_HEIGHT
        values, decimals = ticks(*self.y)
        for y in values:
            at = self.place(self.x[0], y)[1]
            self.parts.append(f'<line x1="{self.left}" x2="{self.left + PLOT_WIDTH}" y1="{at:.1f}" y2="{at:.1f}" stroke="#ddd"/>')
            self.parts.append(f'<text x="{self.left - 6}" y="{at + 4:.1f}" text-anchor="end">{y:.{decimals}f}</text>')
        values, decimals = ticks(*self.x)
        for x in values:
            at = self.place(x, self.y[0])[0]
            self.parts.append(f'<line x1="{at:.1f}" x2="{at:.1f}" y1="{bottom}" y2="{bottom + 4}" stroke="#888"/>')
            self.parts.append(f'<text x="{at:.1f}" y="{bottom + 16}" text-anchor="middle">{x:.{decimals}f}</text>')
        self.parts.append(
            f'<text x="{self.left + PLOT_WIDTH / 2}" y="{bottom + 34}" text-anchor="middle">million tokens seen</text>')

    def line(self, xs, ys, colour, label, dashed=False):
        points = [self.place(x, y) for x, y in zip(xs, ys)]
        dash = ' stroke-dasharray="4 3"' if dashed else ""
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        self.parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.6"{dash}/>')
        self.labels.append((points[-1][1], label, colour))

    def finished(self):
        """All parts; the lines' labels stand at their ends, apart from each other."""
        lowest = 0.0
        for y, label, colour in sorted(self.labels):
            lowest = max(y + 4, lowest + LABEL_HEIGHT)
            self.parts.append(f'<text x="{self.left + PLOT_WIDTH + 6}" y="{lowest:.1f}" fill="{colour}">{label}</text>')
        return self.parts


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("csv")
    parser.add_argument("svg")
    options = parser.parse_args()
    with open(options.csv) as file:
        # A training that went on from its last save writes some steps twice.
        rows = {int(row["tokens"]): row for row in csv.DictReader(file)}
    rows = [rows[tokens] for tokens in sorted(rows)]

    def column(name, of):
        return [float(row[name]) for row in of]

    def tokens(of):
        return [x / 1e6 for x in column("tokens", of)]

    held_out = [row for row in rows if row.get("swift_code_main")]
    losses = [("training text", "#888", column("main", rows), rows)]
    if not held_out:
        raise SystemExit(f"{options.csv} has no row with held-out losses")
    losses += [(label, colour, column(f"{domain}_main", held_out), held_out) for domain, label, colour in DOMAINS]
    left = Plot(LEFT, "Cross entropy of the main model, nats a token", tokens(rows), sum((ys for _, _, ys, _ in losses), []))
    for label, colour, ys, of in losses:
        left.line(tokens(of), ys, colour, label, dashed=of is rows)
    drafts = [[sum(float(row[f"{domain}_accept_{d}"]) for domain, _, _ in DOMAINS) / len(DOMAINS) for row in held_out]
              for d in range(1, 5)]
    right = Plot(LEFT + PLOT_WIDTH + 120, "Σ min(p, q) at temperature 0.8, mean of the three domains", tokens(rows), sum(drafts, []))
    for d, ys in enumerate(drafts):
        right.line(tokens(held_out), ys, DRAFT_COLOURS[d], f"draft {d + 1}")
    with open(options.svg, "w") as file:
        file.write(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="11">\n'
                   f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>\n' + "\n".join(left.finished() + right.finished()) + "\n</svg>\n")


if __name__ == "__main__":
    main()
