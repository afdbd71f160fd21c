"""The guarded child: what it refuses, what ends it, and that the next file is read all the same."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fixtures_bids import write_bids
from fixtures_data import lines, write_eeg
from fixtures_xdf import drifting, write_xdf
from scipy.io import savemat

from insula.data import Problem, load
from insula.data.formats import guarded
from insula.data.formats.matlab import read_mat
from insula.errors import DataError

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="limits are those of Linux")


def misbehaving(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str) -> str:
    """Run a function of insula.data that does ``body`` in the child, and return the error it ends in."""
    (tmp_path / "evil.py").write_text(
        f"import os\nfrom insula.data.formats import pickles\ndef load(path):\n    {body}\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    hook = "import evil, insula.data.formats.pickles as p; p.load = evil.load; "
    monkeypatch.setattr(guarded, "_BOOT", guarded._BOOT.replace("main(int(", hook + "main(int("))
    monkeypatch.setattr(guarded, "LEAST_CPU_S", 1)
    guarded.close()
    data = tmp_path / "data"
    data.mkdir()
    (data / "a.pkl").write_bytes(b"x")
    try:
        with pytest.raises(DataError) as caught:
            guarded.read("insula.data.formats.pickles:load", data / "a.pkl")
    finally:
        guarded.close()
    return str(caught.value)


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("while True: pass", "took more than 1 s"),
        ("import ctypes; ctypes.string_at(0)", "reading it crashed its reader (signal 11)"),
        ("return bytearray(4 << 30)", "asks for more memory"),
        ("import numpy; return numpy.zeros(300 << 20, 'u1')", "no usable result (result larger than 256 MB)"),
        ("return [0] * 2_000_000", "more than 1,000,000 parts"),
        ("return object()", "an object of type object"),
        ("return open('/etc/hostname').read()", "'/etc/hostname' lies outside the folder of the data"),
        ("return open(str(path) + '2', 'w')", "a reader may not write"),
        ("os.system('true')", "a reader may not do this (os.system)"),
        ("import socket; socket.create_connection(('127.0.0.1', 9))", "a reader may not do this (socket."),
        ("a = []; a.append(a); return a", "nested deeper than"),
    ],
)
def test_what_a_reader_may_not_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str, told: str) -> None:
    assert told in misbehaving(tmp_path, monkeypatch, body)


def test_one_child_stays_warm_and_a_killed_one_is_replaced(tmp_path: Path) -> None:
    savemat(tmp_path / "a.mat", {"v": np.arange(3.0)})
    read_mat(tmp_path / "a.mat", ["v"])
    first = guarded._the_child()._process
    read_mat(tmp_path / "a.mat", ["v"])
    assert first is not None
    assert guarded._the_child()._process is first
    first.kill()
    first.wait()
    assert read_mat(tmp_path / "a.mat", ["v"])["v"].shape == (1, 3)
    assert guarded._the_child()._process is not first


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_the_child_ends_with_its_parent(tmp_path: Path, number: int) -> None:
    savemat(tmp_path / "a.mat", {"v": np.arange(3.0)})
    code = (
        "import signal, sys, time; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from pathlib import Path; from insula.data.formats import guarded, matlab\n"
        "matlab.read_mat(Path(sys.argv[1]), ['v']); print(guarded._the_child()._process.pid, flush=True)\n"
        "time.sleep(60)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, tmp_path / "a.mat"], stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        os.kill(parent.pid, number)
        parent.wait(20)
    assert ended(child)


def ended(process: int) -> bool:
    until = time.monotonic() + 10
    while time.monotonic() < until:
        try:
            os.kill(process, 0)
            if Path(f"/proc/{process}/stat").read_text().rsplit(")")[-1].split()[0] == "Z":
                return True
        except (ProcessLookupError, FileNotFoundError):
            return True
    return False


# what a recording may name ------------------------------------------------------------------------------------------


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """A study beside a secret recording of somebody else."""
    write_eeg(tmp_path / "secret/b.vhdr", 4, 100.0, ("Fp1", "Oz"))
    write_eeg(tmp_path / "data/a.vhdr", 4, 100.0, ("Fp1", "Oz"))
    lines(tmp_path / "data/manifest.csv", ["file,modality,subject,trial,label", "a.vhdr,eeg,ann,t,x"])
    return tmp_path / "data"


def refused(root: Path, says: str) -> None:
    with pytest.raises(DataError, match=says):
        load("manifest", root)


@pytest.mark.parametrize("key", ["DataFile", "MarkerFile"])
@pytest.mark.parametrize("absolute", [True, False])
def test_brainvision_headers_name_no_file_outside(study: Path, key: str, absolute: bool) -> None:
    header = study / "a.vhdr"
    suffix = ".eeg" if key == "DataFile" else ".vmrk"
    for folder, stem in ((study, "a"), (study.parent / "secret", "b")):
        (folder / f"{stem}.vmrk").write_text("Brain Vision Data Exchange Marker File, Version 1.0\n[Marker Infos]\n")
    header.write_text(header.read_text().replace("DataFile=a.eeg", "DataFile=a.eeg\nMarkerFile=a.vmrk"))
    named = f"{study.parent / 'secret'}/b{suffix}" if absolute else f"../secret/b{suffix}"
    text = header.read_text()
    assert f"{key}=a{suffix}" in text
    load("manifest", study)
    header.write_text(text.replace(f"{key}=a{suffix}", f"{key}={named}"))
    refused(study, r"a\.vhdr: names the file .* outside the folder of the data")


def test_links_out_of_the_folder_are_refused(study: Path) -> None:
    (study / "a.eeg").unlink()
    (study / "a.eeg").symlink_to(study.parent / "secret/b.eeg")
    refused(study, r"a\.vhdr: .*outside")


@pytest.mark.parametrize("what", ["fifo", "device", "self-link", "folder"])
def test_only_regular_files_are_opened(tmp_path: Path, what: str) -> None:
    lines(tmp_path / "manifest.csv", ["file,modality,subject,trial,rate,label", "a.csv,eda,ann,t,4,x"])
    place = tmp_path / "a.csv"
    if what == "fifo":
        os.mkfifo(place)
    elif what == "folder":
        place.mkdir()
    else:
        place.symlink_to(place if what == "self-link" else "/dev/zero")
    refused(tmp_path, r"manifest\.csv: line 2|a\.csv: ")


def test_fieldtrip_files_of_a_set_stay_inside(study: Path) -> None:
    eeg = {
        "setname": "x", "nbchan": 2.0, "trials": 1.0, "pnts": 400.0, "srate": 100.0, "xmin": 0.0, "xmax": 3.99,
        "data": "../secret/b.fdt", "chanlocs": np.zeros(0), "event": np.zeros(0), "epoch": np.zeros(0),
        "urchanlocs": np.zeros(0), "icawinv": np.zeros(0), "icaweights": np.zeros(0), "icasphere": np.zeros(0),
    }  # fmt: skip
    (study.parent / "secret/b.fdt").write_bytes(bytes(3200))
    savemat(study / "a.set", {"EEG": eeg})
    lines(study / "manifest.csv", ["file,modality,subject,trial,label", "a.set,eeg,ann,t,x"])
    refused(study, r"a\.set: ")
    (study / "b.fdt").write_bytes((study.parent / "secret/b.fdt").read_bytes())
    savemat(study / "a.set", {"EEG": eeg | {"data": "b.fdt"}})
    assert load("manifest", study)  # the same beside it is read


@pytest.mark.slow
def test_parts_of_a_split_fif_stay_inside(tmp_path: Path) -> None:
    """A FIF of several parts names the next one; here by a path of the same length that leaves the folder."""
    import mne

    study, secret = tmp_path / "data", tmp_path / "s"
    for folder in (study, secret):
        folder.mkdir()
    values = np.random.default_rng(0).normal(size=(16, 40_000)) * 1e-5  # 2.6 MB, the least that MNE splits
    raw = mne.io.RawArray(values, mne.create_info(16, 100.0, "eeg"), verbose="ERROR")
    raw.save(study / "abcdefgh_raw.fif", split_size="2MB", split_naming="neuromag", verbose="ERROR")
    part = study / "abcdefgh_raw-1.fif"
    assert part.is_file(), "the recording is in parts"
    lines(study / "manifest.csv", ["file,modality,subject,trial,label", "abcdefgh_raw.fif,eeg,ann,t,x"])
    assert load("manifest", study)[0].trials[0].signals["eeg"].duration_s == 400
    elsewhere = f"../s/{part.name[5:]}"
    head = study / "abcdefgh_raw.fif"
    outside = Path(os.path.normpath(study / elsewhere))
    part.rename(outside)
    assert outside.parent == secret
    content = head.read_bytes()
    assert content.count(part.name.encode()) == 1
    head.write_bytes(content.replace(part.name.encode(), elsewhere.encode()))
    refused(study, r"abcdefgh_raw\.fif: ")


def test_an_xdf_is_one_regular_file_whose_header_opens_no_other(tmp_path: Path) -> None:
    pytest.importorskip("pyxdf", reason="the extra [data] is not installed")
    study = tmp_path / "data"
    stream = drifting("EEG", 10.0, 20.0, 50.0, 0.0, 0.0)
    path = write_xdf(study / "a.xdf", [stream])
    lines(study / "manifest.csv", ["file,modality,subject,trial,label", "a.xdf,eeg,ann,t,x"])
    assert load("manifest", study)
    (tmp_path / "secret.txt").write_text("the secret")
    entity = f'<!DOCTYPE info [<!ENTITY x SYSTEM "file://{tmp_path}/secret.txt">]><info><name>&x;</name>'
    evil = replace(stream, name=f"</name></info>{entity}<name>")
    write_xdf(path, [evil])
    try:
        said = str(load("manifest", study))
    except DataError as error:
        said = str(error)
    assert "the secret" not in said
    (tmp_path / "elsewhere.xdf").write_bytes(write_xdf(path, [stream]).read_bytes())
    path.unlink()
    path.symlink_to(tmp_path / "elsewhere.xdf")
    refused(study, "outside")


@pytest.mark.parametrize("what", ["_eeg.edf", "_eeg.vhdr", "_channels.tsv", "_events.tsv", "_physio.tsv.gz", "header"])
def test_files_of_a_bids_set_stay_inside(tmp_path: Path, what: str) -> None:
    root, outside = tmp_path / "data", tmp_path / "outside"
    write_bids(root)
    problems: list[Problem] = []
    load("bids", root, problems=problems)
    assert not [p for p in problems if p.fatal]
    outside.mkdir()
    if what == "header":
        (file,) = root.rglob("*.vhdr")
        data = file.with_suffix(".eeg")
        data.rename(outside / data.name)
        file.write_text(file.read_text().replace(data.name, f"{outside}/{data.name}"))
    else:
        file = next(iter(sorted(root.rglob(f"*{what}"))))
        file.rename(outside / file.name)
        file.symlink_to(outside / file.name)
    problems = []
    try:
        load("bids", root, problems=problems)
    except DataError as error:
        problems.append(Problem(str(file), str(error)))
    assert any("outside" in p.what for p in problems), problems


@pytest.mark.parametrize("how", ["link", "storage", "virtual"])
def test_hdf5_files_name_nothing_outside(tmp_path: Path, how: str) -> None:
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "secret.h5", "w") as secret:
        secret["v"] = np.arange(6.0).reshape(2, 3)
    (tmp_path / "data").mkdir()
    path = tmp_path / "data/a.mat"
    with h5py.File(path, "w", userblock_size=512) as file:
        if how == "link":
            file["v"] = h5py.ExternalLink("../secret.h5", "v")
        elif how == "storage":
            (tmp_path / "raw.bin").write_bytes(bytes(48))
            file.create_dataset("v", (2, 3), "f8", external=[("../raw.bin", 0, 48)])
        else:
            layout = h5py.VirtualLayout((2, 3), "f8")
            layout[:] = h5py.VirtualSource("../secret.h5", "v", (2, 3))
            file.create_virtual_dataset("v", layout)
    content = bytearray(path.read_bytes())
    content[:512] = b"MATLAB 7.3 MAT-file".ljust(512)
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"a\.mat: 'v' (is a link to|keeps its numbers in another) .*not opened"):
        read_mat(path, ["v"])
