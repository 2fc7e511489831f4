"""`workbench new`: a workspace in a folder, or one that a team shares on a server."""

import json
from pathlib import Path

import pytest

from tests.postgres import PrivateServer
from workbench.cli.main import main

Capture = pytest.CaptureFixture[str]


def test_that_a_shared_workspace_says_what_is_where(server_url: str, tmp_path: Path, capsys: Capture) -> None:
    assert main(["new", str(tmp_path / "a"), "--server", server_url]) == 0
    said = capsys.readouterr().out
    assert "Datasets and labels are on postgresql+psycopg://postgres@/" in said
    assert "Runs, models and settings stay in this folder." in said
    assert "password" not in said
    assert main(["new", str(tmp_path / "b"), "--server", server_url, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["workspace"] == str(tmp_path / "b")
    assert document["server"].endswith("schema workbench")


def test_that_a_dataset_of_one_folder_is_listed_in_another(server_url: str, tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "texts.jsonl").write_text('{"text": "one"}\n')
    for name in ("a", "b"):
        assert main(["new", str(tmp_path / name), "--server", server_url]) == 0
    assert main(["data", "import", str(tmp_path / "a"), str(tmp_path / "texts.jsonl"), "--name", "texts"]) == 0
    capsys.readouterr()
    assert main(["data", "list", str(tmp_path / "b"), "--json"]) == 0
    assert "texts" in capsys.readouterr().out


def test_that_a_password_in_the_address_is_kept_and_said(
    server: PrivateServer, tmp_path: Path, capsys: Capture
) -> None:
    address = server.emptied().replace("postgres@", "postgres:open-sesame@")
    assert main(["new", str(tmp_path / "a"), "--server", address]) == 0
    said = capsys.readouterr().out
    assert "stands in clear in server.json" in said
    assert "open-sesame" not in said
    assert "open-sesame" in (tmp_path / "a" / "server.json").read_text()


def test_that_a_server_that_is_not_there_is_a_sentence_and_no_workspace(tmp_path: Path, capsys: Capture) -> None:
    assert main(["new", str(tmp_path / "a"), "--server", f"postgresql://me@/team?host={tmp_path}"]) == 1
    assert "doesn't answer" in capsys.readouterr().err
    assert not (tmp_path / "a").exists()
