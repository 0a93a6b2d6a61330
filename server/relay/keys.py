"""The node's key pair: what it signs with and what others seal to. libsodium, by way of PyNaCl.

One Ed25519 pair for each store, made of the node's secret: kept by backups, new in a new store, the same in a copy.
Sealing uses the same pair as X25519.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nacl.signing import SigningKey

PUBLIC_BYTES = 32
SIGNATURE_BYTES = 64
SEAL_BYTES = 48
"""What sealing adds."""

_PURPOSE = b"chapar relay: Ed25519 seed"


class KeysError(Exception):
    """Not signed by this key, not sealed to this node, or altered on the way."""


class Keys:
    """The key pair of a node. secret: as in the table `node`."""

    def __init__(self, secret: bytes) -> None:
        self._pair = _pair(hmac.digest(secret, _PURPOSE, hashlib.sha256))
        self.public = bytes(self._pair.verify_key)

    def sign(self, message: bytes) -> bytes:
        """Return the signature of these bytes, 64 of them."""
        return self._pair.sign(message).signature

    def open(self, sealed: bytes) -> bytes:
        """Return what was sealed to this node. Raises KeysError."""
        from nacl.exceptions import CryptoError
        from nacl.public import SealedBox

        try:
            return SealedBox(self._pair.to_curve25519_private_key()).decrypt(sealed)
        except CryptoError:
            raise KeysError("It is not sealed to this node, or it was altered.") from None


def verify(public: bytes, message: bytes, signature: bytes) -> None:
    """Raise KeysError unless the holder of this key signed these bytes."""
    from nacl.exceptions import CryptoError
    from nacl.signing import VerifyKey

    try:
        VerifyKey(public).verify(message, signature)
    except CryptoError:
        raise KeysError("The signature is not that of its sender, or it was altered.") from None


def seal(public: bytes, message: bytes) -> bytes:
    """Return these bytes so that only the holder of this key reads them; who sealed them cannot be told.

    Raises KeysError when it is no key.
    """
    from nacl.exceptions import CryptoError
    from nacl.public import SealedBox
    from nacl.signing import VerifyKey

    try:
        return SealedBox(VerifyKey(public).to_curve25519_public_key()).encrypt(message)
    except CryptoError:
        raise KeysError("The receiver's key is none.") from None


def _pair(seed: bytes) -> SigningKey:
    from nacl.signing import SigningKey

    return SigningKey(seed)
