"""The page and the JUnit file: complete, self-contained, honest, and nothing of a room in the clear."""

from __future__ import annotations

import base64
import re
import shutil
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

from scenecheck.adapter import Model, open_model
from scenecheck.errors import UsageError
from scenecheck.evaluation.baseline import baseline_of, flips
from scenecheck.evaluation.comparison import RULES, compare
from scenecheck.evaluation.evaluate import evaluate
from scenecheck.evaluation.junit import write_junit
from scenecheck.evaluation.policy import Policy
from scenecheck.evaluation.report import html, share, write_html
from scenecheck.evaluation.results import Baseline, Evaluation, Regression
from scenecheck.evaluation.stress import stress
from scenecheck.mask import MAX_CELLS
from tests.browser import BROWSER_MS
from tests.cameras import write_cameras, write_model

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Browser

EVIL = "<script>alert(1)</script>"


@dataclass(frozen=True)
class Compared:
    """A worse model beside the baseline of the good one."""

    good: Evaluation
    worse: Evaluation
    baseline: Baseline
    regressions: list[Regression]
    model: Model

    @property
    def page(self) -> str:
        return html(self.worse, model=self.model, baseline=self.baseline, regressions=self.regressions)


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Compared]:
    folder = tmp_path_factory.mktemp("cameras")
    manifest = write_cameras(folder)
    with open_model(write_model(folder, "good"), threads=1) as model:
        good = evaluate(manifest, model, workers=1)
    with open_model(write_model(folder, "worse", border=152.0, version="2"), threads=1) as model:
        worse = evaluate(manifest, model, workers=1)
        baseline = baseline_of(good, reason=EVIL)
        yield Compared(good, worse, baseline, compare(worse, baseline, Policy()), model)


class Tags(HTMLParser):
    """Names and attributes of all tags; unbalanced ones raise."""

    VOID = frozenset({"meta", "link", "img", "br", "hr", "input"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def test_page_is_balanced_and_holds_no_script_no_handler_and_no_address(compared: Compared) -> None:
    page = compared.page
    tags = Tags(page)
    assert not {"script", "iframe", "object", "link", "form", "base"} & {name for name, _ in tags.found}
    for _, attributes in tags.found:
        assert not any(name.startswith("on") for name in attributes)
        for name in ("src", "href", "action"):
            assert (
                str(attributes.get(name) or "data:").startswith("data:image/png;base64,")
                or name not in attributes
            )
    assert not re.search(r"url\(|@import|https?://(?!www\.w3\.org/2000/svg)", page)
    policy = next(a["content"] for n, a in tags.found if n == "meta" and a.get("http-equiv"))
    assert str(policy).startswith("default-src 'none'")
    ids = [a["id"] for _, a in tags.found if "id" in a]
    assert len(ids) == len(set(ids))


def test_page_says_what_got_worse_and_lists_flips_with_both_scores(compared: Compared) -> None:
    text = Tags(compared.page).text
    assert "Worse than the baseline: 2 rules broken" in text
    assert "missed : 1 rooms are called street and were not before: cellar" in text
    found = flips(compared.worse, compared.baseline)
    assert len(found) == 2
    for flip in found:
        row = rf"{flip.path} indoor indoor street {share(flip.old_p_indoor)} {share(flip.new_p_indoor)} no longer right"
        assert row.replace("\u00a0", " ") in text.replace("\u00a0", " ")
    assert '<strong class="bad">cellar</strong>' in compared.page  # it was not missed before
    assert "rooms called street 20.0 % 1 of 5: proves ≤ 65.7 % before 0.0 % worse" in text.replace(
        "\u00a0", " "
    )


def test_page_without_a_baseline_says_that_nothing_was_compared(compared: Compared) -> None:
    page = html(compared.good)
    text = Tags(page).text
    assert "Not compared" in text
    assert "before" not in re.sub(r"How to read this.*", "", text)
    assert "<h2>Flips" not in page
    assert "0 of 5: proves ≤ 45.1\u00a0%" in page  # a zero is printed with what it proves


def test_page_of_an_equal_model_says_so_and_has_no_flip(compared: Compared) -> None:
    text = Tags(html(compared.good, baseline=compared.baseline)).text
    assert "No worse than the baseline" in text
    assert "None: every frame is called what it was called before." in text


def test_page_shows_of_a_picture_its_mosaic_alone(compared: Compared) -> None:
    """Its pixels in another order within each cell: the page is the same but for roundings of a level."""
    file = compared.worse.path.parent / compared.worse.worst[0].path
    before, picture = file.read_bytes(), cv2.imread(str(file))
    assert picture is not None
    cells = picture.reshape(9, 20, 16, 20, 3).transpose(0, 2, 1, 3, 4).reshape(9, 16, 400, 3)
    cells = cells[:, :, np.random.default_rng(0).permutation(400)].reshape(9, 16, 20, 20, 3)
    shuffled = cells.transpose(0, 2, 1, 3, 4).reshape(180, 320, 3)
    assert not np.array_equal(picture, shuffled)
    pages = [compared.page]
    try:
        cv2.imwrite(str(file), shuffled)
        pages.append(compared.page)
    finally:
        file.write_bytes(before)
    mosaics = [[decoded(str(a["src"])) for n, a in Tags(page).found if n == "img"] for page in pages]
    assert len(mosaics[0]) == len(compared.worse.worst) == 2  # this model has no map, so no heat
    for one, other in zip(*mosaics, strict=True):
        assert one.shape == (*MAX_CELLS, 3)
        assert np.abs(one.astype(int) - other).max() <= 1
    words = [re.sub(r"data:[^\"]+", "", page) for page in pages]
    assert words[0] == words[1]
    assert pages[0].count("base64") == 2


def decoded(url: str) -> np.ndarray:
    data = base64.b64decode(url.removeprefix("data:image/png;base64,"))
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    assert picture is not None
    return np.asarray(picture)


def test_page_lays_heat_over_the_mosaic_where_the_model_has_a_map(samples_dir: Path, tmp_path: Path) -> None:
    mislabelled = {
        "junction-1": "indoor",
        "canal-side-1": "street",
        "kitchen-1": "indoor",
        "bedroom-day-1": "street",
    }
    rows = [f"{samples_dir / name}.jpg,{label},{name}" for name, label in mislabelled.items()]
    (tmp_path / "some.csv").write_text("\n".join(["path,label,group", *rows]))
    with open_model(threads=1) as model:
        evaluation = evaluate(tmp_path / "some.csv", model, workers=1)
        page = html(evaluation, model=model)
        map_cells = model.card.outputs.cam[1:]
    pictures = [(a["class"], decoded(str(a["src"]))) for n, a in Tags(page).found if n == "img"]
    assert len(evaluation.worst) == 2
    assert [name for name, _ in pictures] == ["cells", "heat"] * len(evaluation.worst)
    for name, picture in pictures:
        assert picture.shape == ((*MAX_CELLS, 3) if name == "cells" else (*map_cells, 4))


def test_page_of_a_picture_that_has_gone_says_so(compared: Compared, tmp_path: Path) -> None:
    file = compared.worse.path.parent / compared.worse.worst[0].path
    away = tmp_path / "away.png"
    shutil.move(file, away)
    try:
        text = Tags(compared.page).text
    finally:
        shutil.move(away, file)
    assert "unreadable: the picture cannot be read any more" in text


def test_names_from_outside_are_text_on_the_page(compared: Compared) -> None:
    worse = compared.regressions[0].model_copy(update={"sentence": EVIL, "names": [EVIL]})
    page = html(compared.worse, baseline=compared.baseline, regressions=[worse])
    assert EVIL not in page
    assert Tags(page).text.count(EVIL) == 2  # the sentence, and the baseline's reason


def test_page_without_a_baseline_names_what_is_off_the_model_card(compared: Compared) -> None:
    off = compared.regressions[0].model_copy(update={"what": "golden", "sentence": "a tile differs"})
    text = Tags(html(compared.good, regressions=[off])).text
    assert "Not what the model card says: 1 rule broken" in text
    assert "a tile differs" in text
    assert "baseline" not in text.split("Figures")[0]


def test_page_with_stress_has_a_row_for_each_corruption(compared: Compared) -> None:
    report = stress(
        compared.good.manifest, compared.model, names=["fog", "h264"], severities=[0.5, 1.0], workers=1
    )
    page = html(compared.good, stress=report)
    text = Tags(page).text
    assert text.count("fog, clean: ") == 1
    for name, cells in report.corruptions.items():
        for severity, cell in zip(("0.5", "1"), cells, strict=True):
            assert f"{name}, {severity}: {cell.auroc:.3f}" in text
            assert f"{name}, {severity}: {cell.shift_indoor:z.3f}" in text


def test_the_same_evaluation_gives_the_same_bytes(compared: Compared, tmp_path: Path) -> None:
    write_html(compared.worse, tmp_path / "a.html", model=compared.model, baseline=compared.baseline)
    write_html(compared.worse, tmp_path / "b.html", model=compared.model, baseline=compared.baseline)
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.html", "b.html"]


@pytest.mark.parametrize(
    "write", [write_html, lambda e, path: write_junit(e, [], path)], ids=["html", "junit"]
)
def test_a_place_that_cannot_be_written_is_named_and_nothing_is_left(
    compared: Compared, tmp_path: Path, write: Callable[[Evaluation, Path], None]
) -> None:
    path = tmp_path / "folder"
    path.mkdir()
    with pytest.raises(UsageError, match=rf"{path}: Is a directory"):
        write(compared.good, path)
    assert list(tmp_path.iterdir()) == [path]


def cases(path: Path) -> dict[tuple[str, str], ET.Element]:
    return {(str(c.get("classname")), str(c.get("name"))): c for c in ET.parse(path).iter("testcase")}


def test_junit_fails_rules_and_groups_that_got_worse_and_no_other(compared: Compared, tmp_path: Path) -> None:
    write_junit(compared.worse, compared.regressions, tmp_path / "eval.xml")
    found = cases(tmp_path / "eval.xml")
    failed = {key for key, case in found.items() if case.find("failure") is not None}
    assert failed == {
        ("scenecheck.rules", "missed"),
        ("scenecheck.rules", "ece"),
        ("scenecheck.groups.indoor", "cellar"),
    }
    assert {name for classname, name in found if classname == "scenecheck.rules"} == {r.what for r in RULES}
    assert len(found) == len(RULES) + compared.worse.n.groups
    failure = found["scenecheck.groups.indoor", "cellar"].find("failure")
    assert failure is not None
    assert "indoor, called street" in str(failure.get("message"))
    root = ET.parse(tmp_path / "eval.xml").getroot()
    assert (root.get("tests"), root.get("failures"), root.get("skipped")) == (str(len(found)), "3", "0")


def test_junit_skips_a_known_miss_that_breaks_no_rule(compared: Compared, tmp_path: Path) -> None:
    write_junit(compared.worse, [], tmp_path / "eval.xml")
    found = cases(tmp_path / "eval.xml")
    assert all(case.find("failure") is None for case in found.values())
    skipped = [key for key, case in found.items() if case.find("skipped") is not None]
    assert skipped == [("scenecheck.groups.indoor", "cellar")]


@pytest.mark.parametrize(
    ("value", "text"), [(0.0, "0.0"), (1.0, "100.0"), (0.0049, "0.49"), (0.9987, "99.87"), (0.5, "50.0")]
)
def test_share_keeps_digits_where_they_matter(value: float, text: str) -> None:
    assert share(value) == f"{text}\u00a0%"


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("scheme", "width"), [("light", 1200), ("dark", 360)])
def test_page_in_a_browser_is_quiet_fetches_nothing_and_fits(
    browser: Browser, compared: Compared, tmp_path: Path, scheme: str, width: int
) -> None:
    write_html(
        compared.worse,
        tmp_path / "eval.html",
        model=compared.model,
        baseline=compared.baseline,
        regressions=compared.regressions,
    )
    page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)  # type: ignore[arg-type]
    page.set_default_timeout(BROWSER_MS)
    noise: list[str] = []
    requests: list[str] = []
    page.on("console", lambda message: noise.append(message.text))
    page.on("pageerror", lambda error: noise.append(str(error)))
    page.on("request", lambda request: requests.append(request.url.split(",")[0]))
    page.goto((tmp_path / "eval.html").as_uri())
    assert noise == []
    assert [url for url in requests if not url.startswith("data:image/png")] == [
        (tmp_path / "eval.html").as_uri()
    ]
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate("[...document.images].every(i => i.complete && i.naturalWidth == 16)")
    assert page.locator("svg[role=img]").count() == 3
    assert page.get_by_role("img", name="Mosaic of an indoor view").first.is_visible()
    background, ink = page.evaluate(
        "[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color]"
    )
    assert contrast(background, ink) >= 7.0
    assert (luminance(background) > 0.5) is (scheme == "light")
    for name in ("good", "bad", "warn", "muted"):
        colour, surface = page.evaluate(
            f"[getComputedStyle(document.documentElement).getPropertyValue('--{name}'),"
            " getComputedStyle(document.documentElement).getPropertyValue('--surface')]"
        )
        assert contrast(colour, surface) >= 4.5, name  # WCAG 2.2, AA
    page.close()


def channels(colour: str) -> list[float]:
    if colour.strip().startswith("#"):
        digits = colour.strip()[1:]
        digits = digits if len(digits) == 6 else "".join(c * 2 for c in digits)
        return [int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    return [float(v) / 255 for v in re.findall(r"[\d.]+", colour)[:3]]


def luminance(colour: str) -> float:
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels(colour)]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    """Contrast ratio of WCAG 2.2."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)
