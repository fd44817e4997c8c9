"""Real STAC APIs on loopback, in processes of their own that end with the tests; a plugin for the modules that use them."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from support.processes import PATIENCE_S, answers, await_, free_port, running


def collection_of(name: str) -> dict[str, Any]:
    """A STAC collection without bounds."""
    extent = {"spatial": {"bbox": [[-180, -90, 180, 90]]}, "temporal": {"interval": [[None, None]]}}
    head = {"type": "Collection", "stac_version": "1.0.0", "id": name, "description": "For tests", "license": "other"}
    return {**head, "extent": extent, "links": []}


# PostgreSQL, PostGIS, pgstac and stac-fastapi


class PgStac:
    """A STAC API on PostgreSQL that collections of items can be loaded into."""

    def __init__(self, url: str, database: str) -> None:
        self.url, self._database = url, database

    def load(self, name: str, items: Iterable[dict[str, Any]]) -> None:
        """Add items, which are of one collection, and that collection."""
        from pypgstac.db import PgstacDB
        from pypgstac.load import Loader, Methods

        with PgstacDB(dsn=self._database) as database:
            loader = Loader(database)
            loader.load_collections(iter([collection_of(name)]), Methods.upsert)
            loader.load_items(iter(list(items)), Methods.upsert)


def postgres_programs() -> Path | None:
    """The folder of a PostgreSQL that has PostGIS."""
    found = shutil.which("initdb")
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: float(path.parts[-3]))
    for initdb in [*([Path(found).resolve()] if found else []), *reversed(versions)]:
        config = initdb.with_name("pg_config")
        try:
            share = subprocess.check_output([config, "--sharedir"], text=True, timeout=PATIENCE_S).strip()
        except OSError:
            share = f"/usr/share/postgresql/{initdb.parts[-3]}"
        if (Path(share) / "extension" / "postgis.control").exists():
            return initdb.parent
    return None


def ordinary_user() -> dict[str, Any]:
    """What makes a subprocess one of an ordinary user's: PostgreSQL refuses root."""
    if os.geteuid() != 0:
        return {}
    import pwd

    for name in ("postgres", "nobody"):
        try:
            user = pwd.getpwnam(name)
        except KeyError:
            continue
        return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    pytest.skip("PostgreSQL does not run as root, and there is no other user")


@contextmanager
def postgres(programs: Path) -> Iterator[str]:
    """A new database with pgstac; its address."""
    import psycopg
    from pypgstac.db import PgstacDB
    from pypgstac.migrate import Migrate

    who = ordinary_user()
    # Not in pytest's folder, into which no other user may look.
    with tempfile.TemporaryDirectory(prefix="nutonic-pgstac-", ignore_cleanup_errors=True) as folder:
        home, port = Path(folder), free_port()
        if who:
            os.chown(home, who["user"], who["group"])
        how = {"cwd": home, "env": {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "HOME": folder}, **who}
        initdb = [str(programs / "initdb"), "-A", "trust", "-U", "postgres", "--no-sync", "-D", "data"]
        made = subprocess.run(initdb, capture_output=True, text=True, timeout=PATIENCE_S, check=False, **how)
        if made.returncode:
            pytest.skip(f"initdb does not work here: {made.stderr[-300:]}")
        settings = ["listen_addresses=127.0.0.1", "unix_socket_directories=", "fsync=off", "full_page_writes=off"]
        command = [str(programs / "postgres"), "-D", "data", "-p", str(port)]
        command += [word for setting in settings for word in ("-c", setting)]
        address = f"postgresql://postgres@127.0.0.1:{port}"

        def ready() -> bool:
            try:
                with psycopg.connect(f"{address}/postgres", autocommit=True, connect_timeout=5) as connection:
                    connection.execute("create database stac")
            except psycopg.OperationalError:
                return False
            return True

        with running(command, home / "log", signal.SIGINT, **how) as process:  # SIGINT: do not wait for clients
            await_(ready, process, home / "log")
            with PgstacDB(dsn=f"{address}/stac") as database:
                Migrate(database).run_migration()
            yield f"{address}/stac"


@contextmanager
def pgstac_server(programs: Path, folder: Path) -> Iterator[PgStac]:
    with postgres(programs) as database, ExitStack() as stack:
        host, port = database.rpartition("@")[2].split("/")[0].split(":")
        where = {"PGHOST": host, "PGPORT": port, "PGUSER": "postgres", "PGPASSWORD": "none", "PGDATABASE": "stac"}
        here = free_port()
        command = [sys.executable, "-m", "uvicorn", "stac_fastapi.pgstac.app:create_app", "--factory"]
        command += ["--host", "127.0.0.1", "--port", str(here), "--log-level", "warning"]
        how = {"cwd": folder, "env": {**os.environ, **where, "DB_MAX_CONN_SIZE": "2"}}
        process = stack.enter_context(running(command, folder / "uvicorn.log", **how))
        await_(lambda: answers(f"http://127.0.0.1:{here}/"), process, folder / "uvicorn.log")
        yield PgStac(f"http://127.0.0.1:{here}/", database)


@pytest.fixture(scope="session")
def pgstac(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PgStac]:
    """A STAC API with pgstac; load what you search for into a collection of your own."""
    for module in ("psycopg", "pypgstac", "stac_fastapi.pgstac", "uvicorn"):
        pytest.importorskip(module)
    programs = postgres_programs()
    if programs is None:
        pytest.skip("no PostgreSQL with PostGIS here")
    with pgstac_server(programs, tmp_path_factory.mktemp("pgstac")) as server:
        yield server


# rustac


@contextmanager
def rustac_server(items: Iterable[dict[str, Any]], folder: Path) -> Iterator[str]:
    """The address of a STAC API, served by rustac from memory."""
    pytest.importorskip("rustac")
    program = Path(sys.executable).with_name("rustac")
    if not program.exists():
        pytest.skip("rustac is installed without its program")
    catalogue = {"type": "FeatureCollection", "features": list(items)}
    (folder / "served.json").write_text(json.dumps(catalogue), encoding="utf-8")
    address = f"127.0.0.1:{free_port()}"
    command = [str(program), "serve", "--addr", address, "--create-collections", str(folder / "served.json")]
    with running(command, folder / "rustac.log") as process:
        await_(lambda: answers(f"http://{address}/"), process, folder / "rustac.log")
        yield f"http://{address}/"


@pytest.fixture(scope="session")
def rustac(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[Iterable[dict[str, Any]]], str]]:
    """Serves items with rustac and returns the address; each call starts a server, which ends with the tests."""
    with ExitStack() as stack:
        yield lambda items: stack.enter_context(rustac_server(items, tmp_path_factory.mktemp("rustac")))
