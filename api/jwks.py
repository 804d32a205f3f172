"""The public keys of an identity provider, as a JSON Web Key Set (RFC 7517) lists them."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from jwt.algorithms import AllowedPublicKeys

logger = logging.getLogger(__name__)

# No "oct": a shared secret is no public key.
_FITTING: Mapping[tuple[Any, Any], frozenset[str]] = {
    ("RSA", None): frozenset({"RS256", "RS384", "RS512", "PS256"}),
    ("EC", "P-256"): frozenset({"ES256"}),
    ("EC", "P-384"): frozenset({"ES384"}),
    ("EC", "P-521"): frozenset({"ES512"}),
    ("OKP", "Ed25519"): frozenset({"EdDSA"}),
}


@dataclass(frozen=True, slots=True)
class VerifyingKey:
    """A public key, and the algorithms whose signatures it may check."""

    id: str | None
    algorithms: frozenset[str]
    key: AllowedPublicKeys


KeySet = tuple[VerifyingKey, ...]


def pick(keys: KeySet, algorithm: str, id: str | None) -> VerifyingKey | None:
    """The key of this id for this algorithm; without an id, the only one for the algorithm."""
    fitting = [key for key in keys if algorithm in key.algorithms]
    if id is None:
        return fitting[0] if len(fitting) == 1 else None
    return next((key for key in fitting if key.id == id), None)


def parse(document: object) -> KeySet:
    """The usable keys of a JWKS.

    Raises:
        ValueError: it is none.
    """
    listed = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(listed, list):
        raise ValueError("this is not a JSON Web Key Set")  # noqa: TRY004  # nor is it our mistake
    keys = tuple(key for jwk in listed if isinstance(jwk, dict) and (key := _usable(jwk)))
    if not keys:
        logger.warning("the identity provider's key set has no usable key")
    return keys


def _usable(jwk: Mapping[str, Any]) -> VerifyingKey | None:
    """The key of a JWK; None if it is for something else, weak, broken, or not public at all."""
    try:
        if jwk.get("use", "sig") != "sig" or "verify" not in jwk.get("key_ops", ["verify"]):
            return None
        if "d" in jwk:  # whoever can read it here could sign
            return None
        algorithms = _FITTING.get((jwk.get("kty"), jwk.get("crv")), frozenset())
        if "alg" in jwk:
            algorithms &= {jwk["alg"]}
        if not algorithms:
            return None
        return _imported(jwk, algorithms)
    except (jwt.PyJWTError, UnsupportedAlgorithm, TypeError):
        return None


def _imported(jwk: Mapping[str, Any], algorithms: frozenset[str]) -> VerifyingKey | None:
    found = jwt.PyJWK(dict(jwk), min(algorithms))
    if found.Algorithm.check_key_length(found.key):
        return None
    id = jwk.get("kid")
    return VerifyingKey(id if isinstance(id, str) else None, algorithms, found.key)
