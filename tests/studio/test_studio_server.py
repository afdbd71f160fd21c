"""The studio's JSON API: what it answers, what it refuses, and that its documentation is whole."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest

pytest.importorskip("starlette", reason="the studio needs the extra live")
from starlette.testclient import TestClient
from studio_server import write_study

from insula.errors import InputError
from insula.live.access import Access
from insula.live.hub import Hub
from insula.studio import messages
from insula.studio.desk import Desk
from insula.studio.places import named
from insula.studio.server import build, telling
from insula.studio.state import State
from insula.studio.study import Study

HOST = "http://127.0.0.1:8760"
PAGE = Path(__file__).resolve().parents[2] / "docs" / "studio.md"
TABLE = "file,modality,subject,trial,mood\nP01/trial1.csv,eda,P01,1,calm\nP01/trial2.csv,eda,P01,2,tense\n"


class Still(Desk):
    """A desk at which no command is started."""

    def _check(self, study: Study) -> None:
        study.write("check.json", b"{}")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "study"
    write_study(folder, people=1, trials=2)
    (folder / "manifest.csv").write_text(TABLE, encoding="utf-8")
    return folder


@pytest.fixture
def client(root: Path) -> Iterator[TestClient]:
    hub = Hub()
    with TestClient(build(Still(telling(hub), root, False, root), hub, Access("127.0.0.1", "")), base_url=HOST) as made:
        yield made


def say(client: TestClient, message: Any, **headers: str) -> Any:
    return client.post(
        "/api/message", content=json.dumps(message), headers={"content-type": "application/json", **headers}
    )


def test_cells_are_changed_and_taken_back(client: TestClient, root: Path) -> None:
    change = {"type": "edit", "changes": [{"row": 1, "column": "mood", "value": "a\nb <i>"}]}
    assert say(client, change).json() == {"error": None}
    assert (root / "manifest.csv").read_text(encoding="utf-8").splitlines()[2] == "P01/trial2.csv,eda,P01,2,a b <i>"
    assert client.get("/api/table", params={"find": "<I>"}).json()["rows"] == [
        [1, ["P01/trial2.csv", "eda", "P01", "2", "a b <i>"]]
    ]
    assert client.get("/api/state").json()["table"]["undo"] == "mood: a b <i>"
    say(client, {"type": "undo"})
    assert (root / "manifest.csv").read_text(encoding="utf-8") == TABLE
    say(client, {"type": "redo"})
    assert "a b <i>" in (root / "manifest.csv").read_text(encoding="utf-8")


def test_the_history_is_there_tomorrow(client: TestClient, root: Path) -> None:
    say(client, {"type": "rename", "column": "mood", "name": "feeling"})
    say(client, {"type": "close"})
    say(client, {"type": "open", "path": str(root)})
    say(client, {"type": "undo"})
    assert (root / "manifest.csv").read_text(encoding="utf-8") == TABLE


@pytest.mark.parametrize(
    "message",
    [
        {"type": "edit", "changes": [{"row": 9, "column": "mood", "value": ""}]},
        {"type": "edit", "changes": [{"row": 0, "column": "nothing", "value": ""}]},
        {"type": "edit", "changes": []},
        {"type": "drop", "rows": [0, 1]},
        {"type": "drop_trials", "trials": [["P01", "only", "7"]]},
        {"type": "add_column", "name": "../x"},
        {"type": "rename", "column": "mood", "name": "trial"},
        {"type": "undo"},
        {"type": "train"},
        {"type": "choose", "target": "mood", "protocol": "best"},
        {"type": "look", "subject": ""},
        {"type": "export", "run": "../study", "what": "card"},
        {"type": "live", "run": "..", "source": "simulate"},
        {"type": "open", "path": "/nowhere/at/all"},
        {"type": "open"},
        {"type": "unlink", "path": "x"},
        {"type": "check", "path": "x"},
        [1],
    ],
)
def test_what_cannot_be_done_is_refused_with_its_reason(client: TestClient, root: Path, message: Any) -> None:
    answer = say(client, message)
    assert answer.status_code == 400
    assert len(answer.json()["error"]) > 10
    assert (root / "manifest.csv").read_text(encoding="utf-8") == TABLE


def test_strangers_are_refused(client: TestClient) -> None:
    assert say(client, {"type": "undo"}, origin="http://evil.example").status_code == 403
    assert client.get("/api/state", headers={"host": "evil.example"}).status_code == 403
    plain = client.post("/api/message", content=b'{"type":"close"}', headers={"content-type": "text/plain"})
    assert plain.status_code == 400, "a form of another page cannot speak JSON"
    assert say(client, {"type": "edit", "changes": "x" * (2 << 20)}).status_code == 400


def test_no_path_leaves_the_folder(client: TestClient, root: Path) -> None:
    run = root / "runs" / "mine"
    run.mkdir(parents=True)
    (run / "result.json").write_text("{}", encoding="utf-8")
    (run / "card.md").write_text("mine", encoding="utf-8")
    (run / "table.csv").symlink_to(root / "answers.csv")
    assert client.get("/runs/mine/card.md").text == "mine"
    for path in ("mine/result.json", "mine/..%2F..%2Fanswers.csv", "..%2Fmine/card.md", "%2e%2e/card.md"):
        assert client.get(f"/runs/{path}").status_code in (400, 404), path
    assert client.get("/runs/mine/table.csv").status_code == 404, "a link is not followed out of a run"


def test_beyond_loopback_the_folder_is_fixed_and_a_token_asked(root: Path) -> None:
    token = "0123456789abcdef"
    desk = Still(lambda _: None, root, True, root)
    with TestClient(build(desk, Hub(), Access("0.0.0.0", token)), base_url="http://lab:8760") as client:
        assert client.get("/api/state").status_code == 403
        client.headers["authorization"] = f"Bearer {token}"
        assert client.get("/api/state").status_code == 200
        assert client.get("/api/places").status_code == 400
        assert say(client, {"type": "open", "path": "/"}).status_code == 400


def test_a_dropped_folder_is_found_by_what_it_holds(client: TestClient, root: Path) -> None:
    (root.parent / "copies" / "study").mkdir(parents=True)
    asked = {"path": str(root.parent), "named": "study", "holds": "answers.csv"}
    assert client.get("/api/places", params=asked).json() == [str(root)]
    assert len(client.get("/api/places", params={**asked, "holds": []}).json()) == 2
    assert client.get("/api/places", params={**asked, "named": "../study"}).status_code == 400


@pytest.mark.usefixtures("client")
def test_a_folder_is_open_once(root: Path) -> None:
    with pytest.raises(InputError, match="open in another studio"):
        Study.open(root)


def test_a_page_without_inline_scripts(client: TestClient, root: Path) -> None:
    page = client.get("/")
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert not re.search(r"<script(?![^>]*src=)|\son\w+=|style=", page.text)
    (root / "runs" / "mine").mkdir(parents=True)
    for name in ("result.json", "report.html"):
        (root / "runs" / "mine" / name).write_text("<p>", encoding="utf-8")
    report = client.get("/runs/mine/report.html").headers["content-security-policy"]
    assert "sandbox" in report
    assert "allow-same-origin" not in report


def test_damaged_notes_are_begun_anew(root: Path) -> None:
    (root / ".insula").mkdir()
    (root / ".insula" / "studio.json").write_text('{"choice": {"thorough": 1}}', encoding="utf-8")
    study = Study.open(root)
    assert study.kept.choice is None
    study.close()


def test_the_documentation_names_every_message_and_the_whole_state(client: TestClient) -> None:
    text = PAGE.read_text(encoding="utf-8")
    for kind in get_args(messages.Message):
        assert f"`{kind.__struct_config__.tag}`" in text, kind
        for name in kind.__struct_fields__:
            assert re.search(rf"`{name}\??`", text), (kind, name)
    for name in set(State.__struct_fields__) - {"version", "home", "fixed"}:
        assert f"`{name}`" in text, name
    told = client.get("/api/schema").json()
    assert {"messages", "state"} == set(told)


@pytest.mark.parametrize("typed", ["~nosuchperson/study", "a\0b", "n" * 300])
def test_what_is_no_path_is_refused_with_its_reason(typed: str) -> None:
    with pytest.raises(InputError, match="Correct it"):
        named(typed)
