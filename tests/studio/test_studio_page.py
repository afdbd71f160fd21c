"""The studio in a real browser: every screen from the folder to the report, the live page and the card."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest
from studio_server import Visit, studio, write_study

pytestmark = pytest.mark.slow


def spoil(root: Path) -> None:
    """A trial that is too short, one without times, one with a dead sensor."""
    short, timeless, dead = (root / "P01" / "trial1.csv", root / "P02" / "trial2.csv", root / "P03" / "trial4.csv")
    short.write_text("\n".join(short.read_text().splitlines()[:25]), encoding="utf-8")
    rows = [line.split(",") for line in timeless.read_text().splitlines()]
    timeless.write_text("\n".join(",".join(cells[1:]) for cells in rows), encoding="utf-8")
    rows = [line.split(",") for line in dead.read_text().splitlines()]
    dead.write_text("\n".join([",".join(rows[0]), *(f"{a},2.5,{c}" for a, _, c in rows[1:])]), encoding="utf-8")


def test_every_screen_from_the_folder_to_the_live_page(browser: Any, tmp_path: Path) -> None:
    root = tmp_path / "my <b>study</b>"
    write_study(root)
    spoil(root)
    with studio() as (url, _):
        visit = Visit(browser, url)
        page = visit.page
        visit.until("document.querySelector('#this') !== null")
        visit.sound("where")
        a_file_dropped_is_refused(visit)
        page.fill("#path", str(root))
        page.keyboard.press("Enter")
        visit.until("document.querySelectorAll('.target').length === 2")
        assert page.locator("#folder").inner_text() == str(root), "a name of the user is text"
        visit.sound("check")
        remedies_help(visit)
        the_table_is_corrected(visit, root)
        page.click("#step-check")
        page.click("a[href='#/signals']")
        visit.until("document.querySelectorAll('.curve path').length === 2")
        visit.sound("signals")
        page.click("#next")
        page.click("label:has-text('calm 9, tense 9')")
        visit.until("document.querySelector('#way-cross_session').disabled")
        page.click("label[for=way-leave_one_subject_out]")
        visit.until("!document.querySelector('#next').disabled")
        visit.sound("question")
        assert "--protocol leave_one_subject_out --quick" in page.inner_text(".command code")
        page.click("#next")
        visit.until("document.querySelector('.progresses') !== null")
        visit.sound("training")
        other = Visit(browser, url)  # a second window shows the same run and starts none
        other.until("document.querySelector('.progresses') !== null")
        visit.close()  # long work survives a closed browser
        other.screen("Report")
        other.sound("report")
        use(other)
        other.close()
    assert [p.name for p in (root / "runs").iterdir() if not p.name.startswith(".")] == ["mood-leave_one_subject_out"]
    strange = {p.name for p in root.iterdir()} - {"P01", "P02", "P03", "answers.csv", "runs", ".insula"}
    assert strange == {"manifest.csv", "people.csv", "manifest.reasons.txt"}, "nothing is written elsewhere"


def a_file_dropped_is_refused(visit: Visit) -> None:
    """Only folders hold a study."""
    visit.page.evaluate(
        """() => {
          const held = new DataTransfer();
          held.items.add(new File(["x"], "one.csv"));
          document.querySelector("#places").dispatchEvent(new DragEvent("drop", { bubbles: true, dataTransfer: held }));
        }"""
    )
    visit.until("document.querySelector('#problem').textContent.startsWith('That is no folder')")


def remedies_help(visit: Visit) -> None:
    """Each problem is gone after its button, and comes back with undo."""
    page = visit.page
    count = "document.querySelectorAll('.problems > li .actions').length"
    ready = "document.querySelector('#work').hidden && document.querySelector('.problems button:disabled') === null"
    assert page.evaluate(count) == 3
    page.fill("[aria-label='samples a second']", "4")
    page.click("button:has-text('Set the rate')")
    visit.until(f"{count} === 2 && {ready}")
    page.click("li:has-text('a window needs') button:has-text('Drop this trial')")
    visit.until(f"{count} === 1 && {ready}")
    page.click("#undo")
    visit.until(f"{count} === 2 && {ready}")
    page.click("li:has-text('a window needs') button:has-text('Cut shorter windows')")
    visit.until(f"{count} === 1 && {ready}")
    assert "Cut as you said: windows of 3 s" in page.inner_text("#screen")
    page.click("#usual")
    visit.until(f"{count} === 2 && {ready}")


def the_table_is_corrected(visit: Visit, root: Path) -> None:
    """Cells by the keyboard, a column added and filled, undone."""
    page = visit.page

    def column(name: str) -> list[str]:
        with (root / "manifest.csv").open(encoding="utf-8", newline="") as file:
            return [row.get(name, "") for row in csv.DictReader(file)]

    page.click("#step-table")
    visit.until("document.querySelectorAll('#grid tbody tr').length > 0")
    visit.sound("table")
    page.click("#cell-0-2")
    visit.press("ArrowDown", "Enter")
    page.keyboard.insert_text("Anna")
    visit.press("Enter")
    visit.eventually(lambda: column("subject")[1] == "Anna")
    visit.press("Control+z")
    visit.eventually(lambda: column("subject")[1] == "P01")
    visit.until("document.querySelector('#cell-1-2').textContent === 'P01'")
    page.fill("#new-column", "<i>bad</i>")
    page.click("#add-column")
    visit.until("!document.querySelector('#problem').hidden")
    assert "expected letters, digits" in page.inner_text("#problem")
    assert [error for error in visit.errors if "400 (Bad Request)" not in error] == []
    visit.errors.clear()
    page.fill("#new-column", "place")
    page.click("#add-column")
    visit.until("document.querySelector('#fill') !== null")
    page.fill("#fill", "lab")
    visit.press("Enter")
    visit.eventually(lambda: set(column("place")) == {"lab"})
    visit.sound("column")
    page.click("#drop-column")
    visit.until("![...document.querySelectorAll('#grid .head')].some((h) => h.textContent.startsWith('place'))")
    page.click("#next")
    visit.until("document.querySelector('#work').hidden && document.querySelector('#next') !== null")


def use(visit: Visit) -> None:
    """The report is read, the card is saved, the model goes live."""
    page = visit.page
    assert "Mood" in page.frame_locator("#report-frame").locator("h1").inner_text()
    page.click("#next")
    visit.screen("Use")
    page.click("#make-card")
    visit.until("document.getElementById('save-card.md') !== null")
    visit.sound("use")
    with page.expect_download() as waiting:
        page.locator("[id='save-card.md']").click()
    assert "mood" in Path(waiting.value.path()).read_text(encoding="utf-8")
    page.click("#go-live")
    visit.until("document.querySelector('#live-link')?.href.startsWith('http') === true")
    live = Visit.__new__(Visit)
    live.context, live.errors = visit.context, []
    live.page = page.context.new_page()
    live.page.goto(page.get_attribute("#live-link", "href") or "")
    live.until("document.querySelector('.state') !== null", 60)
    live.page.close()
    page.click("#end-live")
    visit.until("document.querySelector('#go-live') !== null")


def test_with_the_keyboard_alone(browser: Any, tmp_path: Path) -> None:
    root = tmp_path / "study"
    write_study(root, people=2, trials=4, seconds=20)
    with studio(str(root)) as (url, _):
        visit = Visit(browser, url)
        page = visit.page
        visit.until("document.querySelectorAll('#grid td').length > 0 && document.querySelector('#work').hidden")
        assert page.evaluate("document.activeElement.id") == "screen-title", "the focus begins at the step"
        visit.tab_to("#next")
        visit.press("Enter")
        visit.screen("What is there")
        visit.until("document.querySelectorAll('.target').length === 2")
        visit.tab_to("#next")
        visit.press("Enter")
        visit.screen("What do you want to know?")
        visit.tab_to("[name=target]")
        visit.press("ArrowDown")
        visit.until("document.querySelector('[name=target]:checked') !== null")
        visit.tab_to("[name=protocol]:not(:disabled)")
        visit.press("Space")
        visit.until("document.querySelector('[name=protocol]:checked') !== null")
        assert page.evaluate("document.activeElement.name") == "protocol", "the focus stays when the screen is new"
        visit.tab_to("#next")
        visit.until("!document.querySelector('#next').disabled")
        visit.press("Enter")
        visit.until("document.querySelector('#stop') !== null")
        page.evaluate("document.querySelector('#screen-title').focus()")
        visit.press("Tab")
        assert page.evaluate("document.activeElement.closest('#work') !== null"), "what is under way can be reached"
        visit.tab_to("#stop")
        visit.press("Enter")
        visit.until("document.querySelector('#work').textContent.includes('Stopped')")
        visit.close()
