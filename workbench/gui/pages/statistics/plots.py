"""From a report to plots: which there are, how each is read, and the same in words."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from workbench.analysis.alpha import Interval
from workbench.analysis.habits import Share
from workbench.analysis.report import Report
from workbench.analysis.resampled import PairAgreement
from workbench.analysis.votes import VOTES
from workbench.gui.widgets.charts import Band, Bars, Forest, Heat, Mark, Plot, Steps

MOST_DAYS = 60
MOST_ROWS = 24
MOST_MODELS = 12


def agreement_plots(report: Report) -> list[Plot]:
    """Between annotators, with themselves, with known answers, with the consensus."""
    made = []
    pairs = [p for p in report.labels.pairs if p.kappa is not None]
    if pairs:
        marks = [_mark(f"{p.first} · {p.second}", p.kappa, p.items, "items", share=False) for p in pairs[:MOST_ROWS]]
        made.append(
            _plot(
                "pairs",
                "Cohen's kappa of each pair",
                "Right is better: 1 is full agreement, 0 what chance gives. The line shows 0.4, below which guidelines are unclear.",
                Forest(marks, 0.4, share=False),
            )
        )
    if report.labels.pairs:
        made.append(confusion(report.labels.pairs[0]))
    if report.labels.accuracy:
        marks = [
            _mark(who, found, report.labels.agreement.items, "items") for who, found in report.labels.accuracy.items()
        ]
        reading = "How often each annotator is right, if what all say together (Dawid and Skene) is the truth."
        made.append(_plot("accuracy", "Accuracy against the consensus", reading, Forest(marks[:MOST_ROWS])))
    for name, title, shares, of, reading in (
        ("consistency", "Self-consistency", report.consistency, "repeats", "The same item again with places swapped: how often the same was said."),
        ("gold", "Gold accuracy", report.golds, "gold items", "How often the known answer of gold items was given."),
    ):  # fmt: skip
        if shares:
            made.append(_plot(name, title, reading, Forest(_marks(shares, of))))
    return made


def confusion(pair: PairAgreement) -> Plot:
    """Two annotators against each other."""
    highest = max(max(row) for row in pair.table) or 1
    used = [i for i in range(len(VOTES)) if any(pair.table[i]) or any(row[i] for row in pair.table)]
    names = [_VOTE[VOTES[i]] for i in used]
    cells = [
        [
            (
                pair.table[i][j] / highest,
                f"{pair.table[i][j]:,}",
                f"{pair.first}: {_VOTE[VOTES[i]]}, {pair.second}: {_VOTE[VOTES[j]]}: {pair.table[i][j]:,}",
            )
            for j in used
        ]
        for i in used
    ]
    reading = f"Rows: {pair.first}. Columns: {pair.second}. Agreement is on the diagonal; 1st and 2nd are the candidates as they stand in the data."
    drawn = Heat(names, names, cells, ("0", f"{highest:,}"))
    return Plot("confusion", "Confusion of two annotators", reading, drawn, [c[2] for line in cells for c in line])


def habit_plots(report: Report) -> list[Plot]:
    """Side, length, time, days."""
    made = []
    if report.labels.left_by:
        reading = "Strict choices between two on the screen. Places are drawn at random, so 50 % is no bias."
        drawn = Forest(_marks(report.labels.left_by, "choices"), 0.5)
        made.append(_plot("left", "Left response preferred", reading, drawn))
    if report.lengths:
        marks = [
            Mark(
                f"{part.low:,}–{part.high:,}" if part.high > part.low else f"{part.low:,}",
                part.share.value, part.share.low, part.share.high,
                f"longer by {part.low:,} to {part.high:,} characters: the longer one preferred in {_percent(part.share)}",
            )
            for part in report.lengths
        ]  # fmt: skip
        reading = "Above 50 % the longer response wins. Rising to the right: the more it is longer, the more it wins."
        drawn_ = Steps(marks, 0.5, "characters longer")
        made.append(_plot("length", "Longer response preferred, by how much longer", reading, drawn_))
    if report.sittings:
        lines = [
            (who, [(float(s.minute), s.low, s.middle, s.high) for s in stretches])
            for who, stretches in report.sittings.items()
        ]
        words = [
            f"{who}, from minute {s.minute}: {s.middle:.1f} s (half of them {s.low:.1f} to {s.high:.1f} s), {s.count:,} items"
            for who, stretches in report.sittings.items()
            for s in stretches
        ]
        reading = "Median seconds for an item as a sitting goes on, with the middle half. Rising is tiring; falling is practice, or hurry."
        band = Band(lines, "minutes into the sitting", "seconds")
        made.append(Plot("sitting", "Time for an item over a sitting", reading, band, words))
    if report.days:
        made.append(_days(report))
    return made


def model_plots(report: Report) -> list[Plot]:
    """Ratings and who beats whom."""
    made = []
    rated = [r for r in report.labels.ratings if r.bradley_terry is not None][:MOST_ROWS]
    if rated:
        marks = [
            Mark(
                r.model, r.bradley_terry or 0.0, r.low, r.high,
                f"{r.model}: {r.bradley_terry:.2f}{_between(r.low, r.high, '{:.2f}')}, Elo {r.elo:,.0f}, {r.wins:,} won, {r.ties:,} tied, {r.losses:,} lost",
            )
            for r in rated
        ]  # fmt: skip
        reading = (
            "Bradley–Terry log-strength, 0 is the average model. Intervals that overlap: not told apart yet. "
            "Each comparison is taken as independent."
        )
        made.append(_plot("ratings", "Ratings of models", reading, Forest(marks, 0.0, share=False)))
    if report.win_rates:
        made.append(_win_rates(report))
    return made


def _win_rates(report: Report) -> Plot:
    names = [rating.model for rating in report.labels.ratings][:MOST_MODELS]
    cells: list[list[tuple[float, str, str] | None]] = []
    for a in names:
        line: list[tuple[float, str, str] | None] = []
        for b in names:
            rate = report.win_rates.get((a, b))
            if rate is None:
                line.append(None)
                continue
            told = f"{a} over {b}: {_percent(rate.share)}; {rate.wins:,} won, {rate.ties:,} tied, {rate.losses:,} lost"
            line.append((rate.share.value, f"{100 * rate.share.value:.0f} %\nof {rate.share.count:,}", told))
        cells.append(line)
    reading = "How often the row is preferred over the column, ties as halves, and of how many comparisons."
    words = [cell[2] for row in cells for cell in row if cell is not None]
    return Plot("wins", "Win rates", reading, Heat(names, names, cells, ("0 %", "100 %")), words)


def _days(report: Report) -> Plot:
    every = [day for counts in report.days.values() for day in counts]
    last = max(every)
    first = max(min(every), last - timedelta(days=MOST_DAYS - 1))
    shown = [first + timedelta(days=n) for n in range((last - first).days + 1)]
    stacks = [(who, [counts.get(day, 0) for day in shown]) for who, counts in report.days.items()]
    words = [f"{day:%d %b %Y}, {who}: {n:,}" for who, counts in report.days.items() for day, n in counts.items()]
    reading = "Judgements on the screen by day" + (f", the last {MOST_DAYS} days." if first > min(every) else ".")
    return Plot("days", "Labels per day", reading, Bars([f"{day:%d %b}" for day in shown], stacks), words)


def _marks(shares: Mapping[str, Share], of: str) -> list[Mark]:
    return [
        Mark(who, s.value, s.low, s.high, f"{who}: {_percent(s)}, {s.count:,} {of}")
        for who, s in list(shares.items())[:MOST_ROWS]
    ]


def _mark(label: str, found: Interval | None, count: int, of: str, *, share: bool = True) -> Mark:
    assert found is not None
    scale, form = (100, "{:.0f} %") if share else (1, "{:.2f}")
    low, high = (None if bound is None else scale * bound for bound in (found.low, found.high))
    told = f"{form.format(scale * found.value)}{_between(low, high, form)}"
    return Mark(label, found.value, found.low, found.high, f"{label}: {told}, {count:,} {of}")


def _between(low: float | None, high: float | None, form: str) -> str:
    """An interval in brackets, or nothing where nobody can say."""
    return "" if low is None or high is None else f" ({form.format(low)} to {form.format(high)})"


def _plot(name: str, title: str, reading: str, drawn: Forest | Steps) -> Plot:
    return Plot(name, title, reading, drawn, [mark.words for mark in drawn.marks])


def _percent(share: Share) -> str:
    return f"{100 * share.value:.0f} % ({100 * share.low:.0f} to {100 * share.high:.0f} %)"


_VOTE = {"first": "1st", "tie": "tie", "second": "2nd", "all bad": "all bad"}
