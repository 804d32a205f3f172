"""The tables are called as in the original schema, so that people with SQL find their way."""

import pytest

from api.read_models import READ_MODELS
from projections.base import Projection, live_schema
from projections.rebuild import rebuild
from tests.projections.world import PROJECTION, SCHEMA, TABLES, World

pytestmark = pytest.mark.anyio

COLUMNS = {
    "id": ("uuid", False, None),
    "company_id": ("uuid", False, None),
    "workspace_id": ("uuid", True, None),
    "name": ("character varying(255)", False, None),
    "slug": ("character varying(255)", False, None),
    "description": ("text", True, None),
    "icon": ("character varying(50)", True, None),
    "color": ("character varying(7)", True, None),
    "settings": ("jsonb", False, "'{}'::jsonb"),
    "deleted_at": ("timestamp with time zone", True, None),
    "created_by": ("uuid", False, None),
    "created_at": ("timestamp with time zone", False, None),
    "updated_at": ("timestamp with time zone", False, None),
    "version": ("integer", False, None),
    "position": ("bigint", False, None),
}
OURS = {"updated_by", "name_folded", "search_folded", "shown"}  # beyond the original schema
INDEXES = {
    "table_defs_pkey",
    "unique_table_slug_per_company",
    "idx_table_defs_company_id",
    "idx_table_defs_workspace_id",
    "idx_table_defs_deleted_at",
}
KEYSET_INDEXES = {f"idx_table_defs_by_{key}" for key in ("name", "created_at", "updated_at")}
COLUMN_QUERY = """
SELECT a.attname, format_type(a.atttypid, a.atttypmod), NOT a.attnotnull,
       pg_get_expr(d.adbin, d.adrelid)
  FROM pg_attribute a LEFT JOIN pg_attrdef d ON (d.adrelid, d.adnum) = (a.attrelid, a.attnum)
 WHERE a.attrelid = %s::regclass AND a.attnum > 0
"""
INDEX_QUERY = "SELECT indexname FROM pg_indexes WHERE schemaname = %s AND tablename = 'table_defs'"
CONSTRAINT_QUERY = """
SELECT pg_get_constraintdef(oid) FROM pg_constraint
 WHERE conrelid = %s::regclass AND conname = 'unique_table_slug_per_company'
"""
GRANT_QUERY = """
SELECT table_name, privilege_type FROM information_schema.role_table_grants
 WHERE table_schema = %s AND grantee = 'dynamic_tables_api'
"""


@pytest.fixture(params=["migrated", "rebuilt"])
async def made(request: pytest.FixtureRequest, any_world: World) -> World:
    """Both ways in which the tables come to be."""
    if request.param == "rebuilt":
        await rebuild(any_world.conninfo, PROJECTION)
    return any_world


async def test_columns_indexes_and_constraint_have_the_original_names(made: World) -> None:
    rows = await made.ask(COLUMN_QUERY, (f"{SCHEMA}.table_defs",))
    found = {name: tuple(rest) for name, *rest in rows}
    assert {name: found[name] for name in COLUMNS} == COLUMNS
    assert found.keys() - COLUMNS.keys() == OURS
    indexes = {name for (name,) in await made.ask(INDEX_QUERY, (SCHEMA,))}
    assert indexes == INDEXES | KEYSET_INDEXES
    constraint = await made.ask(CONSTRAINT_QUERY, (f"{SCHEMA}.table_defs",))
    assert constraint == [("UNIQUE (company_id, slug) DEFERRABLE INITIALLY DEFERRED",)]


async def test_the_api_may_read_the_tables_and_nothing_more(made: World) -> None:
    found = set(await made.ask(GRANT_QUERY, (SCHEMA,)))
    tables = ("table_defs", "former_slugs", "purged_table_defs")
    assert found == {(table, "SELECT") for table in tables}


ISOLATION_QUERY = """
SELECT c.relname, c.relrowsecurity, c.relforcerowsecurity,
       (SELECT json_agg(json_build_array(polname, polcmd, polroles::regrole[]::text,
                                         pg_get_expr(polqual, polrelid)) ORDER BY polname)::text
          FROM pg_policy WHERE polrelid = c.oid)
  FROM pg_class c
 WHERE c.relnamespace::regnamespace::text = %s AND c.relkind = 'r'
 ORDER BY 1
"""


@pytest.mark.parametrize("model", READ_MODELS, ids=live_schema)
async def test_rebuilt_tables_keep_companies_apart_as_migrated_ones_do(
    any_world: World, model: Projection
) -> None:
    migrated = await any_world.ask(ISOLATION_QUERY, (live_schema(model),))
    await rebuild(any_world.conninfo, model)
    assert await any_world.ask(ISOLATION_QUERY, (live_schema(model),)) == migrated
    assert {row[0] for row in migrated} == set(TABLES[live_schema(model)])
    assert all(isolated and forced for _, isolated, forced, _ in migrated)
