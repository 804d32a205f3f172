"""Every environment variable, typed. The environment is read nowhere else."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Settings, each named `DYNAMIC_TABLES_…` in the environment."""

    model_config = SettingsConfigDict(env_prefix="DYNAMIC_TABLES_")

    database_url: str | None = Field(
        None, description="PostgreSQL 15 or newer; when absent, an embedded PostgreSQL 18 is used."
    )
    admin_database_url: str | None = Field(
        None, description="The same database as a user who may create roles; for `migrate` only."
    )
    data_dir: Path = Field(
        Path(".data"), description="Where the embedded database and the demo's API key are kept."
    )
    host: str = Field("127.0.0.1", description="The address to listen on.")
    port: int = Field(8000, ge=0, le=65535, description="The port to listen on; 0 = any free one.")
    read_connections: int = Field(
        4, ge=1, le=100, description="Database connections of one API process for lists."
    )
    log_level: str = Field("info", description="critical, error, warning, info or debug.")
