"""A team on one PostgreSQL server: each person has a folder and a window, all see the same datasets and labels."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.postgres import PrivateServer
from tests.services.conftest import make_item
from tests.services.test_together import at_once, judge_everything
from workbench.domain.errors import BadInput, Conflict, StorageFailed
from workbench.services.workbench import (
    Workbench,
    join_server,
    last_workspace,
    new_workspace,
    remember_workspace,
    server_of,
)
from workbench.store.server import SERVER

Team = tuple[Workbench, Workbench]


@pytest.fixture
def team(join: Callable[[Path], Path], tmp_path: Path) -> Iterator[Team]:
    """Anna's and Ben's windows, each on a folder of its own."""
    with ExitStack() as stack:
        made = []
        for name in ("anna", "ben"):
            bench = stack.enter_context(Workbench.open(join(tmp_path / name)))
            bench.settings.change(annotator=name)
            made.append(bench)
        yield made[0], made[1]


def fill(bench: Workbench, count: int) -> None:
    for n in range(count):
        bench.labelling.add_item("pairs", make_item(f"i{n}"))


def test_that_what_one_window_judges_the_other_sees(team: Team) -> None:
    anna, ben = team
    fill(anna, 4)
    assert [d.name for d in ben.datasets.list()] == ["pairs"]
    judge_everything(anna, "anna's")
    shown, progress = ben.labelling.start("pairs")
    assert shown is not None
    assert (progress.judged, ben.datasets.get("pairs").judged) == (0, 4)
    said = ben.labelling.record("pairs", shown, outcome="all_bad", note="ben's", milliseconds=1)
    assert {j.annotator for j in anna.labelling.judgements("pairs")} == {"anna", "ben"}
    assert said.judgement.id in {j.id for j in anna.labelling.judgements("pairs")}


def test_that_an_undo_takes_back_ones_own_label_only(team: Team) -> None:
    anna, ben = team
    fill(anna, 3)
    for bench in team:
        judge_everything(bench, "x")
    assert anna.labelling.undo("pairs").judgement.annotator == "anna"
    assert ben.labelling.start("pairs")[1].judged == 3
    assert anna.labelling.start("pairs")[1].judged == 2


def test_that_two_who_label_at_once_lose_nothing(team: Team) -> None:
    fill(team[0], 12)
    confirmed: list[str] = []
    assert at_once([lambda b=b: confirmed.extend(judge_everything(b, "x")) for b in team]) == []  # type: ignore[misc]
    assert len(confirmed) == len(set(confirmed)) == 24
    for bench in team:
        assert {j.id for j in bench.labelling.judgements("pairs")} == set(confirmed)


def test_that_a_file_imported_by_one_is_searched_by_the_other(team: Team, tmp_path: Path) -> None:
    anna, ben = team
    file = tmp_path / "texts.jsonl"
    file.write_text('{"text": "Die STRASSE"}\n{"text": "nul \\u0000 inside"}\n', encoding="utf-8")
    anna.datasets.import_files([file], "texts")
    assert ben.datasets.count("texts", "straße") == 1
    assert ben.datasets.count("texts", "NUL \x00") == 1
    frozen = [bench.datasets.freeze("texts", "documents") for bench in team]
    assert frozen[0].sha == frozen[1].sha
    assert frozen[0].path != frozen[1].path
    anna.datasets.delete("texts")
    assert ben.datasets.list() == []


def test_that_runs_models_and_settings_stay_in_their_folder(team: Team, stories: Path) -> None:
    anna, ben = team
    anna.models.add_folder(stories, "stories", kind="base")
    anna.settings.change(theme="dark")
    assert (ben.models.list(), ben.settings.get().theme) == ([], "system")
    ben.models.add_folder(stories, "stories", kind="base")
    assert [m.name for m in ben.models.list()] == [m.name for m in anna.models.list()] == ["stories"]


def test_that_the_doctor_says_where_the_labels_are(team: Team) -> None:
    (health,) = [check for check in team[0].hardware.checks() if check.name == "workspace"]
    assert health.ok
    assert "datasets and labels are on postgresql" in health.what


def test_that_new_folders_join_what_the_first_one_made(server: PrivateServer, tmp_path: Path) -> None:
    address = server.url(server.fresh("template0"))
    first, second = (new_workspace(tmp_path / name, server=address) for name in ("a", "b"))
    assert {p.name for p in first.iterdir()} == {SERVER, "runs", "snapshots", "models"}
    with Workbench.open(first) as one, Workbench.open(second) as two:
        one.labelling.add_item("pairs", make_item("i0"))
        assert [d.name for d in two.datasets.list()] == ["pairs"]
    mine, theirs = server_of(first), server_of(second)
    assert mine is not None
    assert theirs is not None
    assert (mine.url, mine.home != theirs.home) == (theirs.url, True)


def test_that_a_folder_of_a_team_signs_with_the_name_of_the_account(
    server: PrivateServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOGNAME", "anna")
    with Workbench.open(new_workspace(tmp_path / "a", server=server.emptied())) as bench:
        assert bench.settings.get().annotator == "anna"
    with Workbench.open(new_workspace(tmp_path / "alone")) as bench:
        assert bench.settings.get().annotator == "me"


def test_that_a_folder_of_a_team_is_remembered(
    server: PrivateServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    path = new_workspace(tmp_path / "a", server=server.emptied())
    remember_workspace(path)
    assert last_workspace() == path
    (path / SERVER).unlink()
    assert last_workspace() is None


@pytest.mark.parametrize("present", [True, False])
def test_that_a_server_which_lets_nobody_in_leaves_no_folder(
    server: PrivateServer, tmp_path: Path, present: bool
) -> None:
    place = tmp_path / "work"
    if present:
        place.mkdir()
    with pytest.raises(StorageFailed, match="no such database"):
        new_workspace(place, server=server.url("nowhere"))
    assert place.exists() is present
    with pytest.raises(BadInput, match="no address"):
        new_workspace(place, server="nonsense")
    assert not list(tmp_path.rglob(SERVER))


def test_that_a_folder_in_use_is_not_joined_to_a_server(tmp_path: Path) -> None:
    path = new_workspace(tmp_path / "work")
    with pytest.raises(Conflict, match="empty folder"):
        new_workspace(path, server="postgresql://me@host/team")
    assert not (path / SERVER).exists()


def test_that_joining_makes_a_folder_once_and_looks_at_it_the_next_time(server_url: str, tmp_path: Path) -> None:
    folder = tmp_path / "anna"
    assert join_server(folder, server_url) == (folder, "")
    written = (folder / SERVER).read_text()
    assert join_server(folder, server_url) == (folder, "")
    assert (folder / SERVER).read_text() == written
    with pytest.raises(Conflict):
        join_server(folder, f"{server_url}&schema=other")
    with pytest.raises(Conflict):
        join_server(new_workspace(tmp_path / "plain"), server_url)


def test_that_a_password_is_given_back_and_not_written(server_url: str, tmp_path: Path) -> None:
    address = server_url.replace("postgres@", "postgres:open-sesame@")
    assert join_server(tmp_path / "anna", address) == (tmp_path / "anna", "open-sesame")
    assert join_server(tmp_path / "anna", server_url, "other") == (tmp_path / "anna", "other")
    assert "open-sesame" not in (tmp_path / "anna" / SERVER).read_text()
    with Workbench.open(tmp_path / "anna", password="open-sesame") as bench:
        assert bench.datasets.list() == []
        assert "open-sesame" not in bench.server
