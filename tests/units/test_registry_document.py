from __future__ import annotations

import copy
import hashlib
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from market_objects import CALL, EXPIRY, FUTURE, LISTED, ONE, PERPETUAL, PUT, SPOT, instruments, registries, registry

from riskproof import encoding
from riskproof.errors import EncodingError, InputError, RegistryError, UnitError, UnknownInstrumentError
from riskproof.market.registry import MAX_INSTRUMENTS, Instrument, Kind, OptionType, Payoff, Registry


@given(registries)
def test_registries_are_read_as_written(made: Registry) -> None:
    data = encoding.canonical_json(made.to_document())
    again = Registry.from_document(encoding.parse_canonical(data))
    assert again == made
    assert again.digest == made.digest
    for i, instrument in enumerate(made.instruments):
        assert made.index_of(instrument.name) == i
        assert made.instrument(i) is instrument
        assert instrument.name in made


@given(registries, st.lists(instruments(), max_size=8))
def test_an_extension_never_moves_an_index(made: Registry, more: list[Instrument]) -> None:
    try:
        extended = made.extended(more)
    except RegistryError as error:
        assert "listed with other terms" in error.what  # noqa: PT017 - the draw decides whether there is an error
        return
    extended.check_extends(made)
    assert extended.instruments[: len(made)] == made.instruments
    assert extended.extended(more) is extended
    assert (extended is made) == ({i.name for i in more} <= {i.name for i in made.instruments})


def test_digest() -> None:
    body = json.dumps(registry().to_document(), sort_keys=True, separators=(",", ":")).encode("ascii")
    tag = b"riskproof/registry/v1"
    assert registry().digest == hashlib.sha256(bytes([len(tag)]) + tag + body).digest()
    assert registry().digest.hex() == "5729a56952fcfa935bc2153a002ee580e2a180d1a31ba9aa2e816a9d6fb3ad25"


BAD_INSTRUMENTS: list[tuple[dict[str, Any], str]] = [
    ({"name": ""}, "name: not a name"),
    ({"name": "B" * 65}, "name: not a name"),
    ({"name": "BTC 1"}, "name: not a name"),
    ({"name": "ΒTC"}, "name: not a name"),
    ({"underlying": "X" * 17}, "underlying: not a name"),
    ({"unit": 0}, "unit is not positive"),
    ({"unit": -1}, "unit is not positive"),
    ({"unit": 2**63}, "unit is not positive"),
    ({"expiry": None}, "expiry is missing"),
    ({"expiry": 0}, "expiry is out of range"),
    ({"expiry": 253_402_300_800}, "expiry is out of range"),
    ({"strike": None}, "strike and option type go with options"),
    ({"option_type": None}, "strike and option type go with options"),
    ({"strike": 99_999}, "strike is out of the kernel's domain"),
    ({"strike": 10**16 + 1}, "strike is out of the kernel's domain"),
    ({"kind": Kind.FUTURE}, "strike and option type go with options"),
    ({"kind": Kind.PERPETUAL, "strike": None, "option_type": None}, "expiry where there is none"),
    ({"kind": Kind.SPOT, "strike": None, "option_type": None, "expiry": None}, "cannot have an inverse payoff"),
    ({"settlement": "USDC"}, "settlement: a settlement currency of a contract settled in the underlying coin"),
    ({"payoff": Payoff.LINEAR, "settlement": ""}, "settlement: not a name"),
    ({"payoff": Payoff.LINEAR, "settlement": "U" * 17}, "settlement: not a name"),
    ({"payoff": Payoff.LINEAR, "settlement": "US$"}, "settlement: not a name"),
    (
        {
            "kind": Kind.SPOT,
            "payoff": Payoff.LINEAR,
            "strike": None,
            "option_type": None,
            "expiry": None,
            "settlement": "USDC",
        },
        "settlement: a settlement currency of an asset that is held",
    ),
]


@pytest.mark.parametrize(("changes", "message"), BAD_INSTRUMENTS, ids=[str(b[0]) for b in BAD_INSTRUMENTS])
def test_instruments_with_wrong_terms(changes: dict[str, Any], message: str) -> None:
    terms = {
        "name": "BTC-6JAN26-90000-C",
        "kind": Kind.OPTION,
        "underlying": "BTC",
        "payoff": Payoff.INVERSE,
        "unit": ONE,
        "expiry": EXPIRY,
        "strike": 90_000 * ONE,
        "option_type": OptionType.CALL,
    }
    with pytest.raises(RegistryError, match=message):
        Instrument(**(terms | changes))


@pytest.mark.parametrize(
    ("constants", "message"),
    [
        ({"money_exponent": 16}, "money_exponent: money exponent is out of range"),
        ({"money_exponent": -1}, "money exponent is out of range"),
        ({"quantity_exponent": 13}, "quantity_exponent: quantity exponent is out of range"),
        ({"column_size": 100}, "column_size: column size is not served"),
    ],
)
def test_constants_out_of_range(constants: dict[str, int], message: str) -> None:
    with pytest.raises(RegistryError, match=message):
        registry(**constants)


def test_duplicates_and_too_many() -> None:
    with pytest.raises(RegistryError, match=r"instruments\[2\]: BTC is listed twice"):
        registry(SPOT, PERPETUAL, SPOT)
    many = tuple(Instrument(f"X{i}", Kind.SPOT, "X", Payoff.LINEAR, 1) for i in range(MAX_INSTRUMENTS + 1))
    with pytest.raises(RegistryError, match="too many instruments"):
        Registry("USD", many)
    assert len(Registry("USD", many[:-1])) == MAX_INSTRUMENTS


def test_settlement_currency() -> None:
    """A registry without one is the same bytes as before there were any (`test_digest`)."""
    coin = replace(FUTURE, payoff=Payoff.LINEAR, settlement="USDC")
    document = coin.to_document()
    assert document["settlement"] == "USDC"
    assert Instrument.from_document(document, "x") == coin
    assert "settlement" not in replace(coin, settlement=None).to_document()
    with pytest.raises(RegistryError, match=r"instruments\[1\]\.settlement: the numeraire as settlement currency"):
        registry(SPOT, replace(coin, settlement="USD"))
    for node in (None, 7):
        with pytest.raises(EncodingError, match=r"x\.settlement"):
            Instrument.from_document({**document, "settlement": node}, "x")
    with pytest.raises(RegistryError, match="listed with other terms"):
        registry(coin).extended([replace(coin, settlement="USDT")])


def test_unknown_names_and_indices() -> None:
    with pytest.raises(UnknownInstrumentError, match=r"row 7: no instrument 'ETH' in the registry"):
        registry().index_of("ETH", "row 7")
    for index in (-1, len(LISTED)):
        with pytest.raises(UnknownInstrumentError, match=f"no instrument at index {index}"):
            registry().instrument(index)
    assert "ETH" not in registry()


def test_columns() -> None:
    assert registry().columns == Registry("USD", ()).columns == 1
    spots = tuple(Instrument(f"X{i}", Kind.SPOT, "X", Payoff.LINEAR, 1) for i in range(513))
    assert Registry("USD", spots[:256]).columns == 1
    assert Registry("USD", spots[:257]).columns == 2
    assert Registry("USD", spots).columns == 3


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (registry(SPOT, PERPETUAL), "instruments were removed"),
        (registry(PERPETUAL, SPOT, FUTURE, CALL, PUT), r"instruments\[0\]: instrument 0 changed to BTC-PERPETUAL"),
        (registry(money_exponent=7), r"money_exponent changed to 7 \(expected 6"),
        (registry(column_size=512), "column_size changed"),
        (registry(quantity_exponent=4), "quantity_exponent changed"),
        (Registry("EUR", LISTED), "numeraire changed to EUR"),
    ],
)
def test_what_does_not_extend(other: Registry, message: str) -> None:
    with pytest.raises(RegistryError, match=message):
        other.check_extends(registry())


def changed(path: list[Any], value: Any) -> Any:
    document = copy.deepcopy(registry().to_document())
    node: Any = document
    for step in path[:-1]:
        node = node[step]
    if value is KeyError:
        del node[path[-1]]
    else:
        node[path[-1]] = value
    return document


BAD_DOCUMENTS: list[tuple[list[Any], Any, type[InputError], str]] = [
    (["schema"], "riskproof/registry/v2", EncodingError, "not a registry of this version"),
    (["schema"], KeyError, EncodingError, "member 'schema' is missing"),
    (["extra"], 1, EncodingError, "registry: unknown member 'extra'"),
    (["numeraire"], 7, EncodingError, "registry.numeraire: not a printable string"),
    (["money_exponent"], "6", EncodingError, "registry.money_exponent: not an integer"),
    (["money_exponent"], True, EncodingError, "not an integer"),
    (["instruments"], {}, EncodingError, "registry.instruments: not an array"),
    (["instruments", 3, "kind"], "swap", EncodingError, r"instruments\[3\]\.kind: not one of the choices: 'swap'"),
    (["instruments", 3, "kind"], [], EncodingError, "not one of the choices"),
    (["instruments", 3, "kind"], "OPTION", EncodingError, "not one of the choices"),
    (["instruments", 3, "payoff"], None, EncodingError, "not one of the choices"),
    (["instruments", 3, "unit"], 10**9, EncodingError, "unit: not a printable string"),
    (["instruments", 3, "unit"], "1e9", UnitError, "unit: not a canonical integer: '1e9'"),
    (["instruments", 3, "strike"], "-1", RegistryError, "strike is out of the kernel's domain"),
    (["instruments", 3, "strike"], KeyError, RegistryError, "strike and option type go with options"),
    (["instruments", 3, "expiry"], "1", EncodingError, "expiry: not an integer"),
    (["instruments", 3, "expiry"], None, EncodingError, "expiry: not an integer"),
    (["instruments", 3, "name"], "BTC", RegistryError, r"instruments\[3\]: BTC is listed twice"),
    (["instruments", 3, "colour"], "red", EncodingError, "unknown member 'colour'"),
]


@pytest.mark.parametrize(("path", "value", "error", "message"), BAD_DOCUMENTS)
def test_wrong_documents(path: list[Any], value: Any, error: type[InputError], message: str) -> None:
    with pytest.raises(error, match=message) as caught:
        Registry.from_document(changed(path, value))
    assert type(caught.value) is error
