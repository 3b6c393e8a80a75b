"""Canonical bytes, digests and every domain tag of the system.

Documents are RFC 8785 (JCS) JSON. On top of JCS we allow objects, arrays, strings, true, false, null and integers in
[-(2^53 - 1), 2^53 - 1]; there are no fractions or exponents: quantities that may be larger are decimal strings
(`units.parse_integer`). A parser accepts exactly the bytes that the writer makes: it decodes, re-encodes, and compares.

A digest is

    digest(tag, body) = SHA-256( len(tag) as one byte || tag || body )

so that no body under one tag is a message under another. Every tag carries its version and is listed here and nowhere else.

Arrays have a fixed little-endian layout: the tag's digest over a canonical JSON header, its length as eight bytes little-endian in
front, then the raw entries (`digest_array`).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Callable
from typing import Any, Final

import rfc8785

from riskproof.errors import EncodingError

Json = Any  # a tree of dict, list, str, int, bool and None

TAG_REGISTRY: Final = "riskproof/registry/v1"
TAG_SNAPSHOT: Final = "riskproof/snapshot/v1"
TAG_MODEL: Final = "riskproof/model/v1"
TAG_RISK_ARRAY: Final = "riskproof/risk-array/v1"
TAG_POSITIONS: Final = "riskproof/positions/v1"
TAG_ATTESTATION: Final = "riskproof/attestation/v1"
TAG_OPENING: Final = "riskproof/opening/v1"
TAG_ACCOUNT: Final = "riskproof/account/v1"
TAG_CHAIN: Final = "riskproof/chain/v1"
TAG_LEAF_SALT: Final = "riskproof/leaf-salt/v1"
TAG_EPOCH: Final = "riskproof/epoch/v1"
TAG_SRS: Final = "riskproof/srs/v1"
TAG_TRADE: Final = "riskproof/trade/v1"
TAG_LEDGER_RECORD: Final = "riskproof/ledger-record/v1"
TAG_LEDGER_HOLDER: Final = "riskproof/ledger-holder/v1"
TAG_LEDGER_LEAK: Final = "riskproof/ledger-leak/v1"
TAG_ATTESTATION_REQUEST: Final = "riskproof/attestation-request/v1"
TAG_NET_RISK: Final = "riskproof/net-risk/v1"
TAG_CHALLENGE: Final = "riskproof/challenge/v1"
TAG_COEFFICIENTS: Final = "riskproof/coefficients/v1"
TAG_IDENTITY: Final = "riskproof/identity/v1"
TAG_HOLDER_CONSENT: Final = "riskproof/holder-consent/v1"
TAG_ACCOUNT_TAG: Final = "riskproof/account-tag/v1"
TAG_ACCOUNT_SECRET: Final = "riskproof/account-secret/v1"  # noqa: S105 (a domain tag)
TAG_LEAK_BUDGET: Final = "riskproof/leak-budget/v1"
TAG_HISTORY: Final = "riskproof/history/v1"
TAG_CORRELATION: Final = "riskproof/correlation/v1"
TAG_TAIL_MODEL: Final = "riskproof/tail-model/v1"

MAX_DOCUMENT_BYTES: Final = 64 * 1024 * 1024
MAX_DEPTH: Final = 32
MAX_VALUES: Final = 1 << 21  # twice what a market of 65,536 instruments has; one value may take 250 bytes of memory
_MAX_SAFE = 2**53 - 1


def digest(tag: str, body: bytes) -> bytes:
    """SHA-256 of `body` under a domain tag; 32 bytes."""
    name = tag.encode("ascii")
    return hashlib.sha256(bytes([len(name)]) + name + body).digest()


def digest_array(tag: str, header: dict[str, Json], *entries: bytes | memoryview) -> bytes:
    """Digest of a binary array: a canonical JSON header that states shape and dtype, then the raw little-endian entries."""
    name, head = tag.encode("ascii"), canonical_json(header)
    h = hashlib.sha256(bytes([len(name)]) + name + len(head).to_bytes(8, "little") + head)
    for part in entries:
        h.update(part)
    return h.digest()


def canonical_json(document: Json) -> bytes:
    """RFC 8785 bytes of a document of our restricted JSON.

    Raises:
        EncodingError: a float, an integer beyond 2^53 - 1, a key that is not a string, a lone surrogate, too deep.
    """
    ascii_names = _check_tree(document, None, 0)
    if ascii_names:  # UTF-16 order (RFC 8785, section 3.2.3) is code point order; eight times as fast
        return _dumps(document)
    try:
        return rfc8785.dumps(document)
    except (rfc8785.CanonicalizationError, UnicodeEncodeError) as error:
        raise EncodingError(f"cannot be written as canonical JSON: {type(error).__name__}") from None


def _dumps(document: Json) -> bytes:
    """The canonical form of a tree of our restricted JSON whose member names are ASCII."""
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise EncodingError(f"cannot be written as canonical JSON: {type(error).__name__}") from None


_Path = tuple[Any, "str | int"] | None  # (path of the parent, member name or place): text only if there is an error


def _place(path: _Path) -> str:
    """`$.member[3]`, at most 80 characters and printable: the names may be hostile."""
    steps: list[str] = []
    while path is not None:
        path, step = path
        if isinstance(step, int):
            steps.append(f"[{step}]")
        else:
            steps.append("." + (step[:32] if step[:32].isprintable() else ascii(step[:32])))
    return ("$" + "".join(reversed(steps)))[:80]


def _check_tree(node: Json, path: _Path, depth: int) -> bool:
    """True if all member names are ASCII; EncodingError if the tree is not of our restricted JSON."""
    if depth > MAX_DEPTH:
        raise EncodingError("nested too deeply", where=_place(path), expected=f"at most {MAX_DEPTH} levels")
    if node is None or isinstance(node, (bool, str)):
        return True
    ascii_names = True
    if isinstance(node, int):
        if abs(node) > _MAX_SAFE:
            raise EncodingError("integer beyond 2^53 - 1", where=_place(path), expected="a decimal string")
    elif isinstance(node, dict):
        for key, value in node.items():
            if not isinstance(key, str):
                raise EncodingError("member name is not a string", where=_place(path))
            ascii_names &= key.isascii() & _check_tree(value, (path, key), depth + 1)
    elif isinstance(node, (list, tuple)):
        for i, value in enumerate(node):
            ascii_names &= _check_tree(value, (path, i), depth + 1)
    else:
        raise EncodingError(
            f"{type(node).__name__} has no canonical form",
            where=_place(path),
            expected="an integer or a decimal string",
        )
    return ascii_names


def _no_float(text: str) -> Json:
    raise EncodingError(f"number with a fraction or exponent: {text[:32]}", expected="an integer or a decimal string")


def _no_constant(text: str) -> Json:
    raise EncodingError(f"{text} is not JSON", expected="a number")


def _integer(text: str) -> int:
    if len(text) > 17:
        raise EncodingError(f"integer beyond 2^53 - 1: {text[:20]}...", expected="a decimal string")
    value = int(text)
    if abs(value) > _MAX_SAFE:
        raise EncodingError(f"integer beyond 2^53 - 1: {text}", expected="a decimal string")
    return value


def _unique(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise EncodingError("member name twice in one object")
    return members


class _Refused:
    """Stands for a value that is refused, while its place is looked for."""


def _place_of_refused(text: str) -> str:
    """Path of the first value that `parse_json` refuses, such as ".rates[2]"; "" for the document itself, or if it is no JSON."""

    def tried(refuse: Callable[[Any], Json]) -> Callable[[Any], object]:
        def value(given: Any) -> object:
            try:
                return refuse(given)
            except EncodingError:
                return _Refused()

        return value

    try:
        document = json.loads(
            text,
            parse_float=tried(_no_float),
            parse_int=tried(_integer),
            parse_constant=tried(_no_constant),
            object_pairs_hook=tried(_unique),
        )
    except json.JSONDecodeError:
        return ""
    return _path_to_refused(document) or ""


def _path_to_refused(node: object) -> str | None:
    if isinstance(node, _Refused):
        return ""
    names = list(node) if isinstance(node, dict) else []
    for i, part in enumerate(node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()):
        path = _path_to_refused(part)
        if path is not None:
            plain = bool(names) and len(names[i]) <= 64 and names[i].isascii() and names[i].isprintable()
            return (f".{names[i]}" if plain else f"[{i}]") + path
    return None


_QUOTED = re.compile(rb'"[^"]*"?')
_NO_BRACKET = re.compile(rb"[^\[\]{}]+")


def check_depth(data: bytes, where: str) -> None:
    """Refuse deep nesting before the decoder recurses into it: somebody may have raised the recursion limit (EncodingError)."""
    if data.count(b"[") + data.count(b"{") <= MAX_DEPTH:
        return
    unescaped = data.replace(b"\\\\", b"").replace(b'\\"', b"")
    depth = 0
    for bracket in _NO_BRACKET.sub(b"", _QUOTED.sub(b"", unescaped)):
        depth += 1 if bracket in b"[{" else -1
        if depth > MAX_DEPTH:
            raise EncodingError("nested too deeply", where=where, expected=f"at most {MAX_DEPTH} levels")


def parse_json(data: bytes, where: str = "document", *, limit: int = MAX_DOCUMENT_BYTES) -> Json:
    """Parse our restricted JSON, canonical or not (for configuration and files that people edit).

    Raises:
        EncodingError: longer than `limit` bytes, more than MAX_VALUES values, not UTF-8, not JSON, duplicate member names, a
            fraction or a float, too deep.
    """
    if len(data) > limit:
        raise EncodingError(f"{len(data)} bytes are too many", where=where, expected=f"at most {limit}")
    # Before decoding, since three bytes can become eighty of memory. Commas and brackets in strings count as well.
    if data.count(b",") + data.count(b"[") + data.count(b"{") > MAX_VALUES:
        raise EncodingError("too many values", where=where, expected=f"at most {MAX_VALUES}")
    check_depth(data, where)
    try:
        return json.loads(
            data.decode("utf-8", errors="strict"),
            parse_float=_no_float,
            parse_int=_integer,
            parse_constant=_no_constant,
            object_pairs_hook=_unique,
        )
    except EncodingError as error:
        place = f"{where}{_place_of_refused(data.decode('utf-8'))}"
        raise EncodingError(error.what, where=place, expected=error.expected) from None
    except UnicodeDecodeError as error:
        raise EncodingError("not UTF-8", where=f"{where}: byte {error.start}") from None
    except json.JSONDecodeError as error:
        raise EncodingError(f"not JSON: {error.msg}", where=f"{where}: byte {error.pos}") from None


def parse_canonical(data: bytes, where: str = "document", *, limit: int = MAX_DOCUMENT_BYTES) -> Json:
    """Parse bytes that must be exactly `canonical_json` of what they say.

    Raises:
        EncodingError: as `parse_json`, or the bytes differ from their canonical form (order, white space, escapes, trailing bytes).
    """
    document = parse_json(data, where, limit=limit)
    try:
        again = canonical_part(document, data)
    except EncodingError as error:
        raise EncodingError(error.what, where=f"{where}: {error.where}", expected=error.expected) from None
    if again != data:
        at = next((i for i, (a, b) in enumerate(zip(again, data, strict=False)) if a != b), min(len(again), len(data)))
        raise EncodingError(
            "not canonical JSON (RFC 8785)", where=f"{where}: byte {at}", expected="sorted, no white space"
        )
    return document


def canonical_part(part: Json, whole: bytes) -> bytes:
    """`canonical_json` of a part of what was parsed from `whole`, without checking again what the parser has checked.

    If the bytes are ASCII and canonical, so are the names: one that was escaped comes out otherwise than it went in, and then the
    comparison of `parse_canonical` fails as it should.
    """
    return _dumps(part) if whole.isascii() else canonical_json(part)


def members(node: Json, where: str, required: tuple[str, ...], optional: tuple[str, ...] = ()) -> dict[str, Json]:
    """An object that has exactly the `required` members and at most the `optional` ones besides; else EncodingError."""
    if not isinstance(node, dict):
        raise EncodingError(f"{type(node).__name__} in place of an object", where=where)
    for name in required:
        if name not in node:
            raise EncodingError(f"member {name!r} is missing", where=where)
    for name in node:
        if name not in required and name not in optional:
            raise EncodingError(f"unknown member {name[:64]!r}", where=where, expected=", ".join(required + optional))
    return node


def string(node: Json, where: str, *, max_length: int = 256) -> str:
    """A non-empty string of at most `max_length` printable characters; else EncodingError."""
    if not isinstance(node, str) or not 0 < len(node) <= max_length or not node.isprintable():
        raise EncodingError("not a printable string", where=where, expected=f"1 to {max_length} printable characters")
    return node


def integer(node: Json, where: str, *, low: int = -_MAX_SAFE, high: int = _MAX_SAFE) -> int:
    """A JSON integer in [low, high]; else EncodingError."""
    if not isinstance(node, int) or isinstance(node, bool) or not low <= node <= high:
        raise EncodingError("not an integer in range", where=where, expected=f"an integer from {low} to {high}")
    return node


def array(node: Json, where: str, *, max_length: int = 1_000_000) -> list[Json]:
    """A JSON array of at most `max_length` items; else EncodingError."""
    if not isinstance(node, list) or len(node) > max_length:
        raise EncodingError("not an array in range", where=where, expected=f"an array of at most {max_length} items")
    return node


_HEX = frozenset("0123456789abcdef")


def hex_bytes(node: Json, where: str, length: int) -> bytes:
    """Exactly `length` bytes in lower-case hexadecimal; else EncodingError."""
    if not isinstance(node, str) or len(node) != 2 * length or not _HEX.issuperset(node):
        raise EncodingError("not lower-case hexadecimal", where=where, expected=f"{2 * length} hexadecimal digits")
    return bytes.fromhex(node)


def to_base64(data: bytes) -> str:
    """Standard base64 with padding (RFC 4648 section 4), as DSSE uses."""
    return base64.b64encode(data).decode("ascii")


def from_base64(node: Json, where: str) -> bytes:
    """Inverse of `to_base64`; refuses any text that `to_base64` would not have written (EncodingError)."""
    if isinstance(node, str):
        try:
            data = base64.b64decode(node.encode("ascii"), validate=True)
        except (binascii.Error, UnicodeEncodeError):
            data = None
        if data is not None and to_base64(data) == node:
            return data
    raise EncodingError("not canonical base64", where=where, expected="standard base64 with padding")


def to_base64url(data: bytes) -> str:
    """Unpadded base64url (RFC 7515), as JWK uses."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def from_base64url(node: Json, where: str, length: int) -> bytes:
    """Inverse of `to_base64url` for exactly `length` bytes; else EncodingError."""
    if isinstance(node, str):
        try:
            data = base64.urlsafe_b64decode(node.encode("ascii") + b"=" * (-len(node) % 4))
        except (binascii.Error, UnicodeEncodeError):
            data = b""
        if len(data) == length and to_base64url(data) == node:
            return data
    raise EncodingError("not unpadded base64url", where=where, expected=f"{length} bytes in base64url")
