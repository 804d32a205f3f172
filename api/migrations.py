"""Bring a database to the present schema: roles, event store, access, empty read models.

One step under an advisory lock, run before anything serves; never at import, never by a worker.
"""

import os
from contextlib import suppress
from importlib.resources import files
from pathlib import Path

import psycopg
from psycopg import AsyncConnection, sql
from psycopg.conninfo import conninfo_to_dict

from api.adoption import adopt
from api.read_models import PROJECTIONS
from api.roles import ADMIN_ROLE, API_ROLE, PROJECTOR_ROLE, as_role
from application.audit_log import keys as audit_keys
from domain.recorded import event_classes
from projections import base

LOCK = "SELECT pg_advisory_lock(hashtextextended('dynamic_tables.migrate', 0))"
TOPIC = """
INSERT INTO event_store.topics (topic, class_version) VALUES (%s, %s) ON CONFLICT DO NOTHING
"""
RANDOM_VALUE = """
INSERT INTO access.secrets (name, value) VALUES (%s, %s) ON CONFLICT DO NOTHING
"""
VERSION = "SELECT current_setting('server_version_num')::integer"
OLDEST = 150_000


class TooOld(Exception):
    """The server is older than PostgreSQL 15."""


async def migrate(admin_url: str, database_url: str, audit_key: Path | None = None) -> None:
    """Bring the database to the present schema; safe to run again, and by many at once.

    `admin_url` names a user who may create roles and schemas; the user of `database_url` becomes a
    member of the roles that the processes run as. `audit_key`: the file with the key that signs
    the audit log; None = a key in the database.

    Raises:
        TooOld, psycopg.Error; OSError, NoteError: there is no such key in the file.
    """
    async with await AsyncConnection.connect(
        admin_url, autocommit=True, connect_timeout=5
    ) as connection:
        await _check_version(connection)
        await connection.execute(LOCK)
        await _roles(connection, conninfo_to_dict(database_url).get("user"))
        await _schemas(connection)
        await audit_keys.ensure(connection, audit_key)
        await _read_models(as_role(database_url, PROJECTOR_ROLE))
        await adopt(connection, as_role(database_url, API_ROLE))


async def _check_version(connection: AsyncConnection) -> None:
    row = await (await connection.execute(VERSION)).fetchone()
    if row and row[0] < OLDEST:
        raise TooOld(f"PostgreSQL 15 or newer is needed, this is {row[0] // 10_000}.")


async def _roles(connection: AsyncConnection, login: object) -> None:
    for role in (API_ROLE, PROJECTOR_ROLE, ADMIN_ROLE):
        name = sql.Identifier(role)
        known = await connection.execute("SELECT FROM pg_roles WHERE rolname = %s", (role,))
        if not known.rowcount:
            await _once(connection, sql.SQL("CREATE ROLE {} NOLOGIN").format(name))
        await _once(connection, sql.SQL("GRANT {} TO CURRENT_USER").format(name))
        if login and role != ADMIN_ROLE:
            member = sql.Identifier(str(login))
            await _once(connection, sql.SQL("GRANT {} TO {}").format(name, member))
    await connection.execute(
        sql.SQL("GRANT CREATE ON DATABASE {} TO {}").format(
            sql.Identifier(connection.info.dbname), sql.Identifier(PROJECTOR_ROLE)
        )
    )


async def _once(connection: AsyncConnection, statement: sql.Composed) -> None:
    """Roles belong to the whole server: another database's migration may do the same right now."""
    with suppress(psycopg.errors.DuplicateObject, psycopg.errors.UniqueViolation):
        await connection.execute(statement)


async def _schemas(connection: AsyncConnection) -> None:
    async with connection.transaction():
        await connection.execute(_script("application.event_store", "schema.sql"))
        await connection.execute(_script("api", "access.sql"))
        await connection.execute(_script("application.consumers", "schema.sql"))
        await connection.execute(_script("application.webhooks", "schema.sql"))
        await connection.execute(_script("application.audit_log", "schema.sql"))
        await connection.execute(_script("application.audit_log", "exports.sql"))
        for topic, event_class in event_classes().items():
            await connection.execute(TOPIC, (topic, event_class.class_version))
        for name in ("cursor", "session"):
            await connection.execute(RANDOM_VALUE, (name, os.urandom(32)))


async def _read_models(conninfo: str) -> None:
    async with await base.connect(conninfo, "public") as connection:
        await connection.execute(_script("projections", "base.sql"), prepare=False)
        for projection in PROJECTIONS:
            schema = base.live_schema(projection)
            await base.create(connection, projection, schema, indexed=True)


def _script(package: str, name: str) -> bytes:
    return files(package).joinpath(name).read_bytes()
