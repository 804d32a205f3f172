"""Settings that do not go together are one clear error at the start, which tells no secret."""

from typing import Any

import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from api.__main__ import cli
from api.settings import Settings
from tests.api.test_tokens import SIGNERS, jwk

SECRET = "a shared secret of 32 bytes, yes"
NAMES = {"JWT_ISSUER": "https://login.example.com/", "JWT_AUDIENCE": "dynamic-tables"}


def start(**given: str) -> str:
    """What the command line says where these variables are set."""
    environment = {f"DYNAMIC_TABLES_{name}": value for name, value in given.items()}
    outcome = CliRunner().invoke(cli, ["openapi"], env=environment)
    assert outcome.exit_code == 1
    return outcome.output


def algorithms(monkeypatch: pytest.MonkeyPatch, **given: str) -> tuple[str, ...]:
    for name, value in (NAMES | given).items():
        monkeypatch.setenv(f"DYNAMIC_TABLES_{name}", value)
    return Settings().jwt_algorithms


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({"JWT_SECRET": "short"}, "JWT_SECRET: must have at least 32 bytes"),
        ({"JWT_JWKS": "ftp://example.com/"}, "JWT_JWKS: give a path, or an http or https URL"),
        ({"JWT_JWKS": "https://"}, "JWT_JWKS: give a path, or an http or https URL"),
        ({"JWT_JWKS": "https://a:b@example.com/"}, "JWT_JWKS: give a path, or an http or https"),
        ({"JWT_JWKS": "x", "JWT_ISSUER": ""}, "JWT_ISSUER: is required where tokens are accepted"),
        ({"JWT_SECRET": SECRET, "JWT_AUDIENCE": ""}, "JWT_AUDIENCE: is required where tokens"),
        ({"JWT_AUDIENCE": ""}, "JWT_ISSUER: needs DYNAMIC_TABLES_JWT_JWKS or DYNAMIC_TABLES_JWT_S"),
        ({"JWT_JWKS": "x", "JWT_ALGORITHMS": "none"}, "JWT_ALGORITHMS: Input should be 'RS256',"),
        ({"JWT_JWKS": "x", "JWT_ALGORITHMS": "RS256,"}, "JWT_ALGORITHMS: Input should be 'RS256',"),
        ({"JWT_JWKS": "x", "JWT_ALGORITHMS": "rs256"}, "JWT_ALGORITHMS: Input should be 'RS256',"),
        ({"JWT_JWKS": "x", "JWT_ALGORITHMS": "RS256,HS256"},
         "JWT_ALGORITHMS: HS256 needs DYNAMIC_TABLES_JWT_SECRET"),
        ({"JWT_SECRET": SECRET, "JWT_ALGORITHMS": "ES256"},
         "JWT_ALGORITHMS: ES256 needs DYNAMIC_TABLES_JWT_JWKS"),
        ({"JWT_SECRET": SECRET, "JWT_JWKS": "x", "JWT_ALGORITHMS": "ES256"},
         "JWT_ALGORITHMS: must list an algorithm for DYNAMIC_TABLES_JWT_SECRET"),
        ({"JWT_SECRET": SECRET, "JWT_ALGORITHMS": "HS256,HS384"},
         "JWT_ALGORITHMS: HS384 needs a secret of at least 48 bytes"),
        ({"JWT_ISSUER": "", "JWT_AUDIENCE": "", "JWT_ALGORITHMS": "RS256"},
         "JWT_ALGORITHMS: RS256 needs DYNAMIC_TABLES_JWT_JWKS"),
        ({"JWT_SECRET": SECRET, "JWT_LEEWAY": "301"}, "JWT_LEEWAY: Input should be less than or"),
    ],
)  # fmt: skip
def test_a_wrong_combination_is_one_clear_error(given: dict[str, str], complaint: str) -> None:
    said = start(**NAMES | given)
    assert said.startswith(f"Error: DYNAMIC_TABLES_{complaint}")
    assert said.count(": ") == 2
    assert given.get("JWT_SECRET", SECRET) not in said


@pytest.mark.parametrize(
    "url", ["http://example.com", "nats://", "nats://a,b", "nats://ada:pa/ss@a", "nats://ada:p#s@a"]
)
def test_what_is_no_url_of_nats_is_refused_without_repeating_it(url: str) -> None:
    said = start(NATS_URL=url)
    refused = "give a nats or tls URL, or several with commas between"
    assert said == f"Error: DYNAMIC_TABLES_NATS_URL: {refused}\n"


@pytest.mark.parametrize("form", ["pem", "jwk"])
def test_a_public_key_as_the_shared_secret_is_refused(form: str) -> None:
    key: Any = SIGNERS["RS256"].public_key()
    pem = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    secret = pem if form == "pem" else str(jwk("RS256")).replace("'", '"')
    said = start(**NAMES, JWT_SECRET=secret)
    assert (
        said
        == "Error: DYNAMIC_TABLES_JWT_SECRET: is a public key or a JWK: these go into a key set\n"
    )


def test_the_keys_say_which_algorithms_are_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    public = ("RS256", "ES256", "EdDSA")
    assert algorithms(monkeypatch, JWT_JWKS="https://example.com/jwks") == public
    assert algorithms(monkeypatch, JWT_SECRET=SECRET) == (*public, "HS256")
    assert algorithms(monkeypatch, JWT_JWKS="") == ("HS256",)
    assert algorithms(monkeypatch, JWT_SECRET="", JWT_ISSUER="", JWT_AUDIENCE="") == ()


def test_algorithms_are_listed_with_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    listed = algorithms(monkeypatch, JWT_JWKS="jwks.json", JWT_ALGORITHMS="ES512, PS256")
    assert listed == ("ES512", "PS256")


def test_an_error_repeats_no_secret() -> None:
    with pytest.raises(ValueError, match="at least 32 bytes") as refused:
        Settings(jwt_secret="hunter2")
    assert "hunter2" not in str(refused.value)
    assert SECRET not in repr(Settings(jwt_secret=SECRET, jwt_issuer="i", jwt_audience="a"))
