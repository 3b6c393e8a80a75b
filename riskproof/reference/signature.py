"""Ed25519 (RFC 8032) in plain Python, verifying only.

    -x^2 + y^2 = 1 + d x^2 y^2   over p = 2^255 - 19;   base point of prime order L;   accept if S B = R + k A

Cofactorless, strict: A is canonical and of order L exactly, S < L, and the only encoding of S B - k A is compared with the bytes
of R. Signers that follow the RFC always pass. OpenSSL compares the same bytes; it also accepts keys of small and mixed order,
which an attestation does not (docs/attestation.md, Keys).
"""

from __future__ import annotations

import base64
import hashlib
from typing import Final

P: Final = 2**255 - 19
L: Final = 2**252 + 27742317777372353535851937790883648493
D: Final = -121665 * pow(121666, -1, P) % P
Affine = tuple[int, int]
_BASE_BYTES: Final = bytes.fromhex("58" + "66" * 31)


def _add(a: Affine, b: Affine) -> Affine:
    """The complete addition law of the twisted Edwards curve, for doubling too."""
    (x1, y1), (x2, y2) = a, b
    t = D * x1 * x2 * y1 * y2 % P
    x = (x1 * y2 + x2 * y1) * pow(1 + t, -1, P) % P
    y = (y1 * y2 + x1 * x2) * pow(1 - t, -1, P) % P
    return x, y


def _multiply(scalar: int, a: Affine) -> Affine:
    total = (0, 1)
    for bit in bin(scalar)[2:]:
        total = _add(total, total)
        if bit == "1":
            total = _add(total, a)
    return total


def _encode(a: Affine) -> bytes:
    return (a[1] | (a[0] & 1) << 255).to_bytes(32, "little")


def _decode(data: bytes) -> Affine | None:
    """The point that 32 bytes encode canonically, or None (RFC 8032, section 5.1.3)."""
    value = int.from_bytes(data, "little")
    sign, y = value >> 255, value & (2**255 - 1)
    if len(data) != 32 or y >= P:
        return None
    x_squared = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(x_squared, (P + 3) // 8, P)
    if x * x % P != x_squared:
        x = x * pow(2, (P - 1) // 4, P) % P
    if x * x % P != x_squared or (x == 0 and sign):
        return None
    return (x if x & 1 == sign else P - x), y


def is_public_key(data: bytes) -> bool:
    """Whether the bytes are canonical and a point of order exactly L."""
    a = _decode(data)
    return a is not None and a != (0, 1) and _multiply(L, a) == (0, 1)


def thumbprint(key: bytes) -> str:
    """The name of a public key: RFC 7638 over the JWK members of RFC 8037, unpadded base64url."""
    x = base64.urlsafe_b64encode(key).rstrip(b"=").decode()
    jwk = f'{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}'.encode()
    return base64.urlsafe_b64encode(hashlib.sha256(jwk).digest()).rstrip(b"=").decode()


def is_signed(key: bytes, message: bytes, signature: bytes) -> bool:
    """Whether `signature` (64 bytes) is the one of `message` under a key that passed `is_public_key`."""
    a, base = _decode(key), _decode(_BASE_BYTES)
    s = int.from_bytes(signature[32:], "little")
    if a is None or base is None or len(signature) != 64 or s >= L:
        return False
    k = int.from_bytes(hashlib.sha512(signature[:32] + key + message).digest(), "little") % L
    expected = _add(_multiply(s, base), _multiply(L - k, a))
    return _encode(expected) == signature[:32]
