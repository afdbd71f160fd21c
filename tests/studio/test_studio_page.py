"""The studio in a real browser: from the folder to the report."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from studio_server import Visit, studio, write_study

pytestmark = pytest.mark.slow


def test_from_the_folder_to_the_report_and_the_card(browser: Any, tmp_path: Path) -> None:
    root = tmp_path / "my <b>study</b>"
    write_study(root)
    with studio() as (url, _):
        visit = Visit(browser, url)
        page = visit.page
        visit.until("document.querySelector('h1')?.textContent === 'Where are your recordings?'")
        page.fill("#path", str(root))
        page.keyboard.press("Enter")
        visit.until("document.querySelectorAll('.target').length === 2")
        assert "3 people, 18 trials" in page.inner_text("#screen")
        assert page.locator("#folder").inner_text() == str(root)
        page.click("#next")
        page.click("label:has-text('calm 9, tense 9')")
        visit.until("document.querySelector('#way-cross_session').disabled")
        page.click("label[for=way-leave_one_subject_out]")
        visit.until("!document.querySelector('#next').disabled")
        assert "--protocol leave_one_subject_out --quick" in page.inner_text(".command code")
        page.click("#next")
        visit.until("document.querySelector('.progresses') !== null")
        other = Visit(browser, url)  # a second window shows the same run and starts none
        other.until("document.querySelector('.progresses') !== null")
        visit.until("document.querySelector('h1')?.textContent.startsWith('Report')")
        other.close()
        report = page.frame_locator("#report-frame")
        assert "Mood" in report.locator("h1").inner_text()
        page.click("#next")
        page.click("#make-card")
        visit.until("document.getElementById('save-card.md') !== null")
        with page.expect_download() as waiting:
            page.locator("[id='save-card.md']").click()
        assert "mood" in Path(waiting.value.path()).read_text(encoding="utf-8")
        visit.close()
    assert [p.name for p in (root / "runs").iterdir() if not p.name.startswith(".")] == ["mood-leave_one_subject_out"]
