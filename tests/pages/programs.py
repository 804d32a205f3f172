"""Other programs, for pictures: they take webhooks or refuse them, and read as consumers."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx

from tests.journeys.processes import until

RENAMED = "dynamic-tables.table-def.renamed.v1"


class _Receiver(BaseHTTPRequestHandler):
    """It takes what is sent to it, but at `/crm` nothing."""

    def do_POST(self) -> None:  # as its base class calls it
        self.rfile.read(int(self.headers["content-length"]))
        answer = b"the database is away\n" if self.path == "/crm" else b""
        self.send_response(503 if answer else 204)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None: ...


@contextmanager
def receiving() -> Iterator[str]:
    """Where webhooks can be sent to, on this machine."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Receiver)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def connected(client: httpx.Client, address: str, table: str) -> Mapping[str, str]:
    """Webhooks and consumers that were used; the ids of the former by how they do."""
    hooks = {
        "taken": {"url": f"{address}/warehouse", "description": "The warehouse", "start": "0"},
        "refused": {"url": f"{address}/crm", "types": [RENAMED], "start": "0"},
        "paused": {"url": f"{address}/search", "tableId": table, "paused": True},
    }
    ids = {name: posted(client, "/api/webhooks", hook)["id"] for name, hook in hooks.items()}
    for name in ("taken", "refused"):
        until(lambda at=f"/api/webhooks/{ids[name]}/deliveries": items(client, at), 30, name)
    for name, attempts in (("warehouse-copy", 1), ("search-index", 10), ("mailer", 10)):
        terms = {"partitions": 2, "maxAttempts": attempts, "start": "0"}
        assert client.put(f"/api/consumers/{name}", json=terms).is_success
    for name, error in (("warehouse-copy", "no such article"), ("search-index", "timed out")):
        for _ in range(2):
            refuse(client, f"/api/consumers/{name}", error)
    posted(client, "/api/consumers/search-index/fetch", {"limit": 5})
    return ids


def refuse(client: httpx.Client, consumer: str, error: str) -> None:
    """Read and deal with some events, then refuse one."""
    given = posted(client, f"{consumer}/fetch", {"limit": 3})
    done = {"lease": given["lease"], "position": given["position"]}
    assert client.post(f"{consumer}/ack", json=done).is_success
    given = posted(client, f"{consumer}/fetch", {"limit": 1})
    wrong = {"lease": given["lease"], "position": given["position"], "error": error}
    posted(client, f"{consumer}/nack", wrong)


def posted(client: httpx.Client, path: str, body: Mapping[str, Any]) -> Any:
    answer = client.post(path, json=body)
    assert answer.is_success, answer.text
    return answer.json()


def items(client: httpx.Client, path: str) -> Any:
    return client.get(path).json()["items"]
