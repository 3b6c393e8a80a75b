"""Keys: which public keys may be trusted, key folders, key sets."""

from __future__ import annotations

import contextlib
import json
import os
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from riskproof.attest import edwards
from riskproof.attest.edwards import L, P, check_public_key, decode, multiply
from riskproof.attest.keys import SigningKey, generate_key_dir, load_signing_key, public_key_set
from riskproof.attest.keyset import KeySet, PublicKey, RevocationReason, thumbprint
from riskproof.encoding import from_base64url
from riskproof.errors import KeyFileError, KeySetError

# RFC 8037, appendix A
RFC_SEED = from_base64url("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A", "", 32)
RFC_PUBLIC = from_base64url("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo", "", 32)
RFC_THUMBPRINT = "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"


def encode(point: tuple[int, int]) -> bytes:
    return (point[1] | (point[0] & 1) << 255).to_bytes(32, "little")


def add(a: tuple[int, int], b: tuple[int, int]) -> tuple[int, int]:
    """The curve's addition law as RFC 8032 writes it."""
    (x1, y1), (x2, y2) = a, b
    t = edwards.D * x1 * x2 * y1 * y2 % P
    return (
        (x1 * y2 + x2 * y1) * pow(1 + t, -1, P) % P,
        (y1 * y2 + x1 * x2) * pow(1 - t, -1, P) % P,
    )


BASE = decode((4 * pow(5, -1, P) % P).to_bytes(32, "little"))


def torsion() -> list[tuple[int, int]]:
    """The eight points of small order: L times points of the curve."""
    found: set[tuple[int, int]] = set()
    y = 2
    while len(found) < 8:
        with contextlib.suppress(KeySetError):
            found.add(multiply(L, decode(y.to_bytes(32, "little"))))
        y += 1
    return sorted(found)


def test_multiplication_follows_the_addition_law() -> None:
    assert multiply(L, BASE) == (0, 1)
    total = (0, 1)
    for k in range(1, 9):
        total = add(total, BASE)
        assert multiply(k, BASE) == total
        assert decode(encode(total)) == total


def test_small_and_mixed_order_keys_are_refused() -> None:
    for point in torsion():
        expected = "identity" if point == (0, 1) else "small order"
        with pytest.raises(KeySetError, match=expected):
            check_public_key(encode(point))
        if point != (0, 1):
            with pytest.raises(KeySetError, match="mixed order"):
                check_public_key(encode(add(BASE, point)))
            with pytest.raises(KeySetError, match="order"):
                PublicKey(encode(point), "venue")


def test_a_small_order_key_would_verify_a_signature_that_nobody_made() -> None:
    """Why the check exists: the library accepts the all-zero signature of a small-order key for some messages."""
    order_two = encode(next(p for p in torsion() if p != (0, 1) and add(p, p) == (0, 1)))
    key, accepted = Ed25519PublicKey.from_public_bytes(order_two), 0
    for i in range(64):
        try:
            key.verify(encode((0, 1)) + bytes(32), b"%d" % i)
            accepted += 1
        except InvalidSignature:
            pass
    assert accepted > 0


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "0 bytes"),
        (bytes(31), "31 bytes"),
        (P.to_bytes(32, "little"), "not encoded canonically"),  # y = p, another spelling of y = 0
        ((P + 1).to_bytes(32, "little"), "not encoded canonically"),
        ((1 | 1 << 255).to_bytes(32, "little"), "not encoded canonically"),  # the identity with a sign
        (b"\xff" * 32, "not encoded canonically"),
        ((2).to_bytes(32, "little"), "not a point of the curve"),
    ],
)
def test_encodings_that_are_refused(data: bytes, reason: str) -> None:
    with pytest.raises(KeySetError, match=reason):
        check_public_key(data)


def test_honest_keys_are_accepted() -> None:
    check_public_key(RFC_PUBLIC)
    for _ in range(8):
        check_public_key(SigningKey.generate("venue").public.raw)


def test_rfc_8037_key() -> None:
    key = SigningKey.from_seed(RFC_SEED, "venue")
    assert key.public.raw == RFC_PUBLIC
    assert key.key_id == thumbprint(RFC_PUBLIC) == RFC_THUMBPRINT


def test_signing_key_hides_its_secret() -> None:
    key = SigningKey.from_seed(bytes(range(32)), "venue")
    assert repr(key) == f"SigningKey(key_id={key.key_id!r}, venue='venue')"
    assert bytes(range(32)).hex() not in repr(vars(key.public))
    with pytest.raises(TypeError, match="does not pickle"):
        pickle.dumps(key)
    with pytest.raises(KeyFileError, match="31 bytes are not a seed"):
        SigningKey.from_seed(bytes(31), "venue")


# ---- key folders -----------------------------------------------------------------------------------------------------


def test_key_folder(tmp_path: Path) -> None:
    folder = tmp_path / "key"
    key = generate_key_dir(folder, venue="venue-a")
    assert folder.stat().st_mode & 0o777 == 0o700
    assert sorted((p.name, p.stat().st_mode & 0o777) for p in folder.iterdir()) == [
        ("key.pem", 0o600),
        ("public.json", 0o600),
    ]
    loaded = load_signing_key(folder)
    assert (loaded.key_id, loaded.venue) == (key.key_id, "venue-a")
    assert key.public.verifies(loaded.sign(b"message"), b"message")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["key"]
    with pytest.raises(KeyFileError, match="never overwritten"):
        generate_key_dir(folder)
    assert load_signing_key(folder).key_id == key.key_id


def test_key_folder_cannot_be_made(tmp_path: Path) -> None:
    with pytest.raises(KeyFileError, match="cannot be written: No such file"):
        generate_key_dir(tmp_path / "missing" / "key")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    with pytest.raises(KeyFileError, match="already exists"):
        generate_key_dir(tmp_path / "dangling")
    with pytest.raises(KeySetError, match="not a venue's name"):
        generate_key_dir(tmp_path / "key", venue="")
    assert [p.name for p in tmp_path.iterdir()] == ["dangling"]


def spoil(folder: Path, how: str) -> None:
    pem = folder / "key.pem"
    if how == "open file":
        pem.chmod(0o640)
    elif how == "open folder":
        folder.chmod(0o755)
    elif how == "missing":
        pem.unlink()
    elif how == "link":
        pem.rename(folder / "real.pem")
        pem.symlink_to(folder / "real.pem")
    elif how == "pipe":
        pem.unlink()
        os.mkfifo(pem, 0o600)
    elif how == "garbage":
        pem.write_bytes(b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")
    elif how == "huge":
        pem.write_bytes(bytes(1 << 20))
    elif how == "elliptic curve":
        pem.write_bytes(
            generate_private_key(SECP256R1()).private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
    elif how == "other key":
        generate_key_dir(folder.parent / "other")
        pem.write_bytes((folder.parent / "other" / "key.pem").read_bytes())
    elif how == "other owner":
        os.chown(pem, 12345, 12345)
    elif how == "public garbage":
        (folder / "public.json").write_bytes(b"{}")
    else:
        (folder / "public.json").unlink()


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ("open file", "mode 0640 lets others in"),
        ("open folder", "mode 0755 lets others in"),
        ("missing", "No such file"),
        ("link", "cannot be read"),
        ("pipe", "not a regular file"),
        ("garbage", "not an Ed25519 private key"),
        ("huge", "too large"),
        ("elliptic curve", "not an Ed25519 private key"),
        ("other key", "do not belong together"),
        ("other owner", "belongs to another user"),
        ("public garbage", "'kty' is missing"),
        ("public missing", "No such file"),
    ],
)
def test_key_folders_that_are_refused(tmp_path: Path, how: str, reason: str) -> None:
    if how == "other owner" and os.geteuid() != 0:
        pytest.skip("only root can give a file away")
    folder = tmp_path / "key"
    generate_key_dir(folder)
    spoil(folder, how)
    with pytest.raises(KeyFileError, match=reason):
        load_signing_key(folder)


def test_key_folder_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(KeyFileError, match="cannot be read"):
        load_signing_key(tmp_path / "missing")
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(KeyFileError, match="not a folder"):
        load_signing_key(tmp_path / "file")


def test_public_key_set(tmp_path: Path) -> None:
    a, b = generate_key_dir(tmp_path / "a", venue="venue-a"), generate_key_dir(tmp_path / "b", venue="venue-b")
    (tmp_path / "a" / "key.pem").unlink()  # the private half is not needed
    keys = public_key_set([tmp_path / "a", tmp_path / "b"], not_before=100, not_after=199)
    assert [(k.key_id, k.venue, k.not_before, k.expires) for k in keys] == [
        (a.key_id, "venue-a", 100, 200),
        (b.key_id, "venue-b", 100, 200),
    ]
    assert KeySet.from_bytes(keys.to_bytes()) == keys
    with pytest.raises(KeySetError, match="listed twice"):
        public_key_set([tmp_path / "a", tmp_path / "a"])
    with pytest.raises(KeySetError, match="interval is empty"):
        public_key_set([tmp_path / "a"], not_before=5, not_after=4)


# ---- key sets --------------------------------------------------------------------------------------------------------

KEY = SigningKey.from_seed(RFC_SEED, "venue-a").public


def jwk(**changes: Any) -> dict[str, Any]:
    document = KEY.to_document() | changes
    return {k: v for k, v in document.items() if v is not None}


def parse(*keys: dict[str, Any]) -> KeySet:
    return KeySet.from_bytes(json.dumps({"keys": keys}, indent=1).encode())


def test_jwk() -> None:
    assert parse(jwk()).keys == (KEY,)
    full = replace(KEY, not_before=1, expires=9, revoked_at=5, reason=RevocationReason.SUPERSEDED)
    document = full.to_document()
    assert document["revoked"] == {"revoked_at": 5, "reason": "superseded"}
    assert parse(document).keys == (full,)
    assert parse(jwk(revoked={"revoked_at": 5})).keys[0].reason is RevocationReason.UNSPECIFIED


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"d": "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A"}, "a private key in a set of public keys"),
        ({"kty": "EC"}, "not an Ed25519 signing key"),
        ({"alg": "none"}, "not an Ed25519 signing key"),
        ({"use": "enc"}, "not an Ed25519 signing key"),
        ({"kid": "my-key"}, "not the key's thumbprint"),
        ({"kid": None}, "'kid' is missing"),
        ({"riskproof:venue": None}, "'riskproof:venue' is missing"),
        ({"riskproof:venue": "a\nb"}, "printable"),
        ({"expires": 5}, "unknown member 'expires'"),
        ({"exp": "5"}, "not an integer"),
        ({"exp": 2**50}, "out of range"),
        ({"nbf": 9, "exp": 9}, "interval is empty"),
        ({"revoked": {"reason": "superseded"}}, "'revoked_at' is missing"),
        ({"revoked": {"revoked_at": 1, "reason": "lost"}}, "unknown reason"),
        ({"x": "AQ" + "A" * 41}, "identity"),
        ({"x": KEY.to_document()["x"] + "="}, "base64url"),
        ({"x": "7f" + "_" * 39 + "38"}, "not"),
    ],
)
def test_jwks_that_are_refused(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(KeySetError, match=reason) as caught:
        parse(jwk(**changes))
    assert "keys[0]" in caught.value.where


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "not JSON"),
        (b"[]", "in place of an object"),
        (b'{"keys":{}}', "not an array"),
        (b'{"keys":[],"x":1}', "unknown member"),
        (b'{"keys":[],"keys":[]}', "twice"),
        (b'{"keys":[' + b"1," * 300 + b"1]}", "not an array in range"),
        (b" " * (1 << 21), "too many"),
    ],
)
def test_key_sets_that_are_refused(data: bytes, reason: str) -> None:
    with pytest.raises(KeySetError, match=reason):
        KeySet.from_bytes(data)


def test_merge_and_revoke() -> None:
    other = SigningKey.generate("venue-b").public
    merged = KeySet((KEY,)).merged(KeySet((KEY, other)))
    assert merged.keys == (KEY, other)
    with pytest.raises(KeySetError, match="listed twice"):
        KeySet((KEY, KEY))
    with pytest.raises(KeySetError, match="differ about one key"):
        merged.merged(KeySet((replace(KEY, expires=5),)))
    compromised = merged.revoked(other.key_id, 7, RevocationReason.COMPROMISED)
    assert compromised.get(other.key_id) == replace(other, revoked_at=7, reason=RevocationReason.COMPROMISED)
    assert compromised.get(KEY.key_id) == KEY
    with pytest.raises(KeySetError, match="already revoked as compromised"):
        compromised.revoked(other.key_id, 8, RevocationReason.SUPERSEDED)
    superseded = merged.revoked(other.key_id, 7, RevocationReason.SUPERSEDED)
    with pytest.raises(KeySetError, match=r"was superseded earlier \(expected at most 7\)"):
        superseded.revoked(other.key_id, 8, RevocationReason.SUPERSEDED)
    earlier = superseded.revoked(other.key_id, 6, RevocationReason.SUPERSEDED).get(other.key_id)
    assert earlier is not None
    assert earlier.revoked_at == 6
    later = superseded.revoked(other.key_id, 8, RevocationReason.COMPROMISED).get(other.key_id)
    assert later is not None
    assert later.refusal(1)
    with pytest.raises(KeySetError, match="no key 'x'"):
        merged.revoked("x", 8, RevocationReason.SUPERSEDED)
    with pytest.raises(KeySetError, match="go together"):
        replace(KEY, revoked_at=5)
