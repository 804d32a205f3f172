"""Every environment variable, typed. The environment is read nowhere else."""

from contextlib import suppress
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

import psycopg
from psycopg.conninfo import conninfo_to_dict
from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationInfo
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

SECRET_BYTES = 32  # as long as the digest of HS256: RFC 7518, section 3.2


def _postgres_url(value: str) -> str:
    try:
        conninfo_to_dict(value)
    except psycopg.Error:  # its message repeats the URL, and with it the password
        raise ValueError("this is not the URL of a PostgreSQL database") from None
    return value


def _key_set(value: str) -> str:
    if "://" not in value:
        return value
    url = urlsplit(value)
    if url.scheme not in ("http", "https") or not url.hostname or "@" in url.netloc:
        raise ValueError("give a path, or an http or https URL without a password")
    return value


def _nats_urls(value: str) -> str:
    if not all(map(_is_nats_url, value.split(","))):
        raise ValueError("give a nats or tls URL, or several with commas between")
    return value


def _is_nats_url(value: str) -> bool:
    url = urlsplit(value)
    with suppress(ValueError):  # of the port; were a path let through, it might be a password
        alone = url.geturl() == f"{url.scheme}://{url.netloc}" and url.port != 0
        return alone and url.scheme in ("nats", "tls") and bool(url.hostname)
    return False


def _shared_secret(value: SecretStr) -> SecretStr:
    import jwt  # slow to load, and nothing else here needs it

    secret = value.get_secret_value().encode()
    if len(secret) < SECRET_BYTES:
        raise ValueError(f"must have at least {SECRET_BYTES} bytes")
    try:
        jwt.get_algorithm_by_name("HS256").prepare_key(secret)
    except jwt.InvalidKeyError:
        raise ValueError("is a public key or a JWK: these go into a key set") from None
    return value


def _of_tokens(value: str | None, info: ValidationInfo) -> str | None:
    if not {"jwt_jwks", "jwt_secret"} <= info.data.keys():  # one error is enough
        return value
    has_keys = bool(info.data["jwt_jwks"] or info.data["jwt_secret"])
    if has_keys and not value:
        raise ValueError("is required where tokens are accepted")
    if value and not has_keys:
        raise ValueError("needs DYNAMIC_TABLES_JWT_JWKS or DYNAMIC_TABLES_JWT_SECRET")
    return value


def _key_of(algorithm: str) -> str:
    return "jwt_secret" if algorithm.startswith("HS") else "jwt_jwks"


def _with_keys(listed: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
    """What is listed, or the default; each algorithm has its key, and each key an algorithm."""
    if not {"jwt_jwks", "jwt_secret"} <= info.data.keys():
        return listed
    keys = {name for name in ("jwt_jwks", "jwt_secret") if info.data[name]}
    if not listed:
        return tuple(each for each in ("RS256", "ES256", "EdDSA", "HS256") if _key_of(each) in keys)
    for algorithm in listed:
        if _key_of(algorithm) not in keys:
            raise ValueError(f"{algorithm} needs DYNAMIC_TABLES_{_key_of(algorithm).upper()}")
    for unused in keys - {_key_of(algorithm) for algorithm in listed}:
        raise ValueError(f"must list an algorithm for DYNAMIC_TABLES_{unused.upper()}")
    _long_enough(info.data["jwt_secret"], listed)
    return listed


def _long_enough(secret: SecretStr | None, listed: tuple[str, ...]) -> None:
    for algorithm in listed:
        needed = int(algorithm[2:]) // 8 if algorithm.startswith("HS") else 0
        if secret and len(secret.get_secret_value().encode()) < needed:
            raise ValueError(f"{algorithm} needs a secret of at least {needed} bytes")


PostgresUrl = Annotated[str, AfterValidator(_postgres_url)]
NatsUrls = Annotated[str, AfterValidator(_nats_urls)]
KeySetLocation = Annotated[str, AfterValidator(_key_set)]
SharedSecret = Annotated[SecretStr, AfterValidator(_shared_secret)]
OfTokens = Annotated[str | None, AfterValidator(_of_tokens)]
ClaimName = Annotated[str, Field(min_length=1)]
Algorithm = Literal[
    "RS256", "RS384", "RS512", "PS256", "ES256", "ES384", "ES512", "EdDSA",
    "HS256", "HS384", "HS512",
]  # fmt: skip
Algorithms = Annotated[
    tuple[Algorithm, ...],
    NoDecode,
    BeforeValidator(
        lambda value: (
            [each.strip() for each in value.split(",")] if isinstance(value, str) else value
        )
    ),
    AfterValidator(_with_keys),
]
LogLevel = Annotated[
    Literal["critical", "error", "warning", "info", "debug"],
    BeforeValidator(lambda value: value.lower() if isinstance(value, str) else value),
]


class Settings(BaseSettings):
    """Settings, each named `DYNAMIC_TABLES_…` in the environment; an empty one is not set."""

    model_config = SettingsConfigDict(
        env_prefix="DYNAMIC_TABLES_", env_ignore_empty=True, hide_input_in_errors=True
    )

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
    nats_url: NatsUrls = Field(
        "nats://127.0.0.1:4222",
        description="Where `publish nats` finds NATS; of a cluster, several with commas between.",
    )
    log_level: LogLevel = Field("info", description="critical, error, warning, info or debug.")

    requests_per_second: float = Field(
        0, ge=0, description="Requests per second of one key or user in one process; 0 = no limit."
    )
    requests_at_once: int = Field(
        100, ge=1, description="How many of them may come at once, when there is a limit."
    )
    failed_logins_per_minute: float = Field(
        60,
        ge=0,
        description="Credentials per minute that one address may get wrong; 0 = no limit.",
    )
    trusted_proxies: str = Field(
        "",
        description="Addresses of proxies whose X-Forwarded-For and -Proto are believed,"
        " comma-separated; `*` = all.",
    )
    webhook_private_addresses: bool = Field(
        False,
        description="Whether webhooks may go to private addresses, such as those of this machine.",
    )
    audit_key_file: Path | None = Field(
        None,
        description="The file with the key that signs the audit log; when absent, it is in the"
        " database.",
    )
    session_hours: float = Field(
        12, gt=0, le=24 * 30, description="Hours until a browser has to sign in again."
    )

    # What the others are checked against comes first.
    jwt_jwks: KeySetLocation | None = Field(
        None,
        description="Accept tokens signed by a key of this JWKS: an https URL, or a file's path.",
    )
    jwt_secret: SharedSecret | None = Field(
        None, description="Accept tokens signed with this shared secret of at least 32 bytes."
    )
    jwt_issuer: OfTokens = Field(None, description="Who issues the tokens: their `iss`.")
    jwt_audience: OfTokens = Field(None, description="What this service is called in their `aud`.")
    jwt_algorithms: Algorithms = Field(
        (),
        description="Accepted signatures, comma-separated; when absent, RS256, ES256 and EdDSA with"
        " a JWKS, HS256 with a secret.",
    )
    jwt_leeway: int = Field(
        30, ge=0, le=300, description="Seconds by which the provider's clock may differ."
    )
    jwt_company_claim: ClaimName = Field(
        "company_id", description="The claim that names the company; dots lead into nested claims."
    )
    jwt_company_name_claim: ClaimName = Field(
        "company_name", description="The claim with the company's name for people."
    )
    jwt_user_claim: ClaimName = Field("sub", description="The claim that names the user.")
    jwt_name_claim: ClaimName = Field("name", description="The claim with the user's name.")
    jwt_scope_claim: ClaimName = Field(
        "scope", description="The claim with scopes or roles: a list, or text with spaces."
    )
    jwt_register_companies: bool = Field(
        False, description="Whether a company that is not known yet may come in by a token."
    )
