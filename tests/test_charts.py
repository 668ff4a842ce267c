"""Charts: well-formed whatever the data, inside their frame, readable without eyes, no script and no fetch."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenecheck.charts import (
    Axis,
    Bar,
    Bin,
    Mark,
    Series,
    bar_chart,
    heat_table,
    line_chart,
    reliability_chart,
    roc_chart,
)

SVG = "{http://www.w3.org/2000/svg}"
SHARE = st.floats(0, 1)
ANY_TEXT = st.text(max_size=40)
ANY_NUMBER = st.floats(allow_nan=True, allow_infinity=True)


def parsed(svg: str) -> ET.Element:
    """The chart as XML, after the checks that hold for every chart."""
    root = ET.fromstring(svg)
    assert root.tag == f"{SVG}svg"
    assert root.get("role") == "img"
    title = root[0]
    assert (title.tag, title.get("id")) == (f"{SVG}title", root.get("aria-labelledby"))
    assert not re.search(
        r"<script|\son\w+=|href=|url\(|@import|javascript:|<(foreignObject|image|use)\b", svg
    )
    width, height = (float(v) for v in root.get("viewBox", "").split()[2:])
    for attribute, most in (("x", width), ("cx", width), ("y", height), ("cy", height)):
        for element in root.iter():
            if element.tag != f"{SVG}text" or attribute == "y":
                assert -1 <= float(element.get(attribute, 0)) <= most + 1
    for path in root.iter(f"{SVG}path"):
        assert re.fullmatch(r"[MLHVZhvlmz\d. -]+", path.get("d", "")), path.get("d")
    return root


def titles(root: ET.Element) -> list[str]:
    return [e.text or "" for e in root.iter(f"{SVG}title")]


def path_of(root: ET.Element, klass: str) -> str:
    return next(p.get("d", "") for p in root.iter(f"{SVG}path") if p.get("class") == klass)


@given(
    name=ANY_TEXT,
    points=st.lists(st.tuples(ANY_NUMBER, ANY_NUMBER), max_size=12),
    log=st.booleans(),
    steps=st.booleans(),
)
def test_line_chart_of_any_numbers_and_names_is_well_formed_and_inside_its_frame(
    name: str, points: list[tuple[float, float]], log: bool, steps: bool
) -> None:
    series = Series(name, [x for x, _ in points], [y for _, y in points])
    x = Axis(name, 1e-3, 1, log=True, edge="0") if log else Axis(name, -3, 7)
    svg = line_chart(
        [series, series], title=name, x=x, y=Axis("y"), marks=[Mark(0.01, name)], steps=steps, dots=True
    )
    parsed(svg)


@given(rows=st.lists(st.tuples(ANY_TEXT, SHARE, SHARE, SHARE, st.booleans()), max_size=8))
def test_bar_chart_of_any_shares_is_well_formed(rows: list[tuple[str, float, float, float, bool]]) -> None:
    bars = [Bar(name, None if gap else v, a, b, old=b, note=name) for name, v, a, b, gap in rows]
    parsed(bar_chart(bars, title="t", x=Axis("share", percent=True)))


@given(
    bins=st.lists(
        st.builds(Bin, SHARE, SHARE, st.integers(0, 10**6), SHARE, SHARE).filter(lambda b: b.n > 0)
    ),
    name=ANY_TEXT,
)
def test_reliability_chart_of_any_bins_is_well_formed(bins: list[Bin], name: str) -> None:
    root = parsed(reliability_chart({name: bins, name + "2": bins}, title="Calibration"))
    assert len(list(root.iter(f"{SVG}circle"))) == 2 * len(bins)


@given(
    values=st.lists(st.lists(st.none() | ANY_NUMBER, min_size=3, max_size=3), max_size=5),
)
def test_heat_table_shows_each_finite_value_once(values: list[list[float | None]]) -> None:
    rows = [f"r{i}" for i in range(len(values))]
    root = parsed(heat_table(rows, ["a", "b", "c"], values, title="t", good=1.0, bad=0.5))
    finite = sum(v is not None and abs(v) < float("inf") for row in values for v in row)
    assert len(titles(root)) == 1 + finite


def test_roc_chart_puts_zero_false_positives_at_the_left_edge_and_spreads_the_first_percent() -> None:
    root = parsed(
        roc_chart(
            [Series("a", [0, 0, 0.01, 1], [0, 0.5, 0.9, 1])],
            title="ROC",
            n_street=129,
            marks=[Mark(0.005, "0.5 %"), Mark(0.01, "1 %")],
        )
    )
    numbers = [float(v) for v in re.findall(r"[MH]([\d.]+)", path_of(root, "line"))]
    assert numbers[0] == numbers[1] == 54  # both zeros on the axis itself
    one_percent, all_ = numbers[2], numbers[3]
    assert one_percent - 54 > (all_ - 54) / 6  # a hundredth of the range has a sixth of the room
    texts = [e.text for e in root.iter(f"{SVG}text")]
    assert "0" in texts
    assert "0.5 %" in texts
    assert "1 %" in texts


def test_steps_hold_a_value_until_the_next_x() -> None:
    series = Series("a", [0, 1], [0, 1])
    held, straight = (
        path_of(parsed(line_chart([series], title="t", x=Axis("x"), y=Axis("y"), steps=s)), "line")
        for s in (True, False)
    )
    assert held == "M54.0 264.0H434.0V34.0"
    assert straight == "M54.0 264.0L434.0 34.0"


def test_a_gap_breaks_the_line_and_a_lone_point_is_a_dot() -> None:
    series = Series("a", [0, 0.2, 0.4, 0.6], [0.1, 0.2, float("nan"), 0.4])
    root = parsed(line_chart([series], title="t", x=Axis("x"), y=Axis("y")))
    lines = [p for p in root.iter(f"{SVG}path") if p.get("class") == "line"]
    assert len(lines) == 2
    assert "a: 0.4 at 0.6" in titles(root)


def test_bar_says_value_interval_and_what_it_was() -> None:
    root = parsed(
        bar_chart([Bar("night", 0.71, 0.4, 0.9, old=0.8)], title="t", x=Axis("right", percent=True))
    )
    assert titles(root)[1] == "night: 71\u00a0% [40\u00a0%, 90\u00a0%], before 80\u00a0%"


def test_heat_reddens_from_good_to_bad_in_either_direction() -> None:
    def strengths(good: float, bad: float) -> list[float]:
        svg = heat_table(["r"], ["a", "b", "c"], [[0.2, 0.6, 1.0]], title="t", good=good, bad=bad)
        return [float(v) for v in re.findall(r'fill-opacity="([\d.]+)"', svg)]

    assert strengths(1.0, 0.2) == strengths(0.2, 1.0)[::-1]
    assert strengths(1.0, 0.2) == [0.66, 0.35, 0.04]


def test_charts_of_no_data_are_still_charts() -> None:
    assert line_chart([], title="t", x=Axis("x"), y=Axis("y")).count("<svg") == 1
    for svg in (
        roc_chart([], title="t", n_street=0),
        reliability_chart({}, title="t"),
        bar_chart([], title="t", x=Axis("x")),
        heat_table([], [], [], title="t", good=1, bad=0),
    ):
        parsed(svg)


def test_the_same_data_gives_the_same_bytes_and_other_data_another_id() -> None:
    one, two, other = (bar_chart([Bar("a", v)], title="t", x=Axis("x")) for v in (0.5, 0.5, 0.6))
    assert one == two
    assert ET.fromstring(one).get("aria-labelledby") != ET.fromstring(other).get("aria-labelledby")


@pytest.mark.parametrize("text", ["<script>alert(1)</script>", "\"&'", "\x00\x1b\ud800"])
def test_names_from_outside_are_text_and_nothing_else(text: str) -> None:
    svg = bar_chart([Bar(text, 0.5, note=text)], title=text, x=Axis(text))
    parsed(svg.encode("utf-8").decode())
    assert "<script" not in svg


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Axis("a", 1, 1), "expected low < high, got 1 and 1"),
        (lambda: Axis("a", float("nan"), 1), "expected low < high"),
        (lambda: Axis("a", 0, 1, log=True), "above 0, got 0"),
        (lambda: Axis("a").share(float("nan")), "NaN has no place"),
        (lambda: Series("s", [1], [1, 2]), "series 's': expected equally many"),
        (lambda: Series("s", [1], [1], low=[1]), "series 's': expected equally many"),
        (lambda: heat_table(["r"], ["c"], [[1, 2]], title="t", good=1, bad=0), "1 rows of 1 values"),
        (lambda: heat_table(["r"], ["c"], [[1]], title="t", good=1, bad=1), "good and bad to differ"),
    ],
)
def test_data_that_cannot_be_drawn_is_refused_by_name(make, says: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match=says):
        make()


@given(low=st.floats(-1e6, 1e6), span=st.floats(1e-3, 1e6), log=st.booleans())
def test_ticks_are_few_and_within_the_axis(low: float, span: float, log: bool) -> None:
    if log:
        low = abs(low) + 1e-6
    axis = Axis("a", low, low + span, log=log)
    ticks = axis.ticks()
    assert len(ticks) <= 13
    slack = 1e-6 * max(abs(low), abs(low + span), 1)
    assert all(low - slack <= t <= low + span + slack for t in ticks)
    assert log or len(ticks) >= 2
