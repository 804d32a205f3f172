"""Tokens of an identity provider: who may come in without an API key (RFC 7519, RFC 8725)."""

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

import jwt
from jwt.algorithms import AllowedPublicKeys

from api.key_sources import Clock, key_source
from api.settings import Settings
from domain.values import NAME_LENGTH, cut, line

TOKEN_BYTES = 8 * 1024
SUBJECT_LENGTH = 255  # OpenID Connect Core 1.0, section 2
LAST_EXPIRY = 32_503_680_000  # the year 3000, for tokens that never expire

# Python's UUID() also reads underscores and signs: two texts for one user.
_UUID = re.compile(
    r"(?:urn:uuid:)?(\{)?[0-9a-fA-F]{8}(-?)(?:[0-9a-fA-F]{4}\2){3}[0-9a-fA-F]{12}(?(1)\})"
)
_REASONS: Mapping[type[Exception], str] = {
    jwt.ExpiredSignatureError: "The token has expired.",
    jwt.ImmatureSignatureError: "The token is not valid yet.",
    jwt.InvalidAudienceError: "The token is for another audience.",
    jwt.InvalidIssuerError: "The token is from another issuer.",
    jwt.InvalidSignatureError: "The token's signature is wrong.",
}


class InvalidToken(Exception):
    """The token is not accepted; the message says why to the caller, and never repeats it."""


@dataclass(frozen=True, slots=True)
class Claims:
    """What a verified token says; `expires_at` in Unix seconds, with the leeway."""

    company_id: UUID
    company_name: str | None
    user_id: UUID
    user_name: str | None
    scopes: frozenset[str]
    expires_at: float


class TokenVerifier:
    """Tells what a token says, if it is from the provider, for this service, and for now."""

    def __init__(self, settings: Settings, clock: Clock = time.monotonic) -> None:
        secret, jwks = settings.jwt_secret, settings.jwt_jwks
        self._settings = settings
        self._secret = secret.get_secret_value().encode() if secret else None
        self._keys = key_source(jwks, clock) if jwks else None

    async def verify(self, token: str) -> Claims:
        """What the token says.

        Raises:
            InvalidToken: it is not accepted.
            KeysUnavailable: its key is not known, and the provider cannot be asked.
        """
        header = _header(token)
        algorithm = header.get("alg")
        if algorithm not in self._settings.jwt_algorithms:
            raise InvalidToken("The token's algorithm is not accepted.")
        key = await self._key(algorithm, header.get("kid"))
        return self._claims(self._payload(token, algorithm, key))

    async def _key(self, algorithm: str, id: str | None) -> AllowedPublicKeys | bytes:
        if algorithm.startswith("HS"):
            if self._secret:
                return self._secret
        elif self._keys and (found := await self._keys.find(algorithm, id)):
            return found.key
        raise InvalidToken("The token's key is not known.")

    def _payload(
        self, token: str, algorithm: str, key: AllowedPublicKeys | bytes
    ) -> Mapping[str, Any]:
        try:
            return jwt.decode(
                token,
                key,
                [algorithm],  # one that is accepted, and that fits this key
                {"require": ["exp", "iss", "aud"], "enforce_minimum_key_length": True},
                audience=self._settings.jwt_audience,
                issuer=self._settings.jwt_issuer,
                leeway=self._settings.jwt_leeway,
            )
        except jwt.PyJWTError as error:
            raise _refused(error) from None

    def _claims(self, payload: Mapping[str, Any]) -> Claims:
        settings = self._settings
        return Claims(
            company_id=company_id(payload["iss"], _subject(payload, settings.jwt_company_claim)),
            company_name=_name(_claim(payload, settings.jwt_company_name_claim)),
            user_id=user_id(payload["iss"], _subject(payload, settings.jwt_user_claim)),
            user_name=_name(_claim(payload, settings.jwt_name_claim)),
            scopes=_scopes(payload, settings.jwt_scope_claim),
            expires_at=float(min(int(payload["exp"]), LAST_EXPIRY) + settings.jwt_leeway),
        )


def token_verifier(settings: Settings) -> TokenVerifier | None:
    """What verifies tokens, where any are accepted."""
    return TokenVerifier(settings) if settings.jwt_jwks or settings.jwt_secret else None


def user_id(issuer: str, subject: str) -> UUID:
    """The id of a user, the same for ever: a UUID in any form is itself.

    Any other subject is `uuid5(uuid5(NAMESPACE_URL, issuer), subject)` (RFC 9562, section 5.5).
    """
    return _id(issuer, subject, "")


def company_id(issuer: str, subject: str) -> UUID:
    """The id of a company, like that of a user, but of "company", a line feed and the subject.

    No user has that subject: theirs are single lines.
    """
    return _id(issuer, subject, "company\n")


def _id(issuer: str, subject: str, prefix: str) -> UUID:
    if _UUID.fullmatch(subject):
        return UUID(subject)
    return uuid5(uuid5(NAMESPACE_URL, issuer), prefix + subject)


def _header(token: str) -> Mapping[str, Any]:
    """The header of a token, which nobody has vouched for yet."""
    if len(token) > TOKEN_BYTES or not token.isascii():
        raise InvalidToken("The token is too long, or not ASCII.")
    try:
        header = jwt.get_unverified_header(token)
    except jwt.PyJWTError as error:
        raise _refused(error) from None
    if "crit" in header:
        raise InvalidToken("The token's header has `crit`, of which nothing is understood here.")
    return header


def _refused(error: jwt.PyJWTError) -> InvalidToken:
    if isinstance(error, jwt.MissingRequiredClaimError):
        return InvalidToken(f"The token has no `{error.claim}` claim.")
    return InvalidToken(_REASONS.get(type(error), "This is not a valid JSON Web Token."))


def _claim(payload: Mapping[str, Any], name: str) -> Any:
    """A claim of just this name, else what the dots in the name lead to; None if there is none."""
    if name in payload:
        return payload[name]
    value: Any = payload
    for step in name.split("."):
        value = value.get(step) if isinstance(value, dict) else None
    return value


def _subject(payload: Mapping[str, Any], name: str) -> str:
    value = _claim(payload, name)
    if value is None:
        raise InvalidToken(f"The token has no `{name}` claim.")
    if not isinstance(value, str) or not _is_visible(value):
        raise InvalidToken(
            f"The token's `{name}` claim is not a text of 1 to {SUBJECT_LENGTH} visible characters."
        )
    return value


def _is_visible(text: str) -> bool:
    """Whether people can see and tell apart what is there; it is used as it is, never cleaned."""
    if len(text) > SUBJECT_LENGTH or text != text.strip():
        return False
    try:
        return bool(line(text))
    except ValueError:
        return False


def _name(value: object) -> str | None:
    """A name by the domain's rule for a line; who has none that keeps it comes in without."""
    try:
        return cut(line(value), NAME_LENGTH) if isinstance(value, str) else None
    except ValueError:
        return None


def _scopes(payload: Mapping[str, Any], name: str) -> frozenset[str]:
    value = _claim(payload, name)
    listed = value.split(" ") if isinstance(value, str) else [] if value is None else value
    if not isinstance(listed, list) or not all(isinstance(each, str) for each in listed):
        raise InvalidToken(f"The token's `{name}` claim is neither a text nor a list of texts.")
    return frozenset(listed) - {""}
