"""The audit finds leaks in splits made the usual leaky ways and none in grouped ones."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import GroupKFold, KFold, LeaveOneGroupOut
from windows_double import make_table, make_windows

from insula.errors import DataError, InputError
from insula.evaluation.audit import audit, audit_file
from insula.protocols.protocols import PROTOCOLS, split


def in_folds(table, pairs):
    """A split table with roles, a row a window and fold."""
    parts = []
    for i, (train, test) in enumerate(pairs):
        for role, rows in (("train", train), ("test", test)):
            parts.append(table.iloc[rows].assign(fold=f"f{i}", role=role))
    return pd.concat(parts, ignore_index=True).rename(columns={"start_s": "start", "stop_s": "stop"})


def kfold_groupby_trial(table, k=5):
    """Folds inside each trial, as torcheeg's KFoldGroupbyTrial makes them: window i of n is in fold i * k // n."""
    place = table.groupby(["subject", "session", "trial"]).cumcount().to_numpy()
    size = table.groupby(["subject", "session", "trial"])["y"].transform("size").to_numpy()
    fold = place * k // size
    return [(np.flatnonzero(fold != i), np.flatnonzero(fold == i)) for i in range(k)]


def kinds(findings):
    return {f.kind for f in findings}


@pytest.fixture(scope="module")
def table():
    return make_table(people=3, sessions=2, trials=6, windows=10)


def test_folds_inside_trials_leak(table):
    report = audit(in_folds(table, kfold_groupby_trial(table)))
    assert report.exit_code == 1
    assert kinds(report.leaks) == {"trial", "overlap"}
    assert "trials on both sides" in report.text


def test_shuffled_kfold_leaks(table):
    report = audit(in_folds(table, KFold(5, shuffle=True, random_state=0).split(table)))
    assert report.exit_code == 1
    assert kinds(report.leaks) == {"trial", "overlap"}
    assert report.leaks[0].folds == ("f0", "f1", "f2", "f3", "f4")


@pytest.mark.parametrize("by", [["subject"], ["subject", "session"], ["subject", "session", "trial"]])
def test_grouped_folds_pass(table, by):
    groups = table.groupby(by).ngroup()
    report = audit(in_folds(table, GroupKFold(3).split(table, groups=groups)))
    assert report.exit_code == 0
    assert report.leaks == ()


def test_single_fold_column_means_tested_there(table):
    groups = table.groupby(["subject", "session", "trial"]).ngroup()
    clean = table.drop(columns="role").assign(fold=groups % 4)
    assert audit(clean).exit_code == 0
    assert audit(clean.assign(fold=np.arange(len(clean)) % 4)).exit_code == 1


@pytest.mark.parametrize("name", list(PROTOCOLS))
def test_our_own_protocols(name, table):
    report = audit(in_folds(table, [(p.learned, p.test) for p in split(name, table)]), name)
    assert bool(report.leaks) == PROTOCOLS[name].leaky


def test_a_protocol_turns_notes_into_leaks(table):
    groups = table.groupby(["subject", "session", "trial"]).ngroup()
    folds = in_folds(table, GroupKFold(3).split(table, groups=groups))
    assert kinds(audit(folds).notes) == {"stimulus", "session", "person"}
    assert kinds(audit(folds, "leave_one_subject_out").leaks) == {"person", "session"}
    assert kinds(audit(folds, "cross_session").leaks) == {"session"}
    assert kinds(audit(folds, "leave_stimulus_out").leaks) == {"stimulus"}
    assert audit(folds, "within_subject").exit_code == 0


def test_validation_equal_to_test(table):
    people = table["subject"]
    folds = in_folds(table, LeaveOneGroupOut().split(table, groups=people))
    assert audit(folds).exit_code == 0
    copied = folds[folds["role"] == "test"].assign(role="validation")
    report = audit(pd.concat([folds, copied], ignore_index=True))
    assert "validation" in kinds(report.leaks)
    assert "(all)" in report.text


def test_overlap_across_trial_names(table):
    groups = table.groupby(["subject", "session", "trial"]).ngroup().to_numpy()
    shifted = table.assign(start_s=table["start_s"].where(groups != 1, table["start_s"] - 75.0))
    shifted["stop_s"] = shifted["start_s"] + 20.0
    report = audit(in_folds(shifted, [(np.flatnonzero(groups != 1), np.flatnonzero(groups == 1))]))
    assert kinds(report.leaks) == {"overlap"}


def test_nearest_neighbour_recognises_trials_only_when_they_leak():
    table = make_table(people=3, trials=8, windows=8)
    features = make_windows(table, effect=0.0, fingerprint=3.0).features()["eda"]
    for k in range(features.shape[1]):
        table[f"feature_{k}"] = features[:, k]
    table = table.rename(columns={"y": "label"})
    shuffled = audit(in_folds(table.assign(y=0), KFold(4, shuffle=True, random_state=0).split(table)))
    assert shuffled.nearest is not None
    assert shuffled.nearest.score > 0.8
    assert "fingerprint" in kinds(shuffled.leaks)
    trials = table.groupby(["subject", "session", "trial"]).ngroup()
    for groups in (trials, table["subject"]):
        grouped = audit(in_folds(table, GroupKFold(3).split(table, groups=groups)))
        assert grouped.exit_code == 0
        assert grouped.nearest is not None
        assert grouped.nearest.same_trial == 0
        assert abs(grouped.nearest.score - 0.5) < 0.1


def test_nearest_neighbour_with_one_label_a_person_and_without_labels():
    table = make_table(people=6, trials=4, windows=4)
    for k, column in enumerate(make_windows(table, effect=0.0, fingerprint=2.0).features()["eda"].T):
        table[f"feature{k}"] = column
    table["label"] = table["subject"].isin(["S0", "S1", "S2"]).map({True: "calm", False: "tense"})
    trials = table.groupby(["subject", "session", "trial"]).ngroup()
    for given in (table, table.drop(columns="label")):
        report = audit(in_folds(given, GroupKFold(3).split(given, groups=trials)))
        assert report.exit_code == 0, report.text
        assert audit(in_folds(given, KFold(3, shuffle=True, random_state=1).split(given))).nearest.above_chance


def test_files_and_bad_tables(tmp_path, table):
    path = tmp_path / "splits.csv"
    in_folds(table, KFold(3, shuffle=True, random_state=0).split(table)).to_csv(path, index=False)
    assert audit_file(path).exit_code == 1
    with pytest.raises(DataError, match=r"none\.csv"):
        audit_file(tmp_path / "none.csv")
    (tmp_path / "empty.csv").write_text("")
    with pytest.raises(DataError, match=r"empty\.csv"):
        audit_file(tmp_path / "empty.csv")
    with pytest.raises(InputError, match="without trial, fold"):
        audit(table.drop(columns="trial"))
    good = in_folds(table, KFold(3, shuffle=True, random_state=0).split(table))
    with pytest.raises(InputError, match="role 'tset'"):
        audit(good.assign(role=good["role"].replace("test", "tset")))
    with pytest.raises(InputError, match="0 test windows"):
        audit(good.assign(role="train"))
    with pytest.raises(InputError, match="stop not after start"):
        audit(good.assign(stop=good["start"]))
    with pytest.raises(InputError, match="leave_stimulus_out"):
        audit(good, "leave_stimuli_out")


def test_report_is_plain_json(table):
    import json

    found = json.loads(
        json.dumps(audit(in_folds(table, KFold(3, shuffle=True, random_state=0).split(table))).to_dict())
    )
    assert found["exit_code"] == 1


def test_a_table_of_wild_numbers_is_one_error(tmp_path):
    """Exponents of ten digits crash pandas' parser; times beyond all seconds overflow what is computed from them."""
    head = "subject,trial,fold,start,stop\n"
    for cells, told in (("ann,t,0,1e999999999999,5", "stop not after start"), ("ann,t,0,1,1e308", "beyond 1e\\+12 s"),
                        (",t,0,1,2", "without subject")):  # fmt: skip
        (tmp_path / "splits.csv").write_text(f"{head}bob,t,1,0,4\n{cells}\n")
        with pytest.raises(InputError, match=told):
            audit_file(tmp_path / "splits.csv")
