"""At least 5,000 hostile inputs through the command line: an answer, or one clean error, within time and memory."""

from __future__ import annotations

import csv
import importlib.util
import json
import os
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from fake_result import stress
from hostile_data import CASES, damaged, files_of
from small_cohort import cohort, write_manifest

from attack import NUMBERS, TEXTS, VALUES, Tally, changed, judge, spoiled_csv, spoiled_json, times
from insula.data.formats import guarded
from insula.evaluation.experiment import experiment_from
from insula.pipeline.running import train_model
from insula.windows.store import Store

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="limits and signals are those of Linux"),
]
CUT = {"window_s": 4.0, "hop_s": 2.0, "guard_s": 2.0}


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three people with skin conductance, pulse and heart rate, and a manifest."""
    return write_manifest(tmp_path_factory.mktemp("study"), cohort())


@pytest.fixture(scope="module")
def model(study: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("model") / "m"
    plan = {"data": {"name": "manifest", "root": str(study), "target": "state"}, "recipe": CUT, "train": {"epochs": 1}}
    train_model(experiment_from(plan), out)
    return out


@pytest.mark.parametrize("name", CASES)
def test_every_reader(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    case, tally = CASES[name], Tally()
    if case.needs and importlib.util.find_spec(case.needs) is None:
        pytest.skip(f"{case.needs} is not installed (extra data)")
    monkeypatch.setattr(guarded, "LEAST_CPU_S", 5)
    case.write(tmp_path)
    rng = np.random.default_rng([14, *name.encode()])
    files = files_of(tmp_path)
    count = 15 if case.heavy else 50
    for i in range(times(count)):
        file = files[int(rng.integers(len(files)))]
        with changed(file, damaged(file.read_bytes(), rng)):
            tally.run(f"{name} {i} {file.name}", "data", "check", case.reader, "--root", tmp_path / case.file)
    tally.require(count)


def test_manifests(study: Path, tmp_path: Path) -> None:
    tally, rng = Tally(), np.random.default_rng(1)
    root = Path(shutil.copytree(study, tmp_path / "data"))
    with (root / "manifest.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    for i in range(times(700)):
        with changed(root / "manifest.csv", spoiled_csv(rows, rng)):
            tally.run(f"manifest {i}", "data", "check", "manifest", "--root", root)
    tally.require(700)


def test_times_and_tables(tmp_path: Path) -> None:
    tally, rng = Tally(), np.random.default_rng(2)
    rows = [["t", "eda", "temp"], *([f"{i / 4}", f"{2 + i % 3}", f"{33 + i % 2}"] for i in range(40))]
    (tmp_path / "a.csv").write_text("x")
    head = "file,modality,subject,trial,time,rate,start,stop,label,channels,unit"
    (tmp_path / "manifest.csv").write_text(f"{head}\na.csv,eda,ann,t,t,,0,5,x,eda,uS\n")
    starts = [0.0, 1.7e9, 1.7e12, 1.7e15, 1.7e18, -1e9, 1e-310]
    steps = [0.25, 0.0, -0.25, 1e-320, 1e9, 1e-12, float("nan"), float("inf")]
    stamps = ["2024-03-31T01:59:{:02d}+01:00", "2024-03-31T03:00:{:02d}+02:00", "2024-10-27T02:30:{:02d}",
              "2024-03-31T01:00:{:02d}Z", "2024-03-31 01:00:{:02d}"]  # fmt: skip
    for i in range(times(700)):
        table = [list(row) for row in rows]
        kind = int(rng.integers(4))
        if kind == 0:
            at = starts[int(rng.integers(len(starts)))]
            for row in table[1:]:
                row[0] = repr(at)
                at += steps[0] if rng.random() < 0.9 else steps[int(rng.integers(len(steps)))]
        elif kind == 1:
            mixed = [stamps[int(k)] for k in rng.integers(len(stamps), size=2)]
            for n, row in enumerate(table[1:]):
                row[0] = mixed[int(rng.random() < 0.1)].format(n)
        content = spoiled_csv(table, rng) if kind else ("\n".join(map(",".join, table)) + "\n").encode()
        with changed(tmp_path / "a.csv", content):
            tally.run(f"table {i}", "data", "check", "manifest", "--root", tmp_path)
    tally.require(700)


def test_splits_for_the_audit(tmp_path: Path) -> None:
    tally, rng = Tally(), np.random.default_rng(3)
    head = ["subject", "session", "trial", "start", "stop", "fold", "role", "label", "feature_a"]
    rows = [head]
    for fold in ("0", "1"):
        for person in ("ann", "bob"):
            for i in range(4):
                role = "test" if (person == "ann") == (fold == "0") else "train"
                rows.append([person, "1", f"t{i}", str(10 * i), str(10 * i + 4), fold, role, "ab"[i % 2], str(i)])
    file = tmp_path / "splits.csv"
    file.write_text("x")
    for i in range(times(900)):
        with changed(file, spoiled_csv(rows, rng)):
            more = () if rng.random() < 0.7 else ("--json",)
            tally.run(f"splits {i}", "audit", file, *more)
    tally.require(900)


def test_results(tmp_path: Path) -> None:
    tally, rng = Tally(), np.random.default_rng(4)
    out = tmp_path / "r"
    stress(people=4).save(out)
    document = json.loads((out / "result.json").read_text())
    for i in range(times(700)):
        name = "predictions.parquet" if i % 5 == 0 else "result.json"
        content = damaged((out / name).read_bytes(), rng) if i % 5 == 0 else spoiled_json(document, rng)
        with changed(out / name, content):
            tally.run(f"result {i}", "explain", out, *(("--json",) if i % 2 else ()))
    tally.require(700)


def test_models(study: Path, model: Path, tmp_path: Path) -> None:
    tally, rng = Tally(), np.random.default_rng(5)
    folder = Path(shutil.copytree(model, tmp_path / "m"))
    described = json.loads((folder / "estimator.json").read_text())
    story = json.loads((folder / "training.json").read_text())
    weights = (folder / "weights-0.safetensors").read_bytes()
    size = struct.unpack("<Q", weights[:8])[0]
    header = json.loads(weights[8 : 8 + size])
    for i in range(times(700)):
        kind = i % 4
        if kind == 0:
            name, content = "weights-0.safetensors", damaged(weights, rng)
        elif kind == 1:
            text = spoiled_json(header, rng)
            name, content = "weights-0.safetensors", struct.pack("<Q", len(text)) + text + weights[8 + size :]
        elif kind == 2 and i % 8 == 2:
            name, content = "training.json", spoiled_json(story, rng)
        else:
            name, content = "estimator.json", spoiled_json(described, rng)
            if i % 2:  # with a digest that fits, so that more than the digest is tried
                content = signed(content)
        with changed(folder / name, content):
            tally.run(f"model {i} {name}", "predict", "--model", folder, "--data", "manifest", "--root", study)
    tally.require(700)


def signed(content: bytes) -> bytes:
    from insula.learning.saving import digest

    try:
        told = json.loads(content)
        told.pop("sha256", None)
        return json.dumps({**told, "sha256": digest(told)}).encode()
    except (ValueError, AttributeError, TypeError, RecursionError, OverflowError):
        return content


def test_stores(study: Path, tmp_path: Path) -> None:
    from insula.data import info

    tally, rng = Tally(), np.random.default_rng(6)
    whole, work = tmp_path / "whole", tmp_path / "work"
    Store(whole / "store").hold("manifest", study, info("manifest").recipe, options={})
    (whole / "victim").mkdir()
    (whole / "victim/precious.txt").write_text("x")
    files = [f for f in files_of(whole / "store") if f.suffix == ".json" and f.name != "zarr.json"]
    for i in range(times(600)):
        if not work.exists():
            shutil.copytree(whole, work)
        file = work / files[i % len(files)].relative_to(whole)
        content = file.read_bytes()
        file.write_bytes(spoiled_json(json.loads(content), rng) if i % 4 else damaged(content, rng))
        act = ("forget", "ann", "--in", work / "store", "--yes") if i % 3 == 0 else ("data", "store", work / "store")
        code = tally.run(f"store {i} {file.name}", *act)
        assert (work / "victim/precious.txt").exists()
        if act[0] == "forget" and code != 2:
            shutil.rmtree(work)
        else:
            file.write_bytes(content)
    tally.require(600)


def test_experiments_and_settings(study: Path, tmp_path: Path) -> None:
    """Every key of an experiment with every kind of value: most are refused before anything is read."""
    tally, rng = Tally(), np.random.default_rng(7)
    plan = {"data": {"name": "manifest", "root": str(study), "target": "state"}, "recipe": CUT, "train": {"epochs": 1}}
    whole = experiment_from(plan).to_dict()
    keys = [(table, key) for table, inner in whole.items() if isinstance(inner, dict) for key in inner] + [
        ("", key) for key, inner in whole.items() if not isinstance(inner, dict)
    ]
    pool = [*VALUES, *NUMBERS]
    for i in range(times(500)):
        table, key = keys[int(rng.integers(len(keys)))]
        value = pool[int(rng.integers(len(pool)))]
        text = value if isinstance(value, str) and i % 2 else json.dumps(value)
        name = f"{table}.{key}".lstrip(".")
        more = ("--set", f"{name}={text}".replace("\0", ""))
        tally.run(f"setting {i}", "train", "--data", "nobody", "--out", tmp_path / "o", *more)
    file = tmp_path / "plan.toml"
    file.write_text("x")
    texts = ["[" * 50_000, "a = " + "[" * 5000, "[data]\nname = 'manifest'\n" * 2, "\0", "a = 1e999999",
             "a = " + "9" * 5000, "[a.b.c.d]\n" * 100, "a = 0x" + "f" * 500, "d = 2024-99-99",
             "s = '''" + "x" * 1_000_000, "\xff"]  # fmt: skip
    for i in range(times(200)):
        text = texts[i] if i < len(texts) else toml_of(whole, rng)
        with changed(file, text.encode("latin-1", "replace")):
            tally.run(f"toml {i}", "train", "--experiment", file, "--set", "data.name=nobody", "--out", tmp_path / "o")
            tally.run(f"grid {i}", "compare", file, "--dry-run", "--out", tmp_path / "g")
    assert not (tmp_path / "o").exists()
    tally.require(900)


def toml_of(tables: dict[str, object], rng: np.random.Generator) -> str:
    spoiled = json.loads(json.dumps(tables))
    names = [name for name, inner in spoiled.items() if isinstance(inner, dict) and inner]
    name = names[int(rng.integers(len(names)))]
    key = list(spoiled[name])[int(rng.integers(len(spoiled[name])))]
    spoiled[name][key] = VALUES[int(rng.integers(len(VALUES)))]
    lines = []
    for table, inner in spoiled.items():
        if isinstance(inner, dict):
            lines.append(f"[{table}]")
            lines += [f"{json.dumps(k)} = {json.dumps(v)}" for k, v in inner.items() if v is not None]
    return "\n".join(lines)


def test_options_of_commands(study: Path, tmp_path: Path) -> None:
    """Absurd windows, rates, seeds, epochs and names given as options."""
    tally, rng = Tally(), np.random.default_rng(8)
    pool = NUMBERS + TEXTS
    flags = ["--window", "--hop", "--guard"]
    for i in range(times(250)):
        value = pool[int(rng.integers(len(pool)))].replace("\0", "")
        tally.run(f"option {i}", "data", "check", "manifest", "--root", study, flags[i % 3], value)
    names = ["--data", "--root", "--target", "--model", "--size", "--normaliser", "--modalities", "--subjects",
             "--seed", "--epochs", "--quality", "--device", "--out", "--store", "--window", "--hop"]  # fmt: skip
    for i in range(times(250)):
        value = pool[int(rng.integers(len(pool)))].replace("\0", "")
        name = names[i % len(names)]
        if name in ("--out", "--store"):
            value = str(tmp_path / "x" / value.strip("/.").replace("..", "")) if value.strip("/. ") else "/proc/x"
        given = {"--data": "manifest", "--root": study, "--target": "state", "--epochs": 1, "--out": tmp_path / "t",
                 "--subjects": "nobody"} | {name: value}  # fmt: skip
        tally.run(f"option {i}", "train", *(str(part) for pair in given.items() for part in pair))
    tally.require(500)


def test_a_sample_in_real_processes(study: Path, tmp_path: Path) -> None:
    """What runs in one process for speed, here as a user runs it."""
    rng = np.random.default_rng(9)
    root = Path(shutil.copytree(study, tmp_path / "data"))
    with (root / "manifest.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    code = "from insula.cli import main; main()"
    for i in range(8):
        with changed(root / "manifest.csv", spoiled_csv(rows, rng)):
            command = [sys.executable, "-c", code, "data", "check", "manifest", "--root", str(root)]
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=60, check=False, env=dict(os.environ)
            )
        assert judge(done.returncode, done.stdout, done.stderr, "") == "", f"input {i}"
