"""Yesterday's backup was restored: whoever saw what came after it is told, auditors as well."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from anyio import to_thread
from click.testing import CliRunner
from httpx import AsyncClient
from psycopg import AsyncConnection
from psycopg.conninfo import conninfo_to_dict

from api import keys
from api.__main__ import cli
from api.keys import NewKey
from tests.api.conftest import calling, installed, registered
from tests.api.test_events import FEED
from tests.api.test_events import everything as all_events
from tests.api.test_table_defs import assert_problem, create
from tests.conftest import cloned
from tests.contracts.logged import logged

pytestmark = pytest.mark.anyio

restored = contextmanager(cloned)


@asynccontextmanager
async def running(database: str, key: NewKey) -> AsyncIterator[AsyncClient]:
    """A service on a database, and somebody with this key."""
    async with installed(database) as made, calling(made.app, str(key)) as client:
        yield client


async def signed(database: str) -> None:
    """The log of all there is."""
    async with logged(database) as log:
        await log.keep()


async def began(database: str) -> tuple[UUID, NewKey]:
    """A company with a table, and the key of an admin."""
    key = NewKey.make()
    async with installed(database) as made:
        company = await registered(made)
        async with await AsyncConnection.connect(database, autocommit=True) as owner:
            await keys.store(owner, key, company, "admin", "admin")
        async with calling(made.app, str(key)) as client:
            await create(client, name="Yesterday")
    await signed(database)
    return company, key


async def verified(database: str, company: UUID, checkpoint: Path) -> tuple[int, str]:
    """What an auditor sees who takes the log away and has kept a checkpoint."""
    archive = checkpoint.with_suffix(".zip")
    environment = {"DYNAMIC_TABLES_DATABASE_URL": database}

    async def run(*arguments: Any) -> Any:
        words = [str(each) for each in arguments]
        return await to_thread.run_sync(partial(CliRunner().invoke, cli, words, env=environment))

    made = await run("export", "--company", company, "--output", archive)
    assert made.exit_code == 0, made.output
    said = await run("verify", archive, "--checkpoint", checkpoint)
    return said.exit_code, said.stdout


async def test_who_saw_more_than_the_backup_has_is_told(database: str, tmp_path: Path) -> None:
    company, key = await began(database)
    checkpoint, name = tmp_path / "checkpoint.txt", str(conninfo_to_dict(database)["dbname"])
    with restored(database, name) as backup:
        async with running(database, key) as client:
            for number in range(3):
                await create(client, name=f"Today {number}")
            last = (await all_events(client))[-1]
            await signed(database)
            checkpoint.write_text((await client.get("/api/audit/checkpoint")).text)
        size = int(checkpoint.read_text().splitlines()[1])
        assert (await verified(database, company, checkpoint))[0] == 0

        async with running(backup, key) as client:
            seen = {"after": last["position"]}
            assert_problem(await client.get(FEED, params=seen), 409, "feed-rewound")
            status, said = await verified(backup, company, checkpoint)
            assert status == 1
            assert f"covers {size} events, that of the export {size - 3}" in said
            assert "backup" in said

            for number in range(4):  # further than before
                await create(client, name=f"Instead {number}")
            await signed(backup)
            after = {"after": last["position"], "afterId": last["id"]}
            assert_problem(await client.get(FEED, params=after), 409, "feed-rewound")
            status, said = await verified(backup, company, checkpoint)
            assert status == 1
            assert f"the first {size} events are not those of the saved checkpoint" in said
