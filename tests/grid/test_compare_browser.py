"""The ledger in a real browser: quiet, offline, whole at 390 and 1280 px, its tables sort."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from compare_grids import invent, tiny

from insula.grid.ledger import build
from insula.grid.page import render


@pytest.mark.slow
@pytest.mark.parametrize("width", [390, 1280])
def test_ledger_in_a_browser(browser: Any, tmp_path: Path, width: int) -> None:
    grid = tiny(models=["liquid"], compare={"rows": ["clock", "majority", "logistic_regression"], "context": False})
    invent(grid, tmp_path, lambda system, _: {"liquid": 0.7, "clock": 0.6}.get(system, 0.5))
    file = tmp_path / "ledger.html"
    file.write_text(render(build([(grid, tmp_path)], "Tiny")), encoding="utf-8")
    sheet = browser.new_context(viewport={"width": width, "height": 844}).new_page()
    said: list[str] = []
    asked: list[str] = []
    sheet.on("console", lambda message: said.append(message.text))
    sheet.on("pageerror", lambda error: said.append(str(error)))
    sheet.on("request", lambda request: asked.append(request.url))
    sheet.goto(file.as_uri())
    assert said == []
    assert [u for u in asked if not u.startswith("data:")] == [file.as_uri()]
    assert sheet.evaluate("document.documentElement.scrollWidth") <= width
    names = "[...document.querySelector('table.sortable').tBodies[0].rows].map((r) => r.cells[0].dataset.v)"
    sheet.locator("table.sortable").first.locator("thead button").nth(1).click()
    assert sheet.evaluate(names)[:2] == ["Liquid", "Clock"]
    sheet.locator("table.sortable").first.locator("thead button").nth(0).click()
    found = sheet.evaluate(names)
    assert found == sorted(found)
