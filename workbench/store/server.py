"""`server.json`: which server a workspace's folder belongs to, and by which name this folder signs what is its own."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import URL, exc, make_url

from workbench.domain.errors import BadInput, StorageFailed

SERVER = "server.json"
SCHEMA = "workbench"
DRIVER = "postgresql+psycopg"
EXAMPLE = "Write it like this: postgresql+psycopg://USER@HOST/DATABASE"


class ServerAddress(NamedTuple):
    """A schema of a database on a server; `home` is the name of this folder among those that share it."""

    url: URL
    schema: str
    home: str

    @property
    def secret(self) -> bool:
        """Whether a password stands in the address."""
        return bool(self.url.password) or "password" in self.url.query

    def parted(self) -> tuple[ServerAddress, str]:
        """The address without the password that stands in it, and that password, "" when there is none."""
        inside = self.url.query.get("password", "")
        bare = self.url.difference_update_query(["password"])._replace(password=None)
        return self._replace(url=bare), self.url.password or (inside if isinstance(inside, str) else "")

    def written(self) -> str:
        """The whole address as a person writes it, the password included."""
        return self.url.update_query_dict({"schema": self.schema}).render_as_string(hide_password=False)

    def same(self, other: ServerAddress) -> bool:
        """Whether two folders with these addresses share a workspace, as far as addresses tell."""
        return (self.parted()[0].url, self.schema) == (other.parted()[0].url, other.schema)

    def __str__(self) -> str:
        shown = self.url.difference_update_query(["password"])
        return f"{shown.render_as_string(hide_password=True)}, schema {self.schema}"


def parse_address(text: str, home: str) -> ServerAddress:
    """The address that a person wrote; `?schema=NAME` chooses among several workspaces in one database."""
    try:
        url = make_url(text.strip())
    except (exc.ArgumentError, ValueError) as error:
        raise BadInput("This is no address of a server.", EXAMPLE) from error
    if url.drivername not in {DRIVER, "postgresql", "postgres"}:
        raise BadInput(f"The workbench doesn't know databases of the kind {url.drivername}.", EXAMPLE)
    schema = url.query.get("schema", SCHEMA)
    if not isinstance(schema, str) or not schema.isprintable() or not 0 < len(schema.encode()) < 64:
        raise BadInput("This is no name of a schema.", "Give one short name: ?schema=NAME")
    if schema.startswith("pg_") or schema == "information_schema":
        raise BadInput(f"The schema {schema} belongs to the server.", "Choose another name: ?schema=NAME")
    return ServerAddress(url.set(drivername=DRIVER).difference_update_query(["schema"]), schema, home)


def new_address(text: str) -> ServerAddress:
    """An address for a new folder."""
    return parse_address(text, uuid.uuid4().hex[:12])


def write_address(workspace: Path, address: ServerAddress) -> Path:
    """Write `server.json`, readable by its owner alone."""
    content = {"server": address.written(), "home": address.home}
    path = workspace / SERVER
    path.touch(mode=0o600)
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    return path


def read_address(workspace: Path) -> ServerAddress | None:
    """The address in a workspace's folder; None when its database is a file."""
    path = workspace / SERVER
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        server, home = content["server"], content["home"]
        if not isinstance(server, str) or not isinstance(home, str) or not home:
            raise TypeError
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StorageFailed(
            f"{path} can't be used.", f'It holds JSON with two texts: "server" and "home". {EXAMPLE}', str(error)
        ) from error
    return parse_address(server, home)
