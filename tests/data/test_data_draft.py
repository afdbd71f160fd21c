"""insula init: folders of many layouts become manifests; guesses have reasons, labels are never guessed silently."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from command_line import Terminal
from fixtures_data import START, lines, write_e4, write_eeg

from insula.data import load
from insula.data.draft.drafting import Draft, draft
from insula.data.draft.timing import Clocks, compared
from insula.errors import DataError


def drafted(root: Path) -> Draft:
    made = draft(root)
    (root / "manifest.csv").write_text(made.manifest())
    (root / "people.csv").write_text(made.people_table())
    return made


def table(root: Path, name: str, begin: float | None = None, seconds: int = 60, extra: dict | None = None) -> Path:
    """A wristband's table of EDA at 4 Hz with a clock."""
    count = 4 * seconds
    rng = np.random.default_rng(abs(hash(name)) % 1000)
    columns = {
        "timestamp": [(begin or 0.0) + i / 4 for i in range(count)],
        "EDA": 3 + rng.normal(size=count).cumsum() * 0.01,
    }
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(columns | (extra or {})).to_csv(path, index=False)
    return path


@pytest.mark.parametrize(
    "names",
    [
        ["anna/happy.csv", "anna/sad.csv", "bert/happy.csv", "bert/sad.csv"],
        ["S01/S01_happy_eda.csv", "S01/S01_sad_eda.csv", "S02/S02_happy_eda.csv", "S02/S02_sad_eda.csv"],
        ["sub-1_happy.csv", "sub-1_sad.csv", "sub-2_happy.csv", "sub-2_sad.csv"],
        ["happy/P1.csv", "sad/P1.csv", "happy/P2.csv", "sad/P2.csv"],
        ["anna/eda/happy.csv", "anna/eda/sad.csv", "bert/eda/happy.csv", "bert/eda/sad.csv"],
    ],
)
def test_people_and_trials_of_many_layouts(tmp_path: Path, names: list[str]) -> None:
    for name in names:
        table(tmp_path, name)
    made = drafted(tmp_path)
    recordings = load("manifest", tmp_path)
    assert len(recordings) == 2
    for recording in recordings:
        assert sorted(t.labels["condition"] for t in recording.trials) == ["happy", "sad"]
        assert set(recording.trials[0].signals) == {"eda"}
    assert any(line.startswith("people: ") for line in made.reasons)
    assert any(line.startswith("label condition: ") for line in made.reasons), "a guessed label is told"


def test_trials_in_files_of_their_own_come_in_the_order_they_were_recorded(tmp_path: Path) -> None:
    table(tmp_path, "anna/zebra.csv", 1.7e9)
    table(tmp_path, "anna/apple.csv", 1.7e9 + 300)
    table(tmp_path, "bert/apple.csv", 1.7e9 + 900)
    drafted(tmp_path)
    recording, _ = load("manifest", tmp_path)
    assert [(t.trial, t.start_s) for t in recording.trials] == [("zebra", 0), ("apple", 300)]


def test_a_trial_that_runs_into_the_next_one_costs_nobody_a_session(tmp_path: Path) -> None:
    for person in ("anna", "bert"):
        table(tmp_path, f"{person}/a_eda.csv", 1.7e9)
        table(tmp_path, f"{person}/b_eda.csv", 1.7e9 + 61)
        late = pd.read_csv(table(tmp_path, f"{person}/a_temp.csv", 1.7e9, seconds=65))
        late.assign(EDA=late["EDA"] + 30).rename(columns={"EDA": "TEMP"}).to_csv(
            tmp_path / person / "a_temp.csv", index=False
        )
    rows = [
        f"{p}/{f}.csv,{m},{p},{f[0]},x"
        for p in ("anna", "bert")
        for f, m in (("a_eda", "eda"), ("a_temp", "temp"), ("b_eda", "eda"))
    ]
    lines(tmp_path / "manifest.csv", ["file,modality,subject,trial,label", *rows])
    assert [[t.trial for t in r.trials] for r in load("manifest", tmp_path)] == [["a", "b"]] * 2


def test_sessions_of_a_wristband_with_tags_need_no_seconds(tmp_path: Path) -> None:
    for person in ("S1", "S2"):
        for k in (1, 2):
            seed = 2 * k + (person == "S2")
            folder = write_e4(tmp_path / person / f"day{k}", seconds=60, seed=seed, start=START + 86_400 * k)
            lines(folder / "tags.csv", [f"{START + 86_400 * k + s:.2f}" for s in (12, 30)])
    made = drafted(tmp_path)
    recordings = load("manifest", tmp_path)
    assert [(r.subject, r.session, len(r.trials)) for r in recordings] == [
        (p, f"day{k}", 2) for p in ("S1", "S2") for k in (1, 2)
    ]
    assert sorted(recordings[0].trials[0].signals) == ["bvp", "eda", "hr", "temp"]
    assert ("S1/day1/IBI.csv", "beats of an E4 are read by `--data e4` only") in made.left_out
    assert any("nothing here says what was felt" in line for line in made.unknown)


def test_files_that_begin_at_different_times_are_aligned(tmp_path: Path) -> None:
    write_e4(tmp_path / "anna", seconds=60)  # HR begins 10 s late
    drafted(tmp_path)
    (trial,) = load("manifest", tmp_path)[0].trials
    assert (trial.signals["eda"].n_samples, trial.signals["hr"].n_samples) == (200, 50)


def test_annotations_in_edf_are_the_trials(tmp_path: Path) -> None:
    import mne

    rng = np.random.default_rng(0)
    info = mne.create_info(["Fp1", "O1", "ECG"], 100.0, "eeg")
    for person in ("vp01", "vp02"):
        raw = mne.io.RawArray(rng.normal(size=(3, 6000)) * 2e-5, info, verbose="ERROR")
        raw.set_annotations(mne.Annotations([5, 30], [10, 10], ["calm", "fear"]))
        mne.export.export_raw(tmp_path / f"{person}.edf", raw, verbose="ERROR")
    made = drafted(tmp_path)
    recordings = load("manifest", tmp_path)
    assert [[t.labels["annotation"] for t in r.trials] for r in recordings] == [["calm", "fear"]] * 2
    assert {m: s.channels for m, s in recordings[0].trials[0].signals.items()} == {
        "eeg": ("Fp1", "O1"),
        "ecg": ("ECG",),
    }
    assert any(line.startswith("label annotation: ") for line in made.reasons)


def psychopy(path: Path, person: str, begin: str) -> None:
    frame = pd.DataFrame(
        {
            "film": ["dog", "rain", "dog", "rain"], "trials.thisN": range(4), "movie.started": [5.0, 20.0, 35.0, 50.0],
            "movie.stopped": [15.0, 30.0, 45.0, 58.0], "valence_slider.response": [7, 2, 8, 1], "participant": person,
            "session": 1, "date": begin, "psychopyVersion": "2024.1", "frameRate": 60.0,
        }
    )  # fmt: skip
    frame.to_csv(path, index=False)


@pytest.mark.parametrize(("hours", "said"), [(0, "by their clocks"), (2, "the clocks disagree: the log is +2 h off")])
def test_psychopy_logs_are_put_on_the_recordings_clock(tmp_path: Path, hours: int, said: str) -> None:
    begin = datetime(2026, 3, 1, 9, 0, 0, tzinfo=UTC)
    for person in ("01", "02"):
        table(tmp_path, f"sub-{person}_eda.csv", begin.timestamp() - 3)
        psychopy(tmp_path / f"{person}_films.csv", person, f"{begin + timedelta(hours=hours):%Y-%m-%d_%Hh%M.%S.000}")
    made = drafted(tmp_path)
    first = load("manifest", tmp_path)[0]
    assert [(t.start_s, t.stop_s) for t in first.trials] == [(8, 18), (23, 33), (38, 48), (53, 60)]
    assert [t.labels["film"] for t in first.trials] == ["dog", "rain", "dog", "rain"]
    assert [t.labels["valence_slider_response"] for t in first.trials] == [7, 2, 8, 1]
    assert any(said in line for line in made.reasons), made.reasons


def test_clocks_that_drift_are_found_by_the_events_both_timed_and_put_right(tmp_path: Path) -> None:
    begin, rate, shown = 40.0, 1.001, [50.0, 200.0, 350.0, 500.0]
    write_e4(tmp_path / "anna", seconds=700)
    lines(tmp_path / "anna/tags.csv", [f"{START + begin + rate * t:.2f}" for t in shown])
    frame = {"participant": "anna", "movie.started": shown, "film": ["dog", "rain"] * 2, "psychopyVersion": "2024.1"}
    pd.DataFrame(frame).to_csv(tmp_path / "anna_films.csv", index=False)
    made = drafted(tmp_path)
    (said,) = {line.partition(": ")[2] for line in made.unknown if "drift" in line}
    assert said == (
        "the clocks drift: from the first to the last of 4 events the recording runs 0.45 s away from the log "
        "(1000 parts in a million); corrected by its markers"
    )
    eda = {t.trial: t.start_s for t in load("manifest", tmp_path)[0].trials}
    assert list(eda.values()) == pytest.approx([begin + rate * t for t in shown], abs=0.02)
    assert not any("nothing says when the log began" in line for line in made.unknown)


def test_clocks_are_compared_by_the_same_events_only() -> None:
    first = [0.0, 60.0, 130.0, 190.0]
    assert compared(first, [1e9 + t for t in first]) == Clocks(1.0, 1e9, 4, 0.0)
    assert compared(first, [5.0, 65.0, 131.0, 195.0]) is None, "scattered: other events"
    assert compared(first, first[:3]) is None
    assert compared(first[:2], first[:2]) is None, "two events fit any line"
    slow = compared(first, [0.9 * t for t in first])
    assert slow is None, "no clock is a tenth off"


def test_clocks_that_no_zone_explains_are_said_and_nothing_is_guessed(tmp_path: Path) -> None:
    table(tmp_path, "sub-01_eda.csv", datetime(2026, 3, 1, 9, tzinfo=UTC).timestamp())
    psychopy(tmp_path / "01_films.csv", "01", "2026-03-05_09h17.00.000")
    with pytest.raises(DataError, match="no row"):
        draft(tmp_path)


def test_opensesame_and_eprime_logs(tmp_path: Path) -> None:
    table(tmp_path, "sub-1_eda.csv")
    frame = pd.DataFrame(
        {"subject_nr": 1, "time_film": [2000, 20_000, 40_000], "film": ["a", "b", "a"], "response_mood": [3, 4, 5],
         "opensesame_version": "4.0", "count_film": range(3)}
    )  # fmt: skip
    frame.to_csv(tmp_path / "subject-1.csv", index=False)
    table(tmp_path, "sub-2_eda.csv")
    log = ["*** Header Start ***", "Subject: 2", "Session: 1", "*** Header End ***"]
    for onset, film in ((1500, "a"), (21_000, "b"), (41_000, "b")):
        log += [
            "*** LogFrame Start ***",
            "\tProcedure: Show",
            f"\tFilm: {film}",
            f"\tShow.OnsetTime: {onset}",
            "*** LogFrame End ***",
        ]
    (tmp_path / "films-2-1.txt").write_bytes("\r\n".join(log).encode("utf-16"))
    made = drafted(tmp_path)
    one, two = load("manifest", tmp_path)
    assert [(t.start_s, t.stop_s, t.labels["film"]) for t in one.trials] == [(2, 20, "a"), (20, 40, "b"), (40, 60, "a")]
    assert [(t.start_s, t.labels["film"]) for t in two.trials] == [(1.5, "a"), (21, "b"), (41, "b")]
    assert sum("nothing says when the log began" in line for line in made.unknown) == 2


def test_label_columns_and_answer_files(tmp_path: Path) -> None:
    mood = np.repeat(["calm", "fear", "calm"], 80)
    for person in ("P1", "P2"):
        table(tmp_path, f"{person}.csv", extra={"condition": mood})
    lines(
        tmp_path / "answers.csv",
        ["Participant;Trial;Valence", "1;1;3,5", "1;2;7", "1;3;6", "2;1;2", "2;2;1", "2;3;4,5"],
    )
    lines(tmp_path / "facts.csv", ["participant,age,sex", "P1,30,f", "P2,41,m"])
    made = drafted(tmp_path)
    first, second = load("manifest", tmp_path)
    assert [(t.start_s, t.stop_s) for t in first.trials] == [(0, 20), (20, 40), (40, 60)]
    assert [(t.labels["condition"], t.labels["valence"]) for t in first.trials] == [
        ("calm", 3.5),
        ("fear", 7),
        ("calm", 6),
    ]
    assert (first.traits, second.traits) == ({"age": 30}, {"age": 41})
    assert any(line.startswith("labels valence: columns of answers.csv") for line in made.reasons)


def test_questionnaires_beside_the_recordings_become_traits(tmp_path: Path) -> None:
    for person in ("P1", "P2"):
        table(tmp_path, f"{person}.csv")
    answers = {"code": ["P1", "P2"], **{f"BFI_{i}": [5, 1] for i in range(1, 11)}}
    pd.DataFrame(answers).to_excel(tmp_path / "personality.xlsx", index=False)
    made = drafted(tmp_path)
    first, second = load("manifest", tmp_path)
    assert first.traits == second.traits  # one item of each pair is turned round
    assert first.traits == {
        "extraversion": 3,
        "agreeableness": 3,
        "conscientiousness": 3,
        "neuroticism": 3,
        "openness": 3,
    }
    assert any("BFI-10 scored after Rammstedt & John 2007; 5 of 10 items reversed" in line for line in made.reasons)


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Terminal:
    return Terminal(monkeypatch, capsys)


def test_the_command(tmp_path: Path, terminal: Terminal) -> None:
    for name in ("anna/happy.csv", "anna/sad.csv", "bert/happy.csv", "bert/sad.csv"):
        table(tmp_path, name)
    (tmp_path / "notes.pdf").write_text("x")
    done = terminal("init", tmp_path)
    assert done.code == 0, done
    assert "people      2: anna, bert" in done.out
    assert "notes.pdf: .pdf: no format that insula reads" in done.out
    assert "insula data check manifest --root" in done.out
    assert "label condition" in (tmp_path / "manifest.reasons.txt").read_text()
    assert terminal("data", "check", "manifest", "--root", tmp_path).code == 0
    assert "already; expected none" in terminal("init", tmp_path).err
    assert terminal("init", tmp_path, "--overwrite").code == 0


def test_the_template_is_read_as_it_is(tmp_path: Path, terminal: Terminal) -> None:
    assert terminal("init", tmp_path, "--template").code == 0
    write_eeg(tmp_path / "anna/eeg.edf", 140, 64.0, ("Fp1", "O1"))
    lines(tmp_path / "anna/eda.csv", ["EDA", *(f"{2 + i * i % 97 / 97:.3f}" for i in range(560))])
    (recording,) = load("manifest", tmp_path)
    assert [t.labels for t in recording.trials] == [
        {"valence": 7, "emotion": "happy"},
        {"valence": 2, "emotion": "sad"},
    ]
    assert recording.traits["openness"] == 4.5


@pytest.mark.parametrize("make", [lambda _: None, lambda root: (root / "a.pdf").write_text("x")])
def test_folders_without_recordings_say_so(tmp_path: Path, make: Callable[[Path], object]) -> None:
    make(tmp_path)
    with pytest.raises(DataError, match="holds no recording; expected some"):
        draft(tmp_path)
    with pytest.raises(DataError, match="is no folder"):
        draft(tmp_path / "nowhere")
