"""A headless Chromium for the pages that people are given."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser

BROWSER_MS = 90_000
"""A browser starts in a second; on a machine that trains a model at the same time it took most of a minute."""


@contextmanager
def chromium() -> Iterator[Browser]:
    """Skips with the reason where there is none."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("no Chromium on this machine")
    with playwright.sync_playwright() as p:
        # Containers seldom allow what Chromium's own sandbox needs; the page is ours.
        running = p.chromium.launch(executable_path=path, args=["--no-sandbox"], timeout=BROWSER_MS)
        yield running
        running.close()
