"""One API process of `serve`: the application behind a web server, on a socket that all share."""

import contextlib
import logging
import resource
import socket
import time

import psycopg
import uvicorn

from api.app import create_app
from api.processes import GRACE, RESTART_DELAY
from api.protocol import BoundedProtocol
from api.roles import API_ROLE, as_role
from api.settings import Settings

# Seconds that an idle connection is kept: proxies and clients give up theirs after 60 or sooner, so
# that none sends a request on one that we close in the same moment.
KEEP_ALIVE = 75

logger = logging.getLogger(__name__)


def serve_requests(settings: Settings, database_url: str, fd: int) -> None:
    """Answer requests on an inherited socket until SIGTERM."""
    _allow_connections()
    _wait_for(as_role(database_url, API_ROLE))
    config = uvicorn.Config(
        create_app(settings, database_url),
        loop="uvloop",
        http=BoundedProtocol,
        ws="none",
        log_config=None,
        log_level=None,
        access_log=False,
        server_header=False,
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=settings.trusted_proxies,
        timeout_keep_alive=KEEP_ALIVE,
        timeout_graceful_shutdown=GRACE,
        backlog=2048,
    )
    Server(config).run(sockets=[socket.socket(fileno=fd)])


def _allow_connections() -> None:
    """As many as the system lets us have; what it gives at first is for programs that need few."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


class Server(uvicorn.Server):
    """A server that ends the streams when it is told to stop, rather than wait for them."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Let those go who follow for ever, then finish what is under way."""
        self.config.app.state.services.hub.stop()  # type: ignore[union-attr]  # our own application
        await super().shutdown(sockets)


def _wait_for(conninfo: str) -> None:
    """Begin when the database is there; a worker may start while it is away."""
    while True:
        try:
            psycopg.connect(conninfo, connect_timeout=2).close()
        except psycopg.OperationalError as error:
            logger.warning("waits for the database: %s", error)
            time.sleep(RESTART_DELAY)
        else:
            return
