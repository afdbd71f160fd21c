"""The report in a real browser: quiet, whole at 390 and 1280 px, nothing clipped, the table sorts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fake_result import rendered


@pytest.mark.slow
@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("name", ["emotions", "stress", "valence"])
def test_page_in_a_browser(browser: Any, tmp_path: Path, name: str, width: int) -> None:
    file = tmp_path / "report.html"
    file.write_text(rendered(name), encoding="utf-8")
    context = browser.new_context(viewport={"width": width, "height": 844}, color_scheme="dark")
    sheet = context.new_page()
    said: list[str] = []
    asked: list[str] = []
    sheet.on("console", lambda message: said.append(message.text))
    sheet.on("pageerror", lambda error: said.append(str(error)))
    sheet.on("request", lambda request: asked.append(request.url))
    sheet.goto(file.as_uri())
    assert said == []
    assert [u for u in asked if not u.startswith("data:")] == [file.as_uri()]
    assert sheet.evaluate("document.documentElement.scrollWidth") <= width
    assert sheet.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(21, 24, 29)"
    # No letter of a visible picture leaves its frame, and none is drawn smaller than 10.5 px.
    bad = sheet.evaluate(
        """() => [...document.querySelectorAll("svg.plot")].filter((s) => s.getClientRects().length).flatMap((s) => {
            const box = s.getBoundingClientRect(), scale = box.width / s.viewBox.baseVal.width;
            return [...s.querySelectorAll("text")].filter((t) => {
                const r = t.getBoundingClientRect();
                return r.left < box.left - 1 || r.right > box.right + 1 || r.top < box.top - 2
                    || r.bottom > box.bottom + 2 || parseFloat(getComputedStyle(t).fontSize) * scale < 10.5;
            }).map((t) => s.parentElement.className + ": " + t.textContent);
        })"""
    )
    assert bad == []
    context.close()


@pytest.mark.slow
def test_figures_and_tables_are_saved_from_the_page_alone(browser: Any, tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    file.write_text(rendered("stress"), encoding="utf-8")
    context = browser.new_context(accept_downloads=True)
    sheet = context.new_page()
    sheet.goto(file.as_uri())

    def saved(button: str) -> bytes:
        with sheet.expect_download() as waiting:
            sheet.locator(button).click()
        return Path(waiting.value.path()).read_bytes()

    assert saved('#fig-systems [data-save="png"]').startswith(b"\x89PNG")
    picture = saved('#fig-systems [data-save="svg"]').decode()
    assert picture.startswith("<svg")
    assert "var(--" not in picture
    table = saved("#systems .save:has-text('CSV') button").decode("utf-8-sig")
    assert table.splitlines()[0].startswith("system,balanced accuracy")
    assert "Liquid fusion network" in table
    context.close()


@pytest.mark.slow
def test_contents_stay_in_view_and_open_what_is_folded(browser: Any, tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    file.write_text(rendered("emotions"), encoding="utf-8")
    sheet = browser.new_page(viewport={"width": 390, "height": 844}, bypass_csp=True)
    sheet.goto(file.as_uri())
    assert not sheet.evaluate("document.querySelector('#inside details').open")
    assert sheet.locator(".scroll.more").count() >= 1
    assert sheet.locator(".cue").first.is_visible()
    sheet.locator("nav a[href='#inside']").click()
    sheet.wait_for_function("document.querySelector('#inside details').open")
    sheet.wait_for_function("document.querySelector('nav').getBoundingClientRect().top === 0")
    sheet.close()


@pytest.mark.slow
def test_table_sorts_on_a_click(browser: Any, tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    file.write_text(rendered("stress"), encoding="utf-8")
    sheet = browser.new_page()
    sheet.goto(file.as_uri())
    button = sheet.get_by_role("button", name="balanced accuracy")
    button.click()
    read = "(b) => [...b.closest('table').tBodies[0].rows].map((r) => parseFloat(r.cells[1].dataset.v))"
    down = button.evaluate(read)
    assert len(down) >= 3
    assert down == sorted(down, reverse=True)
    button.click()
    assert button.evaluate(read) == down[::-1]
    assert sheet.locator("th[aria-sort]").count() == 1
    sheet.close()
