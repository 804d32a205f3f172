"""Every environment variable, typed. The environment is read nowhere else."""

from pathlib import Path
from typing import Annotated, Literal

import psycopg
from psycopg.conninfo import conninfo_to_dict
from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_settings import BaseSettings, SettingsConfigDict


def _postgres_url(value: str) -> str:
    try:
        conninfo_to_dict(value)
    except psycopg.Error:  # its message repeats the URL, and with it the password
        raise ValueError("this is not the URL of a PostgreSQL database") from None
    return value


PostgresUrl = Annotated[str, AfterValidator(_postgres_url)]
LogLevel = Annotated[
    Literal["critical", "error", "warning", "info", "debug"],
    BeforeValidator(lambda value: value.lower() if isinstance(value, str) else value),
]


class Settings(BaseSettings):
    """Settings, each named `DYNAMIC_TABLES_…` in the environment; an empty one is not set."""

    model_config = SettingsConfigDict(env_prefix="DYNAMIC_TABLES_", env_ignore_empty=True)

    database_url: PostgresUrl | None = Field(
        None, description="PostgreSQL 15 or newer; when absent, an embedded PostgreSQL 18 is used."
    )
    admin_database_url: PostgresUrl | None = Field(
        None,
        description="The same database as a user who may create roles; for `migrate` and `key`.",
    )
    data_dir: Path = Field(
        Path(".data"), description="Where the embedded database and the demo's API key are kept."
    )
    host: str = Field("127.0.0.1", description="The address to listen on.")
    port: int = Field(8000, ge=0, le=65535, description="The port to listen on; 0 = any free one.")
    read_connections: int = Field(
        4, ge=1, le=100, description="Database connections of one API process for lists."
    )
    log_level: LogLevel = Field("info", description="critical, error, warning, info or debug.")
