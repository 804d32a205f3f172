"""NocoDB, on PostgreSQL."""

import json
from collections.abc import Mapping, Sequence

from benchmarks.peers.peer import EMAIL, PASSWORD, Access, Peer, Place, ask
from benchmarks.peers.work import CHANGED, NEW, PAGE, Shape

# Its package is a library. The native addon of sqlite3 is not built: it is loaded, but not used.
SERVE = """
require.cache[require.resolve("sqlite3")] = { exports: { verbose() { return this; } } };
const app = require("express")();
const { Noco } = require("nocodb");
const server = app.listen(Number(process.env.PORT), "127.0.0.1", async () => {
  app.use(await Noco.init({}, server, app));
});
"""
COLUMNS = {
    "name": "SingleLineText", "slug": "SingleLineText", "description": "LongText",
    "icon": "SingleLineText", "color": "SingleLineText", "settings": "JSON",
}  # fmt: skip


class NocoDB(Peer):
    """An API token; version 2 of its API, and of 3 the list, which counts nothing."""

    name, package, ready = "NocoDB", "nocodb@0.301.3", "/api/v1/health"
    overrides = (("xlsx", "0.18.5"),)  # otherwise it comes from outside npm
    options = ("--ignore-scripts",)  # one of them wants another package manager

    def set_up(self, place: Place) -> Sequence[str]:
        """Nothing: it makes its own tables when it starts."""
        return ()

    def command(self, place: Place) -> Sequence[str]:
        """Serve."""
        return ["node", "-e", SERVE]

    def environment(self, place: Place) -> Mapping[str, str]:
        """The database, the admin, and nothing that calls out."""
        connection = {
            "host": place.database["host"], "port": int(place.database["port"]),
            "user": place.database["user"], "database": place.database["dbname"],
        }  # fmt: skip
        return {
            "NODE_PATH": str(place.modules), "NODE_ENV": "production", "PORT": str(place.port),
            "NC_DB_JSON": json.dumps({"client": "pg", "connection": connection}),
            "NC_TOOL_DIR": str(place.folder), "NC_AUTH_JWT_SECRET": PASSWORD,
            "NC_ADMIN_EMAIL": EMAIL, "NC_ADMIN_PASSWORD": PASSWORD, "NC_DISABLE_TELE": "true",
        }  # fmt: skip

    def prepare(self, address: str) -> Access:
        """A table with our fields in a base of its own."""
        admin = {"email": EMAIL, "password": PASSWORD}
        signed_in = {"xc-auth": ask(f"{address}/api/v1/auth/user/signin", admin)["token"]}
        base = ask(f"{address}/api/v2/meta/bases/", {"title": "bench"}, signed_in)["id"]
        columns = [{"column_name": n, "title": n, "uidt": t} for n, t in COLUMNS.items()]
        table = {"table_name": "table_defs", "title": "table_defs", "columns": columns}
        made = ask(f"{address}/api/v2/meta/bases/{base}/tables", table, signed_in)["id"]
        tokens = f"{address}/api/v1/db/meta/projects/{base}/api-tokens"
        token = ask(tokens, {"description": "bench"}, signed_in)["token"]
        records = f"/api/v2/tables/{made}/records"
        return Access(f"xc-token: {token}", {
            "create": Shape("POST", records, NEW),
            "get": Shape("GET", f"{records}/<id>"),
            "list": Shape("GET", f"/api/v3/data/{base}/{made}/records?pageSize={PAGE}"),
            "patch": Shape("PATCH", records, f'{{"Id":<id>,{CHANGED}}}'),
            "delete": Shape("DELETE", records, '{"Id":<id>}'),
        })  # fmt: skip
