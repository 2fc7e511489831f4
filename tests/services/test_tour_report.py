"""The tour's report is one file that loads nothing and escapes everything."""

import math
import re
from datetime import UTC, datetime
from html.parser import HTMLParser

from workbench.domain.runs import MetricPoint
from workbench.services.tour_report import Curve, Report, Row, render

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def report(values: list[float], text: str = "Mia laughed.") -> Report:
    return Report(
        seconds=120.0,
        reward_accuracy=0.875,
        rows=[
            Row("sft", 0.65, {"hero": 0.9, "thing": 0.6}, 0.0, 60.0),
            Row("ppo", 0.91, {"hero": 1.0, "thing": 0.8}, 6.5, 58.0),
        ],
        curves=[
            Curve(
                "loss",
                "lower is better",
                [MetricPoint(name="loss", step=i, value=v, time=NOW) for i, v in enumerate(values)],
            )
        ],
        times=[("sft", 20.0)],
        stories=[("Tell me about <Mia>", [("sft", 0.5, text)])],
        machine="2 cores",
    )


def test_that_nothing_is_loaded_from_elsewhere() -> None:
    html = render(report([1.0, 0.5]))
    assert not re.search(r"(src|href)\s*=|https?://|@import|url\(", html)


def test_that_model_text_cannot_inject_markup() -> None:
    html = render(report([1.0], text="<script>alert(1)</script>"))
    assert "<script>" not in html
    assert "&lt;script&gt;" in html
    assert "&lt;Mia&gt;" in html


def test_that_every_number_of_the_table_is_there() -> None:
    html = render(report([1.0]))
    for number in ("0.650", "0.910", "6.50", "87.5%"):
        assert number in html


def test_that_a_curve_goes_through_its_points() -> None:
    html = render(report([4.0, 2.0, 0.0]))
    line = re.search(r'polyline points="([^"]+)"', html)
    assert line is not None
    heights = [float(p.split(",")[1]) for p in line.group(1).split()]
    assert heights[0] < heights[1] < heights[2]
    assert math.isclose(heights[1] - heights[0], heights[2] - heights[1], abs_tol=0.2)


def test_that_not_a_number_breaks_no_curve() -> None:
    assert "nan" not in render(report([1.0, math.nan, 2.0]))
    assert "no finite value" in render(report([math.nan]))


def test_that_tags_are_balanced() -> None:
    class Balance(HTMLParser):
        def __init__(self) -> None:
            super().__init__()
            self.open: list[str] = []

        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            if tag not in {"meta", "br", "line"}:
                self.open.append(tag)

        def handle_endtag(self, tag: str) -> None:
            if tag in {"line", "polyline"} and (not self.open or self.open[-1] != tag):
                return
            assert self.open.pop() == tag

    parser = Balance()
    parser.feed(render(report([1.0, 2.0])).replace("/>", ">").replace("<polyline", "<br"))
    assert not parser.open
