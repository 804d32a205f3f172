"""Directus, on PostgreSQL."""

from collections.abc import Mapping, Sequence

from benchmarks.peers.peer import EMAIL, PASSWORD, Access, Peer, Place, ask
from benchmarks.peers.work import CHANGED, NEW, PAGE, Shape

TOKEN = "a-static-token-for-benchmarks"
COLLECTION = {
    "collection": "table_defs", "schema": {}, "meta": {},
    "fields": [
        {"field": "id", "type": "uuid", "schema": {"is_primary_key": True},
         "meta": {"special": ["uuid"]}},
        *({"field": name, "type": "string", "schema": {}}
          for name in ("name", "slug", "icon", "color")),
        {"field": "description", "type": "text", "schema": {}},
        {"field": "settings", "type": "json", "schema": {}, "meta": {"special": ["cast-json"]}},
    ],
}  # fmt: skip


class Directus(Peer):
    """Its admin's static token; the limiter that sheds load is off."""

    name, package, ready = "Directus", "directus@12.4.0", "/server/ping"

    def set_up(self, place: Place) -> Sequence[str]:
        """Its own tables."""
        return self._run(place, "bootstrap")

    def command(self, place: Place) -> Sequence[str]:
        """Serve."""
        return self._run(place, "start")

    def _run(self, place: Place, what: str) -> Sequence[str]:
        return ["node", str(place.modules / "directus/cli.js"), what]

    def environment(self, place: Place) -> Mapping[str, str]:
        """The database, the admin, and nothing that calls out."""
        return {
            "DB_CLIENT": "pg", "DB_HOST": place.database["host"],
            "DB_PORT": place.database["port"], "DB_USER": place.database["user"],
            "DB_DATABASE": place.database["dbname"], "HOST": "127.0.0.1", "PORT": str(place.port),
            "PUBLIC_URL": place.address, "SECRET": TOKEN * 2, "ADMIN_EMAIL": EMAIL,
            "ADMIN_PASSWORD": PASSWORD, "ADMIN_TOKEN": TOKEN, "LOG_LEVEL": "warn",
            "TELEMETRY": "false", "PRESSURE_LIMITER_ENABLED": "false",
        }  # fmt: skip

    def prepare(self, address: str) -> Access:
        """A collection with our fields."""
        ask(f"{address}/collections", COLLECTION, {"Authorization": f"Bearer {TOKEN}"})
        items = "/items/table_defs"
        return Access(f"Authorization: Bearer {TOKEN}", {
            "create": Shape("POST", items, NEW),
            "get": Shape("GET", f"{items}/<id>"),
            "list": Shape("GET", f"{items}?limit={PAGE}"),
            "patch": Shape("PATCH", f"{items}/<id>", f"{{{CHANGED}}}"),
            "delete": Shape("DELETE", f"{items}/<id>"),
        })  # fmt: skip
