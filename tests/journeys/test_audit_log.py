"""Whoever keeps the heads of the log can check all later ones, although its keeper is killed."""

import base64
import os
import signal
from pathlib import Path

import httpx

from application.audit_log import merkle
from application.audit_log.checkpoint import Checkpoint
from application.audit_log.note import VerifierKey
from tests.journeys.processes import Serve, run, until

AUDIT = "/api/audit"


def head(client: httpx.Client) -> Checkpoint | None:
    """The last signed head, if there is one."""
    known = [VerifierKey.parse(e["key"]) for e in client.get(f"{AUDIT}/keys").json()["items"]]
    answer = client.get(f"{AUDIT}/checkpoint")
    return Checkpoint.open(answer.text, known) if answer.status_code == 200 else None


def size(client: httpx.Client) -> int:
    """How many events are signed."""
    found = head(client)
    return found.size if found else 0


def test_each_head_extends_the_ones_before_it(data: Path) -> None:
    with Serve(data, "--demo") as service, service.client() as client:
        until(lambda: size(client), 5, "the first head")
        kept = []
        for number in range(3):
            found = head(client)
            assert found
            kept.append(found)
            client.post("/api/tables", json={"name": f"Orders {number}"}).raise_for_status()
            if number == 1:
                os.kill(service.children(" project ")[0], signal.SIGKILL)
            until(lambda: size(client) > kept[-1].size, 10, "a head with it")
        last = head(client)
        assert last
        for each in kept:
            query = {"from": each.size, "to": last.size}
            proof = client.get(f"{AUDIT}/proofs/consistency", params=query).json()["hashes"]
            hashes = [base64.b64decode(hash) for hash in proof]
            assert merkle.verify_consistency(each.size, last.size, each.root, last.root, hashes)
        company = last.origin.rpartition("/")[2]
        note = client.get(f"{AUDIT}/checkpoint").text
        assert run(data, "checkpoint", "--company", company).stdout == note
