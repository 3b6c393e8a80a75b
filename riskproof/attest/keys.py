"""Signing keys: an Ed25519 private key in a folder that only its owner can read.

DIR/              0700
DIR/key.pem       0600   PKCS #8, PEM
DIR/public.json   0600   the JWK of the public half, with the venue's name
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import shutil
import stat
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from riskproof import encoding
from riskproof.attest.keyset import KeySet, PublicKey
from riskproof.errors import AttestationError, EncodingError, KeyFileError, KeySetError

if TYPE_CHECKING:
    from riskproof.attest.book import AccountSecret

PRIVATE_FILE: Final = "key.pem"
PUBLIC_FILE: Final = "public.json"
_MAX_KEY_FILE = 16 * 1024


class SigningKey:
    """An Ed25519 private key of a venue. Neither its repr nor a pickle gives the secret away.

    Attributes:
        public: the public half, without a validity interval.
    """

    __slots__ = ("_private", "public")

    def __init__(self, private: Ed25519PrivateKey, venue: str) -> None:
        self._private = private
        self.public = PublicKey(private.public_key().public_bytes_raw(), venue)

    @classmethod
    def generate(cls, venue: str) -> SigningKey:
        """A new key from the operating system's randomness."""
        return cls(Ed25519PrivateKey.generate(), venue)

    @classmethod
    def from_seed(cls, seed: bytes, venue: str) -> SigningKey:
        """The key of a 32-byte RFC 8032 seed (KeyFileError for another length)."""
        if len(seed) != 32:
            raise KeyFileError(f"{len(seed)} bytes are not a seed", where="seed", expected="32 bytes")
        return cls(Ed25519PrivateKey.from_private_bytes(seed), venue)

    @property
    def key_id(self) -> str:
        """RFC 7638 thumbprint of the public half."""
        return self.public.key_id

    @property
    def venue(self) -> str:
        """The venue that signs with this key."""
        return self.public.venue

    def sign(self, message: bytes) -> bytes:
        """The 64-byte Ed25519 signature of a message."""
        return self._private.sign(message)

    def account_secret(self, account_id: str) -> AccountSecret:
        """The secret of an account for a venue without a ledger: the same each time, and with another key another one.

        HMAC-SHA256(seed, len(tag) || tag || account id in UTF-8), tag = TAG_ACCOUNT_SECRET: it says nothing about the seed.

        Raises:
            AttestationError: the account id is not 1 to 128 printable characters.
        """
        from riskproof.attest.book import AccountSecret
        from riskproof.attest.payload import MAX_ACCOUNT_ID

        if not 0 < len(account_id) <= MAX_ACCOUNT_ID or not account_id.isprintable():
            raise AttestationError(
                "not a name", where="account_id", expected=f"1 to {MAX_ACCOUNT_ID} printable characters"
            )
        tag = encoding.TAG_ACCOUNT_SECRET.encode("ascii")
        message = bytes([len(tag)]) + tag + account_id.encode("utf-8")
        return AccountSecret(hmac.new(self._private.private_bytes_raw(), message, hashlib.sha256).digest())

    def __repr__(self) -> str:
        return f"SigningKey(key_id={self.key_id!r}, venue={self.venue!r})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a signing key does not pickle")

    def _to_pem(self) -> bytes:
        return self._private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )


def generate_key_dir(path: str | Path, *, venue: str = "venue") -> SigningKey:
    """Make a new key in a new folder; the folder appears whole, or not at all.

    Raises:
        KeyFileError: something is already there (it is never overwritten), or it cannot be written.
        KeySetError: not a venue's name.
    """
    target = Path(path)
    key = SigningKey.generate(venue)
    if target.exists() or target.is_symlink():
        raise KeyFileError("already exists; keys are never overwritten", where=str(target), expected="a new folder")
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(8)}")
    try:
        temporary.mkdir(mode=0o700)
        try:
            write_private(temporary / PRIVATE_FILE, key._to_pem())
            write_private(temporary / PUBLIC_FILE, encoding.canonical_json(key.public.to_document()))
            temporary.rename(target)  # fails on a file or a folder with something in it
        except OSError:
            shutil.rmtree(temporary, ignore_errors=True)
            raise
    except OSError as error:
        raise KeyFileError(f"cannot be written: {error.strerror}", where=str(target)) from None
    return key


def write_private(path: Path, data: bytes) -> None:
    """Write a new file that only its owner can read, from the first byte on (OSError if it exists)."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def load_signing_key(path: str | Path) -> SigningKey:
    """Read a key folder.

    Raises:
        KeyFileError: missing or unreadable, owned by somebody else, open to group or others, a symbolic link, not an Ed25519
            private key in PKCS #8 PEM, or not the private half of the public key beside it.
    """
    folder = Path(path)
    try:
        status = folder.stat()
    except OSError as error:
        raise KeyFileError(f"cannot be read: {error.strerror}", where=str(folder), expected="a key folder") from None
    if not stat.S_ISDIR(status.st_mode):
        raise KeyFileError("not a folder", where=str(folder), expected="a folder that `riskproof keys new` made")
    _check_private(status, folder, "0700")
    public = _load_public(folder)
    pem = _read_private(folder / PRIVATE_FILE)
    try:
        private = serialization.load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        private = None
    if not isinstance(private, Ed25519PrivateKey):
        raise KeyFileError(
            "not an Ed25519 private key", where=str(folder / PRIVATE_FILE), expected="PKCS #8 PEM, not encrypted"
        )
    key = SigningKey(private, public.venue)
    if key.key_id != public.key_id:
        raise KeyFileError("private and public key do not belong together", where=str(folder), expected=public.key_id)
    return key


def public_key_set(
    directories: Iterable[str | Path], *, not_before: int | None = None, not_after: int | None = None
) -> KeySet:
    """The public halves of key folders as a set, each with the validity interval given.

    not_before, not_after: first and last second, since the epoch, of the times of issue that the keys vouch for.

    Raises:
        KeyFileError: a public key cannot be read. The private keys are not touched.
        KeySetError: an empty interval, a key twice.
    """
    expires = None if not_after is None else not_after + 1
    keys = [replace(_load_public(Path(d)), not_before=not_before, expires=expires) for d in directories]
    return KeySet(tuple(keys))


def _load_public(folder: Path) -> PublicKey:
    where = str(folder / PUBLIC_FILE)
    data = _read_private(folder / PUBLIC_FILE, private=False)
    try:
        return PublicKey.from_document(encoding.parse_json(data, where), where)
    except (EncodingError, KeySetError) as error:
        raise KeyFileError(error.what, where=error.where, expected=error.expected) from None


def _read_private(path: Path, *, private: bool = True) -> bytes:
    try:
        # O_NONBLOCK: a pipe put in the key's place must not hang us.
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(handle, "rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise KeyFileError("not a regular file", where=str(path))
            if private:
                _check_private(status, path, "0600")
            data = file.read(_MAX_KEY_FILE + 1)
    except OSError as error:
        raise KeyFileError(f"cannot be read: {error.strerror}", where=str(path)) from None
    if len(data) > _MAX_KEY_FILE:
        raise KeyFileError("too large for a key", where=str(path), expected=f"at most {_MAX_KEY_FILE} bytes")
    return data


def _check_private(status: os.stat_result, path: Path, expected: str) -> None:
    if status.st_uid != os.geteuid():
        raise KeyFileError("belongs to another user", where=str(path), expected="the user who runs this")
    if status.st_mode & 0o077:
        mode = stat.S_IMODE(status.st_mode)
        raise KeyFileError(f"mode {mode:04o} lets others in", where=str(path), expected=f"mode {expected}")
