"""The tour's report: one HTML file with everything in it, curves as inline SVG, nothing loaded from anywhere."""

from __future__ import annotations

import math
from dataclasses import dataclass
from html import escape

from workbench.domain.runs import MetricPoint

WIDTH, HEIGHT, PAD = 320, 150, 34
STYLE = """
:root { color-scheme: light dark; --ground: #F7F7F5; --surface: #FFFFFF; --line: #DFE2E6; --text: #1A1C20; --quiet: #59616E; --accent: #3355DD; }
@media (prefers-color-scheme: dark) {
  :root { --ground: #141619; --surface: #1C1F23; --line: #30353C; --text: #E9EBEE; --quiet: #A0A8B4; --accent: #8FA8FF; }
}
body { background: var(--ground); color: var(--text); font: 15px/1.55 Inter, "Segoe UI", "Noto Sans", system-ui, sans-serif; margin: 0; }
main { max-width: 1060px; margin: 0 auto; padding: 32px 24px 64px; }
h1 { font-size: 24px; } h2 { font-size: 18px; margin-top: 36px; } p.quiet, td.quiet, figcaption { color: var(--quiet); }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; background: var(--surface); border: 1px solid var(--line); }
th, td { text-align: right; padding: 6px 14px; border-bottom: 1px solid var(--line); } th:first-child, td:first-child { text-align: left; }
.curves { display: flex; flex-wrap: wrap; gap: 16px; }
figure { margin: 0; background: var(--surface); border: 1px solid var(--line); border-radius: 6px; padding: 10px; }
figcaption { font-size: 13px; } svg text { fill: var(--quiet); font-size: 11px; } polyline { fill: none; stroke: var(--accent); stroke-width: 1.6; }
line { stroke: var(--line); } .story { background: var(--surface); border: 1px solid var(--line); border-radius: 6px; padding: 10px 14px; margin: 8px 0; }
"""


@dataclass(frozen=True)
class Row:
    """One model in the comparison: mean rule score, its four criteria, KL to the SFT model in nats for each completion."""

    model: str
    rule_score: float
    criteria: dict[str, float]
    kl: float
    length: float


@dataclass(frozen=True)
class Curve:
    """One curve of one run."""

    title: str
    caption: str
    points: list[MetricPoint]


@dataclass(frozen=True)
class Report:
    """All that the report shows."""

    seconds: float
    reward_accuracy: float
    rows: list[Row]
    curves: list[Curve]
    times: list[tuple[str, float]]
    stories: list[tuple[str, list[tuple[str, float, str]]]]
    machine: str


def render(report: Report) -> str:
    """The report as one HTML document."""
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>RLHF Workbench: the tour</title><style>{STYLE}</style></head><body><main>
<h1>The tour: from preferences to a better model</h1>
<p class="quiet">{escape(report.machine)} · {report.seconds:.0f} seconds in all. Everything here is synthetic: stories from a
grammar, preferences from a rule (the story has the hero and the thing that were asked for, ends happily, and ends), with the
judgement of every tenth item made at random.</p>
<h2>What came out</h2>
{_table(report.rows)}
<p>On prompts that no run has seen. The rule's score is the share of the four criteria that hold. KL is the mean over completions of
log p(model) − log p(SFT), in nats. The reward model prefers the better of two held-out stories in
<b>{_share(report.reward_accuracy)}</b> of the pairs.</p>
<h2>How it went</h2>
<div class="curves">{"".join(_figure(c) for c in report.curves)}</div>
<h2>Side by side</h2>
{"".join(_stories(prompt, answers) for prompt, answers in report.stories)}
<h2>Time</h2>
<table><tr><th>step</th><th>seconds</th></tr>{"".join(f"<tr><td>{escape(n)}</td><td>{s:.1f}</td></tr>" for n, s in report.times)}</table>
</main></body></html>
"""


def _share(value: float) -> str:
    return f"{value:.1%}" if math.isfinite(value) else "an unknown share"


def _table(rows: list[Row]) -> str:
    names = list(rows[0].criteria)
    head = "".join(f"<th>{escape(n)}</th>" for n in ("model", "rule score", *names, "KL to SFT", "words"))
    body = "".join(
        f"<tr><td>{escape(r.model)}</td><td><b>{r.rule_score:.3f}</b></td>"
        + "".join(f"<td>{r.criteria[n]:.2f}</td>" for n in names)
        + f"<td>{r.kl:.2f}</td><td>{r.length:.0f}</td></tr>"
        for r in rows
    )
    return f"<table><tr>{head}</tr>{body}</table>"


def _stories(prompt: str, answers: list[tuple[str, float, str]]) -> str:
    blocks = "".join(
        f'<div class="story"><span class="quiet">{escape(model)} · rule {score:.2f}</span><br>{escape(text)}</div>'
        for model, score, text in answers
    )
    return f"<h3>{escape(prompt)}</h3>{blocks}"


def _figure(curve: Curve) -> str:
    points = [(p.step, p.value) for p in curve.points if p.value == p.value and abs(p.value) != float("inf")]
    return f"<figure>{_svg(points)}<figcaption><b>{escape(curve.title)}</b><br>{escape(curve.caption)}</figcaption></figure>"


def _svg(points: list[tuple[int, float]]) -> str:
    if not points:
        return f'<svg width="{WIDTH}" height="{HEIGHT}"><text x="12" y="24">no finite value was reported</text></svg>'
    steps, values = [s for s, _ in points], [v for _, v in points]
    low, high = min(values), max(values)
    span, reach = (high - low) or 1.0, (max(steps) - min(steps)) or 1
    line = " ".join(
        f"{PAD + (s - min(steps)) / reach * (WIDTH - PAD - 8):.1f},{8 + (high - v) / span * (HEIGHT - 32):.1f}"
        for s, v in points
    )
    base = HEIGHT - 24
    return (
        f'<svg width="{WIDTH}" height="{HEIGHT}" role="img"><line x1="{PAD}" y1="{base}" x2="{WIDTH - 8}" y2="{base}"/>'
        f'<polyline points="{line}"/><text x="0" y="14">{high:.3g}</text><text x="0" y="{base}">{low:.3g}</text>'
        f'<text x="{PAD}" y="{HEIGHT - 8}">{min(steps)}</text><text x="{WIDTH - 8}" y="{HEIGHT - 8}" text-anchor="end">step {max(steps)}</text></svg>'
    )
