"""Whatever the OpenAPI document promises holds for hundreds of requests made up from it."""

import asyncio
import os
import sys
from pathlib import Path

import pytest

from tests.api.conftest import Service
from tests.api.document import OPERATIONS, PUBLIC
from tests.api.tenants import key_id

pytestmark = pytest.mark.anyio

CONFIG = Path(__file__).with_name("schemathesis.toml")
SCHEMATHESIS = Path(sys.executable).with_name("schemathesis")


async def test_the_service_keeps_what_its_document_promises(
    service: Service, port: int, tmp_path: Path
) -> None:
    command = await asyncio.create_subprocess_exec(
        *(SCHEMATHESIS, "--config-file", CONFIG, "run", f"http://127.0.0.1:{port}/openapi.json"),
        cwd=tmp_path,
        env=os.environ
        | {
            "PYTHONPATH": str(CONFIG.parents[2]),
            "ADMIN_KEY": service.tokens[service.ours, "admin"],
            "PLATFORM_KEY": service.tokens[None, "platform"],
            "SPARED": " ".join([str(service.ours), *map(key_id, service.tokens.values())]),
        },
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        output, _ = await command.communicate()
    finally:
        if command.returncode is None:
            command.kill()
    assert command.returncode == 0, output.decode()
    every = len(OPERATIONS) + len(PUBLIC)
    assert f"Tested: {every}".encode() in output, output.decode()
