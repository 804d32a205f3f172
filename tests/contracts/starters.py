"""Starting a database, perhaps by many processes at once, and what there is then.

As a program: `python -m` with, for each process, the administrator's URL and its own.
"""

import asyncio
import os
import subprocess
import sys
from itertools import chain
from pathlib import Path
from typing import Any

from api.migrations import migrate
from tests.contracts.stores import connected

ROOT = Path(__file__).parents[2]
# The order of rights says nothing.
CATALOGUE = """
SELECT 'table', c.oid::regclass::text,
       c.relkind::text || c.relrowsecurity || c.relforcerowsecurity,
       (SELECT string_agg(right_::text, ' ' ORDER BY right_::text) FROM unnest(c.relacl) right_),
       c.relowner::regrole::text,
       (SELECT string_agg(a.attname || ' ' || format_type(a.atttypid, a.atttypmod)
                          || ' ' || a.attnotnull || coalesce(a.attacl::text, ''), ','
                          ORDER BY a.attnum)
          FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0)
  FROM pg_class c
 WHERE c.relnamespace::regnamespace::text !~ '^(pg_|information_schema)'
 UNION ALL
SELECT 'index', indexname, NULL, indexdef, NULL, NULL
  FROM pg_indexes WHERE schemaname !~ '^(pg_|information_schema)'
 UNION ALL
SELECT 'constraint', conname, contype::text, pg_get_constraintdef(oid), NULL, NULL
  FROM pg_constraint WHERE connamespace::regnamespace::text !~ '^(pg_|information_schema)'
 UNION ALL
SELECT 'policy', polrelid::regclass || ' ' || polname, polcmd::text,
       pg_get_expr(polqual, polrelid), polroles::regrole[]::text,
       pg_get_expr(polwithcheck, polrelid)
  FROM pg_policy
 UNION ALL
SELECT 'function', p.oid::regprocedure::text, NULL,
       (SELECT string_agg(right_::text, ' ' ORDER BY right_::text) FROM unnest(p.proacl) right_),
       p.proowner::regrole::text,
       md5(pg_get_functiondef(p.oid))
  FROM pg_proc p WHERE p.pronamespace::regnamespace::text !~ '^(pg_|information_schema)'
 UNION ALL
SELECT 'trigger', tgname, tgenabled::text, pg_get_triggerdef(oid), NULL, NULL
  FROM pg_trigger WHERE NOT tgisinternal
 UNION ALL
SELECT 'schema', nspname, NULL,
       (SELECT string_agg(right_::text, ' ' ORDER BY right_::text) FROM unnest(nspacl) right_),
       nspowner::regrole::text, NULL
  FROM pg_namespace WHERE nspname !~ '^pg_'
 ORDER BY 1, 2, 3
"""


def catalogue(url: str) -> list[Any]:
    """Everything that a migration makes."""
    with connected(url) as connection:
        return connection.execute(CATALOGUE).fetchall()


def start_at_once(pairs: list[tuple[str, str]]) -> str:
    """Start a process for each of these at the same moment; what they complained of."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.contracts.starters", *chain(*pairs)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return done.stderr if done.returncode else ""


def start_all(pairs: list[tuple[str, str]]) -> int:
    """Migrate each of these in a process of its own, all let go together; how many failed."""
    waiting, go = os.pipe()
    children = [_child(pair, waiting, go) for pair in pairs]
    os.close(go)  # every child reads the end of the pipe now
    return sum(os.waitpid(child, 0)[1] != 0 for child in children)


def _child(pair: tuple[str, str], waiting: int, go: int) -> int:
    if child := os.fork():
        return child
    os.close(go)
    os.read(waiting, 1)
    try:
        asyncio.run(migrate(*pair))
    except Exception as error:
        print(repr(error), file=sys.stderr, flush=True)  # noqa: T201  # for the failing test
        os._exit(1)
    os._exit(0)


if __name__ == "__main__":
    sys.exit(start_all(list(zip(sys.argv[1::2], sys.argv[2::2], strict=True))))
