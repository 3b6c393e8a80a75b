from __future__ import annotations

import hashlib
import json
import sys
from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from riskproof import encoding
from riskproof.errors import EncodingError

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
documents = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | text,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(text, inner, max_size=5),
    max_leaves=20,
)


@given(documents)
def test_documents_are_read_as_written(document: Any) -> None:
    data = encoding.canonical_json(document)
    assert encoding.parse_canonical(data) == document
    assert json.loads(data) == document


@given(documents, st.data())
def test_changed_bytes_are_canonical_for_something_else_or_refused(document: Any, data: st.DataObject) -> None:
    canonical = encoding.canonical_json(document)
    at = data.draw(st.integers(0, len(canonical) - 1))
    changed = canonical[:at] + bytes([data.draw(st.integers(0, 255))]) + canonical[at + 1 :]
    try:
        parsed = encoding.parse_canonical(changed)
    except EncodingError:
        return
    assert encoding.canonical_json(parsed) == changed


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b'{"b":1,"a":2}', r"here: byte 2: not canonical JSON"),
        (b'{"a": 1}', "not canonical JSON"),
        (b'{"a":1}\n', "not canonical JSON"),
        (b' {"a":1}', "not canonical JSON"),
        (rb'"\u0061"', "not canonical JSON"),
        (b'"/"'.replace(b"/", b"\\/"), "not canonical JSON"),
        (b"-0", "not canonical JSON"),
        (b'{"a":1', r"here: byte \d+: not JSON"),
        (b'{"a":1}{}', "not JSON: Extra data"),
        (b'{"a":1,"a":1}', "here: member name twice in one object"),
        (b'{"a":1.0}', r"number with a fraction or exponent: 1\.0"),
        (b'{"a":1e3}', "number with a fraction or exponent: 1e3"),
        (b"[NaN]", "NaN is not JSON"),
        (b"[-Infinity]", "-Infinity is not JSON"),
        (b"9007199254740992", r"integer beyond 2\^53 - 1"),
        (b"1" * 5000, r"integer beyond 2\^53 - 1"),
        (b"\xef\xbb\xbf1", "not JSON"),
        (b'"\xff"', "here: byte 1: not UTF-8"),
        (b"[" * 40 + b"]" * 40, "nested too deeply"),
        (b"[" * 100_000, "nested too deeply|not JSON"),
        (rb'"\ud800"', "cannot be written as canonical JSON"),
        (rb'{"\ud800":1}', "cannot be written as canonical JSON"),
        (b"", "not JSON"),
    ],
)
def test_bytes_that_are_not_canonical(data: bytes, message: str) -> None:
    with pytest.raises(EncodingError, match=message):
        encoding.parse_canonical(data, "here")


def test_size_limit() -> None:
    with pytest.raises(EncodingError, match=r"here: 11 bytes are too many \(expected at most 10\)"):
        encoding.parse_json(b"[1,2,3,4,5]", "here", limit=10)


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"a": 1.5}, r"\$\.a: float has no canonical form"),
        ([b"x"], r"\$\[0\]: bytes has no canonical form"),
        ({1: 2}, "member name is not a string"),
        (2**53, r"integer beyond 2\^53 - 1"),
        (-(2**53), r"integer beyond 2\^53 - 1"),
    ],
)
def test_documents_without_a_canonical_form(document: Any, message: str) -> None:
    with pytest.raises(EncodingError, match=message):
        encoding.canonical_json(document)


def test_keys_are_sorted_by_utf16_units() -> None:
    # RFC 8785, 3.2.3: U+1F600 sorts before U+FB33 by UTF-16 code units.
    assert encoding.canonical_json({"\ufb33": 1, "\U0001f600": 2}) == '{"\U0001f600":2,"\ufb33":1}'.encode()


def test_digest_layout() -> None:
    assert encoding.digest("t", b"body") == hashlib.sha256(b"\x01tbody").digest()
    header = b'{"shape":[1]}'
    layout = b"\x01t" + len(header).to_bytes(8, "little") + header + b"ab"
    assert encoding.digest_array("t", {"shape": [1]}, b"a", memoryview(b"b")) == hashlib.sha256(layout).digest()


def test_every_tag_is_its_own_and_versioned() -> None:
    tags = [value for name, value in vars(encoding).items() if name.startswith("TAG_")]
    assert len(tags) == len(set(tags)) >= 10
    for tag in tags:
        assert tag.startswith("riskproof/")
        assert tag.rsplit("/v", 1)[1].isdigit()
        assert len(tag) < 256


def test_members() -> None:
    assert encoding.members({"a": 1, "b": 2}, "x", ("a",), ("b",)) == {"a": 1, "b": 2}
    for node, message in (
        ([], "list in place of an object"),
        ({}, "x: member 'a' is missing"),
        ({"a": 1, "c": 2}, r"x: unknown member 'c' \(expected a, b"),
    ):
        with pytest.raises(EncodingError, match=message):
            encoding.members(node, "x", ("a",), ("b",))


def test_typed_nodes() -> None:
    for node in ("", "a\n", "x" * 257, 7, None, "\u200b"):
        with pytest.raises(EncodingError, match="not a printable string"):
            encoding.string(node, "x")
    for node in (True, "1", 1.0, 11, -1, None):
        with pytest.raises(EncodingError, match="an integer from 0 to 10"):
            encoding.integer(node, "x", low=0, high=10)
    for node in ({}, "ab", [1, 2, 3]):
        with pytest.raises(EncodingError, match="not an array in range"):
            encoding.array(node, "x", max_length=2)
    for node in ("AB", "abc", "zz", 7, "ab "):
        with pytest.raises(EncodingError, match="not lower-case hexadecimal"):
            encoding.hex_bytes(node, "x", 1)


@given(st.binary(max_size=70))
def test_base64_has_one_spelling(data: bytes) -> None:
    standard, url = encoding.to_base64(data), encoding.to_base64url(data)
    assert encoding.from_base64(standard, "x") == data
    assert encoding.from_base64url(url, "x", len(data)) == data
    for other in (standard + "\n", standard.rstrip("=") + "=" * 3, " " + standard):
        with pytest.raises(EncodingError, match="not canonical base64"):
            encoding.from_base64(other, "x")
    for other in (url + "=", url + "\n", "*" + url):
        with pytest.raises(EncodingError, match="not unpadded base64url"):
            encoding.from_base64url(other, "x", len(data))


@pytest.mark.parametrize("node", ["YR==", "é", None, 7, "YQ"])
def test_base64_with_stray_bits_or_of_another_type(node: Any) -> None:
    with pytest.raises(EncodingError):
        encoding.from_base64(node, "x")
    with pytest.raises(EncodingError):
        encoding.from_base64url(node if node != "YQ" else "YR", "x", 1)


@pytest.mark.parametrize(
    "hostile", [b"[" * 200_000, b'{"a":' * 100_000, b'["\\"' + b'["' * 100_000, b"[" * 33 + b"]" * 33]
)
def test_deep_nesting_is_refused_whatever_the_recursion_limit(hostile: bytes) -> None:
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(1_000_000)
    try:
        with pytest.raises(EncodingError, match="nested too deeply"):
            encoding.parse_json(hostile)
    finally:
        sys.setrecursionlimit(limit)


def test_brackets_in_strings_are_not_nesting() -> None:
    text = '[["a\\"' + "[{" * 100 + '\\\\"]]'
    assert encoding.parse_json(text.encode()) == [['a"' + "[{" * 100 + "\\"]]


LEAVES = st.none() | st.booleans() | st.text() | st.integers(-(2**53) + 1, 2**53 - 1)
TREES = st.recursive(LEAVES, lambda tree: st.lists(tree) | st.dictionaries(st.text(), tree))


@given(TREES)
def test_the_fast_writer_writes_rfc_8785(tree: object) -> None:
    try:
        expected = rfc8785.dumps(tree)
    except UnicodeEncodeError:
        return
    assert encoding.canonical_json(tree) == expected


@pytest.mark.parametrize(
    ("data", "where"),
    [
        (b'{"a":{"b":["1",{"cap":0.1}]}}', "here.a.b[1].cap: number with a fraction"),
        (b'{"a":[1,2,NaN]}', "here.a[2]: NaN is not JSON"),
        (b'{"a":[9007199254740992]}', "here.a[0]: integer beyond"),
        (b'{"a":{"b":1,"b":2}}', "here.a: member name twice"),
        (b'{"\\u001b[2J":1.5}', "here[0]: number with a fraction"),
        (b"1.5", "here: number with a fraction"),
        (b'{"a":1.5,', "here: number with a fraction"),
    ],
)
def test_what_is_refused_is_told_with_its_path(data: bytes, where: str) -> None:
    with pytest.raises(EncodingError) as raised:
        encoding.parse_json(data, "here")
    assert str(raised.value).startswith(where)
