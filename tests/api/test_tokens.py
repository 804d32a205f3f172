"""Which tokens are accepted, and what they say. What anybody could have made is not."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any
from uuid import UUID

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from api.jwks import parse
from api.settings import Settings
from api.tokens import (
    LAST_EXPIRY,
    TOKEN_BYTES,
    Claims,
    InvalidToken,
    TokenVerifier,
    company_id,
    token_verifier,
    user_id,
)
from domain.values import line

pytestmark = pytest.mark.anyio

ISSUER = "https://login.example.com/"
AUDIENCE = "dynamic-tables"
SECRET = "a shared secret of more than 64 bytes, which is what HS512 asks for"
COMPANY = UUID("0190c1a2-5b3c-7d4e-8f60-718293a4b5c6")
USER = UUID("5a0b6bcb-3f7e-4a53-9d0c-2f1e6c8d7b9a")
ALL = "RS256,RS384,RS512,PS256,ES256,ES384,ES512,EdDSA,HS256,HS384,HS512"
RSA = rsa.generate_private_key(65537, 2048)
SIGNERS: Mapping[str, Any] = {
    "RS256": RSA,
    "ES256": ec.generate_private_key(ec.SECP256R1()),
    "ES384": ec.generate_private_key(ec.SECP384R1()),
    "ES512": ec.generate_private_key(ec.SECP521R1()),
    "EdDSA": ed25519.Ed25519PrivateKey.generate(),
}


def jwk(algorithm: str, **more: Any) -> dict[str, Any]:
    """The public half of a signer as a provider lists it, under the id of its algorithm."""
    key = SIGNERS[algorithm].public_key()
    public = jwt.get_algorithm_by_name(algorithm).to_jwk(key, as_dict=True)
    return {**public, "kid": algorithm, "use": "sig"} | more


PUBLISHED = [jwk(algorithm) for algorithm in SIGNERS]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)


def payload(**changes: Any) -> dict[str, Any]:
    """What a good token says, with changes; None leaves a claim out."""
    now = int(time.time())
    claims = {
        "iss": ISSUER, "aud": AUDIENCE, "exp": now + 600, "iat": now, "nbf": now,
        "sub": str(USER), "company_id": str(COMPANY), "name": "Ada", "company_name": "Acme",
        "scope": "tables:read tables:write",
    }  # fmt: skip
    return {name: value for name, value in (claims | changes).items() if value is not None}


def signed(algorithm: str = "HS256", headers: Any = None, key: Any = None, **changes: Any) -> str:
    """A token by the provider."""
    signer = key or (SECRET if algorithm.startswith("HS") else SIGNERS.get(algorithm, RSA))
    if not algorithm.startswith("HS"):
        headers = {"kid": algorithm} | (headers or {})
    return jwt.encode(payload(**changes), signer, algorithm, headers)


def encoded(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def forged(header: Any, said: Any, key: bytes) -> str:
    """A token that no library would make, with a signature by HMAC."""
    parts = [
        each if isinstance(each, bytes) else json.dumps(each).encode() for each in (header, said)
    ]
    content = ".".join(map(encoded, parts))
    return f"{content}.{encoded(hmac.digest(key, content.encode(), hashlib.sha256))}"


def configured(**more: Any) -> Settings:
    return Settings(jwt_issuer=ISSUER, jwt_audience=AUDIENCE, **more)


def verifier(**more: Any) -> TokenVerifier:
    return TokenVerifier(configured(jwt_secret=SECRET, **more))


def at_once(verifying: Coroutine[Any, Any, Claims]) -> Claims:
    """What it comes to without waiting for anything, such as a thread."""
    try:
        verifying.send(None)
    except StopIteration as done:
        claims: Claims = done.value
        return claims
    pytest.fail("it waited")


@pytest.fixture
def key_set(tmp_path: Path) -> Callable[..., TokenVerifier]:
    """A verifier with these keys in a file, and perhaps more settings."""

    def make(*keys: Any, **more: Any) -> TokenVerifier:
        file = tmp_path / "jwks.json"
        file.write_text(json.dumps({"keys": keys}))
        return TokenVerifier(configured(jwt_jwks=str(file), **more))

    return make


def shortly(value: object) -> str:
    """A test's id."""
    return repr(value)[:20]


async def refusal(verifier: TokenVerifier, token: str) -> str:
    with pytest.raises(InvalidToken) as refused:
        await verifier.verify(token)
    assert token not in str(refused.value)
    return str(refused.value)


async def test_a_token_says_who_is_there() -> None:
    token = signed(exp=2_000_000_000)
    assert await verifier().verify(token) == Claims(
        COMPANY, "Acme", USER, "Ada", frozenset({"tables:read", "tables:write"}), 2_000_000_030.0
    )


@pytest.mark.parametrize("algorithm", ALL.split(","))
async def test_each_algorithm_that_is_listed_is_accepted(
    key_set: Callable[..., TokenVerifier], algorithm: str
) -> None:
    keys = [jwk(name) for name in SIGNERS]
    keys[0]["kid"] = algorithm if algorithm[:2] in ("RS", "PS") else "RS256"
    accepting = key_set(*keys, jwt_secret=SECRET, jwt_algorithms=ALL)
    assert (await accepting.verify(signed(algorithm))).user_id == USER


async def test_an_algorithm_that_is_not_listed_is_refused(
    key_set: Callable[..., TokenVerifier],
) -> None:
    accepting = key_set(jwk("RS256"), jwk("ES256"), jwt_algorithms="ES256")
    assert (await accepting.verify(signed("ES256"))).user_id == USER
    for algorithm in ("RS256", "PS256", "HS256"):
        reason = await refusal(accepting, signed(algorithm))
        assert reason == "The token's algorithm is not accepted."


@pytest.mark.parametrize("none", ["none", "None", "NONE", "nOnE", "", None, 0, ["HS256"], {}])
async def test_a_token_without_a_signature_is_refused(
    key_set: Callable[..., TokenVerifier], none: Any
) -> None:
    accepting = key_set(jwk("RS256"), jwt_secret=SECRET, jwt_algorithms=ALL)
    token = forged({"alg": none}, payload(), SECRET.encode())
    for each in (token, token.rpartition(".")[0] + "."):
        assert await refusal(accepting, each) == "The token's algorithm is not accepted."


async def test_a_public_key_is_no_shared_secret(key_set: Callable[..., TokenVerifier]) -> None:
    accepting = key_set(jwk("RS256"), jwt_secret=SECRET, jwt_algorithms=ALL)
    for form in (PublicFormat.SubjectPublicKeyInfo, PublicFormat.PKCS1):
        pem = RSA.public_key().public_bytes(Encoding.PEM, form)
        for key in (pem, pem.strip(), json.dumps(jwk("RS256")).encode()):
            token = forged({"alg": "HS256", "kid": "RS256"}, payload(), key)
            assert await refusal(accepting, token) == "The token's signature is wrong."


async def test_a_shared_secret_in_a_key_set_is_never_used(
    key_set: Callable[..., TokenVerifier],
) -> None:
    listed = {"kty": "oct", "k": encoded(b"x" * 64), "kid": "k", "alg": "HS256"}
    accepting = key_set(listed, jwk("RS256"), jwt_secret=SECRET, jwt_algorithms="RS256,HS256")
    token = signed("HS256", {"kid": "k"}, b"x" * 64)
    assert await refusal(accepting, token) == "The token's signature is wrong."
    assert parse({"keys": [listed]}) == ()
    assert parse({"keys": [listed | {"alg": "RS256"}]}) == ()


async def test_keys_for_other_purposes_private_weak_and_broken_ones_are_not_used() -> None:
    weak = rsa.RSAPublicNumbers(65537, (1 << 1023) + 1).public_key()
    numbers = jwt.get_algorithm_by_name("RS256").to_jwk(weak, as_dict=True)
    private = jwt.get_algorithm_by_name("ES256").to_jwk(SIGNERS["ES256"], as_dict=True)
    unusable: list[Any] = [
        numbers, private, jwk("RS256", use="enc"), jwk("RS256", key_ops=["encrypt"]),
        jwk("RS256", key_ops=5), jwk("RS256", n=5), jwk("RS256", e="!"), jwk("RS256", alg=None),
        jwk("RS256", alg="ES256"), jwk("RS256", alg=["RS256"]), jwk("RS256", kty=[]),
        jwk("ES256", x="AA"), jwk("ES256", crv="secp256k1"), jwk("EdDSA", crv="X25519"),
        None, 5, [], {},
    ]  # fmt: skip
    assert parse({"keys": unusable}) == ()
    assert [key.id for key in parse({"keys": [*unusable, jwk("RS256", kid=5)]})] == [None]


@given(
    st.sampled_from(PUBLISHED),
    st.dictionaries(
        st.sampled_from(["kty", "crv", "x", "y", "n", "e", "alg", "use", "key_ops", "kid"]),
        st.sampled_from(["RSA", "EC", "OKP", "P-256", "AQAB"]) | JSON,
    ),
)
def test_a_strange_key_does_no_harm_to_others(good: dict[str, Any], strange: Any) -> None:
    assert parse({"keys": [good | strange, PUBLISHED[0]]})[-1].id == "RS256"


async def test_a_key_is_used_for_its_own_algorithm_alone(
    key_set: Callable[..., TokenVerifier],
) -> None:
    accepting = key_set(jwk("RS256", alg="RS256"), jwt_algorithms="RS256,PS256,ES256,EdDSA")
    assert (await accepting.verify(signed("RS256"))).user_id == USER
    for algorithm in ("PS256", "ES256", "EdDSA"):
        token = signed(algorithm, {"kid": "RS256"})
        assert await refusal(accepting, token) == "The token's key is not known."


async def test_a_key_by_which_a_token_vouches_for_itself_is_ignored(
    key_set: Callable[..., TokenVerifier],
) -> None:
    stranger = rsa.generate_private_key(65537, 2048)
    own = jwt.get_algorithm_by_name("RS256").to_jwk(stranger.public_key(), as_dict=True)
    headers = {"jwk": own, "jku": "http://127.0.0.1:9/", "x5u": "http://127.0.0.1:9/"}
    token = signed("RS256", headers, stranger)
    assert await refusal(key_set(jwk("RS256")), token) == "The token's signature is wrong."
    assert (await key_set(jwk("RS256")).verify(signed("RS256", headers))).user_id == USER


@pytest.mark.parametrize("critical", [["b64"], ["exp"], [], None, "b64"])
async def test_a_header_that_must_be_understood_is_refused(critical: Any) -> None:
    header = {"alg": "HS256", "b64": True, "exp": 1, "crit": critical}
    await refusal(verifier(), forged(header, payload(), SECRET.encode()))


async def test_a_token_without_the_id_of_its_key_is_accepted_if_only_one_fits(
    key_set: Callable[..., TokenVerifier],
) -> None:
    token = jwt.encode(payload(), RSA, "RS256")
    assert (await key_set(jwk("RS256"), jwk("ES256")).verify(token)).user_id == USER
    two = key_set(jwk("RS256"), jwk("RS256", kid="another"))
    assert await refusal(two, token) == "The token's key is not known."


async def test_a_token_of_an_unknown_key_is_refused(key_set: Callable[..., TokenVerifier]) -> None:
    for unknown in ("another", ""):
        token = signed("RS256", {"kid": unknown})
        assert await refusal(key_set(jwk("RS256")), token) == "The token's key is not known."


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"aud": "another"}, "The token is for another audience."),
        ({"aud": ["another", "third"]}, "The token is for another audience."),
        ({"aud": {AUDIENCE: 1}}, "The token is for another audience."),
        ({"iss": "https://elsewhere.example.com/"}, "The token is from another issuer."),
        ({"iss": ISSUER.rstrip("/")}, "The token is from another issuer."),
        ({"exp": time.time() - 40}, "The token has expired."),
        ({"nbf": time.time() + 86_400}, "The token is not valid yet."),
        ({"iat": time.time() + 86_400}, "The token is not valid yet."),
        ({"exp": "soon"}, "This is not a valid JSON Web Token."),
        ({"exp": float("nan")}, "This is not a valid JSON Web Token."),
        ({"exp": float("inf")}, "This is not a valid JSON Web Token."),
    ],
)
async def test_a_token_for_another_audience_issuer_or_time_is_refused(
    changes: dict[str, Any], reason: str
) -> None:
    token = forged({"alg": "HS256"}, payload(**changes), SECRET.encode())
    assert await refusal(verifier(), token) == reason


async def test_clocks_may_differ_a_little() -> None:
    now = time.time()
    token = signed(exp=int(now) - 15, nbf=int(now) + 15, iat=int(now) + 15)
    assert (await verifier().verify(token)).expires_at == int(now) + 15
    assert await refusal(verifier(jwt_leeway=0), token) == "The token is not valid yet."


async def test_one_of_many_audiences_is_enough() -> None:
    assert (await verifier().verify(signed(aud=["another", AUDIENCE]))).user_id == USER


@pytest.mark.parametrize("claim", ["exp", "iss", "aud", "sub", "company_id"])
async def test_a_token_that_lacks_a_claim_is_refused(claim: str) -> None:
    without = signed(**{claim: None})
    assert await refusal(verifier(), without) == f"The token has no `{claim}` claim."
    await refusal(verifier(), forged({"alg": "HS256"}, payload() | {claim: None}, SECRET.encode()))


@pytest.mark.parametrize("claim", ["employee", "company_id"])
@pytest.mark.parametrize(
    "wrong", [5, True, ["x"], {}, "", " ", " x", "x\n", "x\ny", "x" * 256, "\u200b", "\ud800", "\0"]
)
async def test_a_subject_that_nobody_could_tell_apart_is_refused(claim: str, wrong: Any) -> None:
    said = payload(employee="e") | {claim: wrong}
    reason = await refusal(verifier(jwt_user_claim="employee"), signed(**said))
    assert reason == f"The token's `{claim}` claim is not a text of 1 to 255 visible characters."


@pytest.mark.parametrize(
    "text",
    [USER.hex, str(USER).upper(), f"{{{USER}}}", USER.urn],
)
async def test_a_uuid_in_any_form_is_itself(text: str) -> None:
    claims = await verifier().verify(signed(sub=text, company_id=text))
    assert (claims.user_id, claims.company_id) == (USER, USER)


@pytest.mark.parametrize(
    "text", ["+" + USER.hex[1:], USER.hex[:1] + "_" + USER.hex[2:], f"{{{USER}", USER.hex[:24]]
)
async def test_a_text_that_only_python_reads_as_a_uuid_is_a_text(text: str) -> None:
    assert (await verifier().verify(signed(sub=text))).user_id.version == 5


async def test_other_subjects_have_the_same_id_for_ever() -> None:
    ada, acme = (
        UUID("4ef0af79-8bd9-5d53-997a-ef94e43979fe"),
        UUID("dbfb7a41-12c8-5bef-8dfb-8fcd5531b557"),
    )
    claims = await verifier().verify(signed(sub="auth0|ada", company_id="acme"))
    assert (claims.user_id, claims.company_id) == (ada, acme)
    assert user_id(ISSUER, "auth0|ada") == ada
    assert company_id(ISSUER, "acme") == acme


async def test_issuers_users_and_companies_do_not_share_ids() -> None:
    claims = await verifier().verify(signed(sub="acme", company_id="acme"))
    assert claims.user_id != claims.company_id
    assert user_id("https://elsewhere.example.com/", "acme") != claims.user_id


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("  Ada  ", "Ada"),
        ("Zoe\u0308", "Zo\u00eb"),
        ("x" * 300, "x" * 255),
        ("x" * 254 + " y", "x" * 254),
        ("\u0958" * 200, ("\u0915\u093c" * 128)[:255]),
        ("", None),
        ("two\nlines", None),
        ("hidden\u202e", None),
        ("\ud800", None),
        (5, None),
        (["Ada"], None),
    ],
)
async def test_a_name_is_cleaned_and_one_that_breaks_the_rule_is_dropped(
    text: Any, name: str | None
) -> None:
    claims = await verifier().verify(signed(name=text, company_name=text))
    assert (claims.user_name, claims.company_name) == (name, name)
    assert name is None or line(name) == name


@pytest.mark.parametrize(
    ("scope", "scopes"),
    [
        ("a b  c ", {"a", "b", "c"}),
        ("a\tb", {"a\tb"}),
        (["a", "b c", ""], {"a", "b c"}),
        ("", set()),
        ([], set()),
        (None, set()),
    ],
)
async def test_scopes_are_a_text_or_a_list(scope: Any, scopes: set[str]) -> None:
    assert (await verifier().verify(signed(scope=scope))).scopes == scopes


@pytest.mark.parametrize("scope", [5, True, {"a": 1}, ["a", 5], [["a"]]])
async def test_scopes_of_another_shape_are_refused(scope: Any) -> None:
    reason = await refusal(verifier(), signed(scope=scope))
    assert reason == "The token's `scope` claim is neither a text nor a list of texts."


async def test_a_claim_is_found_by_its_exact_name_then_by_its_path() -> None:
    said = {
        "https://example.com/company": {"id": "acme"},
        "realm_access": {"roles": ["admin"]},
        "a.b": "exact",
        "a": {"b": "nested"},
    }
    names = {"jwt_scope_claim": "realm_access.roles", "jwt_name_claim": "a.b"}
    claims = await verifier(**names).verify(signed(**said))
    assert (claims.scopes, claims.user_name) == ({"admin"}, "exact")
    at = verifier(jwt_company_claim="https://example.com/company")
    acme = {"https://example.com/company": "acme"}
    assert (await at.verify(signed(**acme))).company_id == company_id(ISSUER, "acme")
    for nowhere in ("realm_access.roles.x", "realm_access.x.y", "...", "."):
        reason = await refusal(verifier(jwt_company_claim=nowhere), signed(**said))
        assert reason == f"The token has no `{nowhere}` claim."


async def test_a_token_that_never_expires_does_so_in_a_thousand_years() -> None:
    for exp in (10**300, 10**400, 1e300):
        assert (await verifier().verify(signed(exp=exp))).expires_at == LAST_EXPIRY + 30


async def test_a_token_that_is_huge_or_not_ascii_is_refused_before_any_work() -> None:
    for token in (signed(name="x" * TOKEN_BYTES), signed() + "\ud800", signed() + "é"):
        assert await refusal(verifier(), token) == "The token is too long, or not ASCII."


@pytest.mark.parametrize(
    "said",
    [
        b"", b"{", b"[]", b"5", b"null", b'"x"', b"\xff",
        b"[" * 5_000, b'{"exp": 1' + b"0" * 5_000 + b"}",
    ],
    ids=shortly,
)  # fmt: skip
async def test_what_is_no_object_is_refused(said: bytes) -> None:
    await refusal(verifier(), forged({"alg": "HS256"}, said, SECRET.encode()))
    await refusal(verifier(), forged(said, payload(), SECRET.encode()))


GOOD = signed(exp=4_000_000_000, iat=1, nbf=1)


def answer(token: str) -> Claims | None:
    """The claims or None; whatever else happens fails the test."""
    try:
        return at_once(verifier().verify(token))
    except InvalidToken:
        return None


@given(st.text() | st.text("eyJ.-_=ab{}"))
def test_a_text_is_no_token(text: str) -> None:
    assert answer(text) is None


@given(st.integers(0, len(GOOD)), st.integers(0, 3), st.text(max_size=3))
def test_a_token_that_was_tampered_with_is_refused(at: int, removed: int, inserted: str) -> None:
    token = GOOD[:at] + inserted + GOOD[at + removed :]
    claims = answer(token)
    # Padding of the base64 changes nothing that is said.
    assert claims is None or (claims.user_id, token.replace("=", "")) == (USER, GOOD)


@given(st.dictionaries(st.sampled_from(["alg", "kid", "crit", "b64", "typ", "jwk"]), JSON) | JSON)
def test_whatever_a_header_holds_a_token_is_refused_or_read(header: Any) -> None:
    answer(forged(header, payload(), SECRET.encode()))
    if isinstance(header, dict):
        answer(forged({"alg": "HS256"} | header, payload(), SECRET.encode()))


@given(st.sampled_from([*payload()]), JSON)
def test_whatever_a_claim_holds_a_token_is_refused_or_read(claim: str, value: Any) -> None:
    answer(forged({"alg": "HS256"}, payload() | {claim: value}, SECRET.encode()))


def test_where_no_key_is_configured_there_is_no_verifier() -> None:
    assert token_verifier(Settings()) is None
    assert token_verifier(configured(jwt_secret=SECRET)) is not None
    assert token_verifier(configured(jwt_jwks="jwks.json")) is not None
