"""Tables of who felt what from when to when, by clock times of any zone; names and labels as people write them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest
from fixtures_data import START, lines, write_e4

from insula.data import load
from insula.data.draft.answers import naming
from insula.data.draft.drafting import Draft, draft
from insula.data.info import Problem
from insula.data.readers.clock_times import When


def study(root: Path, people: tuple[str, ...] = ("P01", "P02"), seconds: int = 200) -> None:
    for k, person in enumerate(people):
        write_e4(root / person, seconds=seconds, seed=k, start=START + 86_400 * k)


def local(k: int, seconds: float, hours: float = 1) -> datetime:
    return datetime.fromtimestamp(START + 86_400 * k + seconds, UTC).replace(tzinfo=None) + timedelta(hours=hours)


def eda(made: Draft, label: str) -> list[tuple[str, str, str, str]]:
    return [(r["subject"], r["start"], r["stop"], r[label]) for r in made.rows if r["modality"] == "eda"]


def test_a_spreadsheet_of_clock_times_in_another_zone_makes_the_trials(tmp_path: Path) -> None:
    study(tmp_path)
    rows = []
    for k, person in enumerate(("P01", "P02")):
        for start, stop, felt in ((20, 80, "ruhig"), (90, 150, "Stress")):
            a, b = local(k, start), local(k, stop)
            rows.append({"Teilnehmer": person, "Datum": a.date(), "Beginn": a.time(), "Ende": b.time(), "Gefühl": felt})
    pd.DataFrame(rows).to_excel(tmp_path / "Protokoll.xlsx", index=False)
    made = draft(tmp_path)
    assert eda(made, "gefuhl") == [
        (p, start, stop, felt)
        for p in ("P01", "P02")
        for start, stop, felt in (("20.000", "80.000", "ruhig"), ("90.000", "150.000", "Stress"))
    ]
    assert any("Protokoll.xlsx: its clock is +1 h off the recordings'; by that 4 of 4" in why for why in made.reasons)
    (tmp_path / "manifest.csv").write_text(made.manifest(), encoding="utf-8")
    assert [t.labels["gefuhl"] for t in load("manifest", tmp_path)[0].trials] == ["ruhig", "Stress"]


def test_what_a_diary_says_wrongly_is_told(tmp_path: Path) -> None:
    study(tmp_path, ("P01",))
    told = [(20, 80, "P01", "calm"), (60, 90, "P01", "tense"), (100, None, "P01", "calm"), (130, 180, "P01", "tense"),
            (130, 180, "P01", "tense"), (20, 80, "P09", "calm"), (90_000, 90_060, "P01", "calm")]  # fmt: skip
    rows = [f"{p},{local(0, a, 0)},{'' if b is None else local(0, b, 0)},{felt}" for a, b, p, felt in told]
    lines(tmp_path / "diary.csv", ["participant,start,end,felt", *rows])
    made = draft(tmp_path)
    assert [row[1:3] for row in eda(made, "felt")] == [
        ("20.000", "80.000"), ("100.000", "130.000"), ("130.000", "180.000"),
    ]  # fmt: skip
    said = " ".join(made.unknown)
    for expected in ("line 3 begins before line 2 ends", "line 4 has no end", "line 6 says what line 5 says",
                     "nobody here is called P09", "1 of 4 lines lie in no recording"):  # fmt: skip
        assert expected in said, expected


def test_a_long_recording_says_that_several_zones_would_fit(tmp_path: Path) -> None:
    rows = [f"{START + 60 * i},{3 + (i * 7919 % 97) / 50}" for i in range(60 * 12)]
    lines(tmp_path / "P01" / "eda.csv", ["timestamp,EDA", *rows])
    lines(tmp_path / "P01" / "notes.csv", ["von,bis,Stimmung", f"{local(0, 36e2)},{local(0, 42e2)},froh"])
    made = draft(tmp_path)
    assert any("names no zone" in why and "other zones would fit" in why for why in made.unknown)
    assert [row[1:] for row in eda(made, "stimmung")] == [("7200.000", "7800.000", "froh")]


def test_answers_that_fit_nothing_are_told(tmp_path: Path) -> None:
    study(tmp_path)
    lines(tmp_path / "felt.csv", ["participant,emotion", "P01,calm", "P01,tense", "P02,calm"])
    assert any("felt.csv: several rows a person" in why for why in draft(tmp_path).unknown)


def test_people_who_differ_by_letters_alone_are_not_joined_by_number() -> None:
    assert naming(["S01", "S02"])("sub-1") == naming(["S01", "S02"])("S01")
    key = naming(["C01", "P01"])
    assert key("C01") != key("P01")


def test_labels_that_differ_by_capitals_are_one_and_that_is_told(tmp_path: Path) -> None:
    write_e4(tmp_path / "anna", seconds=60)
    felt = ("calm", "Calm ", "CALM", "calm", "sad", "Sad")
    rows = [f"anna/EDA.csv,eda,anna,t{i},e4,{10 * i},{10 * i + 9},{f}" for i, f in enumerate(felt)]
    lines(tmp_path / "manifest.csv", ["file,modality,subject,trial,rate,start,stop,mood", *rows])
    problems: list[Problem] = []
    (recording,) = load("manifest", tmp_path, problems=problems)
    assert [t.labels["mood"] for t in recording.trials] == ["calm"] * 4 + ["sad"] * 2
    assert any("'CALM', 'Calm' read as 'calm'; 'Sad' read as 'sad'" in p.what for p in problems)


def test_remarks_in_annotations_are_told_and_recording_started_is_no_trial(tmp_path: Path) -> None:
    import mne
    import numpy as np

    info = mne.create_info(["Fp1", "O1"], 64.0, "eeg")
    marks = {
        "vp1": ([2, 5, 20], [10, 0, 10], ["calm", "Rater: hm", "sad"]),
        "vp2": ([1], [0], ["Recording started"]),
    }
    for k, (person, marked) in enumerate(marks.items()):
        values = np.random.default_rng(k).normal(size=(2, 64 * 40)) * 1e-5
        raw = mne.io.RawArray(values, info, verbose="ERROR").set_annotations(mne.Annotations(*marked))
        mne.export.export_raw(tmp_path / f"{person}.edf", raw, verbose="ERROR")
    made = draft(tmp_path)
    assert [(r["subject"], r["trial"], r.get("annotation", "")) for r in made.rows] == [
        ("vp1", "t01", "calm"), ("vp1", "t02", "sad"), ("vp2", "all", ""),
    ]  # fmt: skip
    assert any("annotations without a length are no trials here (such as 'Rater: hm')" in why for why in made.reasons)


@pytest.mark.parametrize(
    ("text", "zone", "told"),
    [
        ("10:03:20", "", True), ("2026-03-01 10:03", "", True), ("10:03", "Europe/Berlin", False),
        ("1700000000", "", False), ("2026-03-01T10:03:20Z", "", False), ("2026-03-01 10:03:20+01:00", "", False),
        ("2026-03-01 10:03:20 -0500", "", False),
    ],
)  # fmt: skip
def test_a_clock_time_without_a_zone_is_told(text: str, zone: str, told: bool) -> None:
    assert When(text, zone=zone).told_zone is not told
