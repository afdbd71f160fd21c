"""The third walk-through: twenty people as EDF with annotated films, questionnaires in Excel, and nobody programs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fixtures_psychology import write_psychology
from studio_server import Visit, studio

pytestmark = pytest.mark.slow


def test_twenty_people_from_the_folder_to_the_model_card(browser: Any, tmp_path: Path) -> None:
    root = tmp_path / "emotion study"
    write_psychology(root)
    with studio() as (url, _):
        visit = Visit(browser, url, viewport={"width": 1024, "height": 800})
        page = visit.page
        visit.until("document.querySelector('#this') !== null")
        page.fill("#path", str(root))
        page.keyboard.press("Enter")
        visit.until("document.querySelectorAll('.target').length === 2")
        said = page.inner_text("#screen")
        assert "20 people, 120 trials of 16 s, eeg" in said
        assert "calm" in said, "annotations are labels"
        assert "valence" in said, "so are the ratings in Excel"
        page.click("#step-table")
        visit.until("document.querySelectorAll('#grid tbody tr').length > 0")
        page.click("summary:has-text('Why it looks like this')")
        assert "BFI-10 scored after Rammstedt & John 2007" in page.inner_text("#screen")
        page.click("#grid .head >> text=annotation")
        page.fill("#rename", "film")
        page.keyboard.press("Enter")
        visit.until("[...document.querySelectorAll('#grid .head')].some((h) => h.textContent.startsWith('film'))")
        page.click("#next")
        visit.until("document.querySelector('#work').hidden && document.querySelector('#next:not(:disabled)') !== null")
        page.click("#next")
        page.click("label:has-text('film'):has-text('calm 40, funny 40, sad 40')")
        page.click("label[for=depth-rehearsal]")
        page.click("label[for=way-leave_subjects_out]")
        visit.until("document.querySelector('.command code').textContent.includes('--protocol leave_subjects_out')")
        visit.until("!document.querySelector('#next').disabled")
        page.click("#next")
        visit.screen("Report")
        report = page.frame_locator("#report-frame")
        assert "Film" in report.locator("h1").inner_text()
        assert "20 people" in report.locator("body").inner_text()
        page.click("#next")
        page.click("#make-card")
        visit.until("document.getElementById('save-card.md') !== null")
        with page.expect_download() as waiting:
            page.locator("[id='save-card.md']").click()
        card = Path(waiting.value.path()).read_text(encoding="utf-8")
        assert "film" in card
        assert "20 people" in card
        visit.close()
