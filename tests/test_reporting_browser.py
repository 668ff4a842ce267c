"""The pages in a headless Chromium: quiet, offline, sorted and filtered as asked, whole without script and on paper."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from scenecheck.reporting import write_reports
from tests.browser import BROWSER_MS
from tests.reports import city, small, stored

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.timeout(300)
N = 1_000

Open = Callable[..., "Page"]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """Reports of 3 and of 1,000 feeds."""
    made = {}
    for n, mornings in ((3, [*small()]), (N, city(N, mornings=2))):
        made[n] = tmp_path_factory.mktemp(f"report-{n}")
        with stored(made[n] / "city.db", *mornings) as store:
            write_reports(store, len(mornings), made[n])
    return made


@pytest.fixture
def open_page(browser: Browser, folders: dict[int, Path]) -> Iterator[Open]:
    """Opens a page of a report; at the end it must have been quiet and have asked for nothing."""
    noise: list[str] = []
    requests: list[str] = []
    contexts = []

    def open_(n: int, name: str = "audit.html", *, width: int = 1200, **options: object) -> Page:
        context = browser.new_context(viewport={"width": width, "height": 800}, **options)  # type: ignore[arg-type]
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(BROWSER_MS)
        page.on("console", lambda message: noise.append(message.text))
        page.on("pageerror", lambda error: noise.append(str(error)))
        page.on("dialog", lambda dialog: noise.append(dialog.message))
        page.on("request", lambda request: requests.append(request.url))
        page.goto((folders[n] / name).as_uri())
        return page

    yield open_
    for context in contexts:
        context.close()
    assert noise == []
    assert [url for url in requests if not url.startswith(("data:image/png", "file:"))] == []
    assert {Path(url.split("#")[0]).name for url in requests if url.startswith("file:")} <= {
        "audit.html",
        "audit.id.html",
    }


def shown(page: Page) -> list[str]:
    """The feeds of the rows that are seen, from above."""
    found: list[str] = page.evaluate(
        "[...document.querySelectorAll('.feeds tbody tr')].filter(r => r.offsetParent)"
        ".map(r => r.cells[0].querySelector('bdi').textContent)"
    )
    return found


def column(page: Page, at: int) -> list[str]:
    found: list[str] = page.evaluate(
        "at => [...document.querySelectorAll('.feeds tbody tr')].map(r => r.cells[at].innerText.trim())", at
    )
    return found


@pytest.mark.parametrize("n", [3, N])
@pytest.mark.parametrize(
    ("name", "scheme", "width"), [("audit.html", "light", 1200), ("audit.id.html", "dark", 360)]
)
def test_page_fits_shows_every_feed_and_its_mosaics(
    open_page: Open, n: int, name: str, scheme: str, width: int
) -> None:
    page = open_page(n, name, width=width, color_scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert len(shown(page)) == n
    assert page.evaluate("document.images.length") > 0
    assert page.evaluate(
        "[...document.images].every(i => i.complete && i.naturalWidth == 16 && i.naturalHeight == 9)"
    )
    assert page.locator("html").get_attribute("lang") == ("en" if name == "audit.html" else "id")


def test_filter_by_word_verdict_and_finding(open_page: Open) -> None:
    page = open_page(N)
    page.get_by_label("Search").fill("SMG-0001 simpang")
    assert shown(page)
    assert all(feed.startswith("smg-0001") for feed in shown(page))
    assert page.locator("#counted").text_content() == "10 of 1,000 feeds"
    page.get_by_label("Search").fill("no such camera")
    assert shown(page) == []
    page.get_by_role("button", name="Show all").click()
    assert len(shown(page)) == N
    page.locator("#state").select_option("indoor")
    rooms = shown(page)
    assert 0 < len(rooms) < 50
    assert (
        page.locator(".feeds tbody tr:visible").count()
        == page.locator(".feeds tbody tr[data-state=indoor]").count()
    )
    page.locator("#kind").select_option("still-indoor")
    assert set(shown(page)) < set(rooms)
    page.locator("#kind").select_option("-")
    assert shown(page) == []


def test_a_link_of_what_to_do_first_shows_its_feeds_in_the_table(open_page: Open) -> None:
    page = open_page(N)
    link = page.locator("a[data-kind=still-unreachable]")
    n = int(re.findall(r"\d+", link.inner_text())[0])
    link.click()
    assert len(shown(page)) == n > 0
    assert set(
        page.evaluate(
            "[...document.querySelectorAll('.feeds tbody tr')].filter(r => !r.hidden).map(r => r.dataset.state)"
        )
    ) == {"unreachable"}


def test_sort_by_text_number_and_back_with_the_empty_last(open_page: Open) -> None:
    page = open_page(N)
    assert page.locator("th[aria-sort]").inner_text() == "finding"
    head = page.locator(".feeds thead th").nth(0)
    head.get_by_role("button").click()
    assert shown(page) == [f"smg-{i:05}" for i in range(N)]
    assert head.get_attribute("aria-sort") == "ascending"
    head.get_by_role("button").click()
    assert shown(page) == [f"smg-{i:05}" for i in reversed(range(N))]
    assert head.get_attribute("aria-sort") == "descending"
    indoor = page.locator(".feeds thead th").nth(4).get_by_role("button")
    for is_back in (False, True):
        indoor.click()
        values = [float(v.replace("\u00a0%", "")) for v in column(page, 4) if v != "–"]
        assert values == sorted(values, reverse=is_back)
        assert len(set(values)) == 3
        assert column(page, 4)[-1] == "–"
    page.locator(".feeds thead th").nth(5).get_by_role("button").click()
    days = [day for day in column(page, 5) if day]
    assert days == sorted(days)
    assert len(set(days)) == 2
    assert column(page, 5)[: len(days)] == days


def test_the_other_language_is_a_click_away_and_back(open_page: Open) -> None:
    page = open_page(3)
    page.get_by_role("link", name="Bahasa Indonesia").click()
    page.wait_for_url("**/audit.id.html")
    assert "Hentikan siarannya sekarang" in page.inner_text("main")
    assert page.locator("#counted").text_content() == "3 dari 3 kamera"
    page.get_by_role("link", name="English").click()
    page.wait_for_url("**/audit.html")
    assert "Take it off the air now" in page.inner_text("main")


def test_details_open_with_history_and_hostile_names_stay_text(open_page: Open) -> None:
    page = open_page(3)
    row = page.locator(".feeds tbody tr").filter(has_text="c-silent")
    assert "<script>alert('x')</script>" in row.inner_text()
    row.locator("summary").click()
    text = row.locator("ul").inner_text()
    assert "10.9.0.4:554: connection refused" in text
    assert re.findall(r"2026-03-0\d 05:30: (\w+)", text) == ["street", "unreachable"]


def test_without_script_it_is_a_plain_table(open_page: Open) -> None:
    page = open_page(N, java_script_enabled=False)
    assert page.locator(".filter").is_hidden()
    assert page.locator(".feeds tbody tr:visible").count() == N
    assert page.locator("thead button").count() == 0


def test_on_paper_there_is_all_but_the_controls(open_page: Open) -> None:
    page = open_page(3)
    page.emulate_media(media="print")
    assert page.locator(".filter").is_hidden()
    assert page.get_by_role("link", name="Bahasa Indonesia").is_hidden()
    assert len(shown(page)) == 3
    assert page.pdf().startswith(b"%PDF")
