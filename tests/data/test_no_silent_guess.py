"""What people's folders and tables say wrongly or not at all: found and told, never taken silently."""

from __future__ import annotations

import shutil
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from fixtures_data import START, lines, write_e4

from insula.data import load
from insula.data.check import describe
from insula.data.draft.drafting import draft
from insula.data.draft.places import places
from insula.data.formats.request import Request
from insula.data.formats.sources import OpenFiles
from insula.data.info import FileError, Problem

RNG = np.random.default_rng(0)


def read(path: Path, modality: str) -> tuple[object, str]:
    problems: list[Problem] = []
    return OpenFiles(problems).piece(Request(path, modality), 0, None), " ".join(p.what for p in problems)


def test_sessions_named_by_a_wristband_are_nobody(tmp_path: Path) -> None:
    files = [
        f"My Study/{person}/{START + 86_400 * day + 50 * i}_A0{i}1C3{again}/EDA.csv"
        for i, person in enumerate(("Anna M.", "P01", "P02 (copy)"))
        for day, again in enumerate(("", " (1)"))
    ]
    found = places(tmp_path, files).places
    assert {p.subject for p in found.values()} == {"Anna M.", "P01", "P02 (copy)"}
    assert len({p.session for p in found.values()}) == 6
    dated = [f"{p}/2026-03-0{d}_10-15-0{d}/eda.csv" for p in ("anna", "bert") for d in (1, 2)]
    assert {p.subject for p in places(tmp_path, dated).places.values()} == {"anna", "bert"}


def test_a_copied_folder_is_left_out_and_a_copied_person_told(tmp_path: Path) -> None:
    for person in ("P01", "P02"):
        write_e4(tmp_path / person, seconds=30, seed=int(person[1:]))
    shutil.copytree(tmp_path / "P01", tmp_path / "P01 (copy)")
    made = draft(tmp_path)
    assert {row["subject"] for row in made.rows} == {"P01", "P02"}
    assert any(n == "P01 (copy)/EDA.csv" and "same bytes as P01/EDA.csv" in why for n, why in made.left_out)
    rows = [f"{p}/EDA.csv,eda,{p},t,e4,x" for p in ("P01", "P02", "P01 (copy)")]
    lines(tmp_path / "manifest.csv", ["file,modality,subject,trial,rate,label", *rows])
    said = " ".join(p.what for p in describe(load("manifest", tmp_path)).problems)
    assert "is P01 (copy) a copy of P01?" in said
    assert "copy of P02" not in said
    assert "P02/only/t is" not in said


def test_columns_of_other_units_are_no_channels_beside_each_other(tmp_path: Path) -> None:
    skin = np.round(3 + RNG.random(200), 4)
    rows = [f"{i * 250}\t{i % 2 + 1}\t{v}\t{1000 / v:.2f}" for i, v in enumerate(skin)]
    head = [
        "Timestamp_CAL\tGSR_Range_CAL\tGSR_Skin_Conductance_CAL\tGSR_Skin_Resistance_CAL",
        "ms\tno_units\tuS\tkOhms",
    ]
    lines(tmp_path / "s.csv", [*head, *rows])
    signal, said = read(tmp_path / "s.csv", "eda")
    assert (signal.channels, signal.unit) == (("GSR_Skin_Conductance_CAL",), "uS")
    assert "'GSR_Skin_Resistance_CAL' (in kOhm, beside channels in uS)" in said


def test_a_column_is_what_its_unit_says(tmp_path: Path) -> None:
    wave = [f"{i / 30:.4f};{RNG.random():.3f};{60 + i % 9 + RNG.random():.2f}".replace(".", ",") for i in range(90)]
    (tmp_path / "VP1").mkdir()
    lines(tmp_path / "VP1" / "PPG Messung.csv", ["Zeit (s);Rotkanal;Puls (1/min)", *wave])
    assert read(tmp_path / "VP1" / "PPG Messung.csv", "ppg")[0].channels == ("Rotkanal",)
    assert {row["modality"] for row in draft(tmp_path).rows} == {"ppg", "hr"}


@pytest.mark.parametrize(
    ("scale", "told"), [(9.81, "read as m/s^2"), (1000.0, "read as mg"), (64.0, "read as g/64"), (1.0, "")]
)
def test_gravity_tells_the_unit_of_acceleration(tmp_path: Path, scale: float, told: str) -> None:
    g = np.array([0.0, 0.6, 0.8]) + RNG.normal(size=(100, 3)) * 0.01
    rows = [",".join(f"{v:.5f}" for v in (i / 32, *row)) for i, row in enumerate(g * scale)]
    lines(tmp_path / "a.csv", ["time,acc_x,acc_y,acc_z", *rows])
    signal, said = read(tmp_path / "a.csv", "acc")
    np.testing.assert_allclose(signal.values, g.T, atol=1e-3)
    assert (told in said) if told else "read as" not in said


def test_acceleration_in_no_known_unit_is_refused(tmp_path: Path) -> None:
    rows = [f"{i / 32},{RNG.normal() * 50:.1f},{RNG.normal() * 50:.1f},{16384 + RNG.normal():.1f}" for i in range(100)]
    lines(tmp_path / "a.csv", ["time,acc_x,acc_y,acc_z", *rows])
    with pytest.raises(FileError, match=r"gravity is 1 g.*name it in the column unit"):
        read(tmp_path / "a.csv", "acc")


@pytest.mark.parametrize(("step", "rate"), [(250, 4.0), (100, 10.0), (60, 1 / 60)])
def test_nobody_records_skin_once_in_four_minutes(tmp_path: Path, step: int, rate: float) -> None:
    lines(tmp_path / "e.csv", ["t,EDA", *(f"{i * step},{3 + RNG.random():.3f}" for i in range(60))])
    assert read(tmp_path / "e.csv", "eda")[0].rate_hz == pytest.approx(rate, rel=1e-2)


def test_a_day_and_a_time_of_day_are_one_clock(tmp_path: Path) -> None:
    begin = datetime(2026, 3, 1, 23, 59, 50)
    rows = [f"{begin + timedelta(seconds=i):%d.%m.%Y;%H:%M:%S};{3 + RNG.random():.3f}" for i in range(40)]
    lines(tmp_path / "P1" / "e.csv", ["Datum;Uhrzeit;Hautleitfähigkeit [µS]", *rows])
    problems: list[Problem] = []
    files = OpenFiles(problems)
    request = Request(tmp_path / "P1" / "e.csv", "eda")
    assert files.begin(request) == (begin.replace().timestamp() + _local(begin), False)
    assert files.piece(request, 0, None).duration_s == 40
    assert any("dates, day first, of column 'Datum'" in p.what for p in problems)


def _local(when: datetime) -> float:
    return when.astimezone().utcoffset().total_seconds()


def test_remarks_in_single_rows_last_until_the_next_one(tmp_path: Path) -> None:
    said = {40: "Film 1", 200: "Film 2"}
    rows = [f"{i / 4},{3 + RNG.random():.3f},{said.get(i, '')}" for i in range(320)]
    lines(tmp_path / "P1" / "e.csv", ["time,EDA,Kommentar", *rows])
    made = [(row["start"], row["stop"], row["kommentar"]) for row in draft(tmp_path).rows]
    assert made == [("10", "50", "Film 1"), ("50", "80", "Film 2")]


def test_values_of_another_unit_get_a_row_to_say_it_in(tmp_path: Path) -> None:
    rows = [f"{i / 4},{250 + RNG.random():.3f}" for i in range(80)]
    lines(tmp_path / "P1" / "eda.csv", ["time,EDA", *rows])
    made = draft(tmp_path)
    assert [row["modality"] for row in made.rows] == ["eda"]
    assert any("name it in the column unit" in why for _, why in made.left_out)
    lines(tmp_path / "manifest.csv", ["file,modality,subject,trial,unit,mood", "P1/eda.csv,eda,P1,t,kOhm,calm"])
    assert 3.9 < load("manifest", tmp_path)[0].trials[0].signals["eda"].values.mean() < 4.1


def test_a_spreadsheets_unicode_text_is_read(tmp_path: Path) -> None:
    rows = [f"{i / 4:.2f};{3 + RNG.random():.3f}".replace(".", ",") for i in range(80)]
    path = tmp_path / "P1" / "Hautleitwert.csv"
    path.parent.mkdir()
    path.write_text("\n".join(["Zeit (s);Hautleitfähigkeit [µS]", *rows]) + "\n", encoding="utf-16")
    assert read(path, "eda")[0].channels == ("Hautleitfähigkeit [µS]",)
    assert [row["modality"] for row in draft(tmp_path).rows] == ["eda"]
    path.write_bytes(b"\xff\xfea\x00b")
    with pytest.raises(FileError, match="no text in UTF-16"):
        read(path, "eda")
