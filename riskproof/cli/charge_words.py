"""A charge of a model document in a sentence: `naked  notional: 0.5 % (initial), 0.3 % (maintenance) of naked short options`."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any, Final

from riskproof.risk.margining.exact import text

_EXPOSURES: Final = {
    "perpetual": "each perpetual at the index price",
    "perpetual_mark": "each perpetual at its mark",
    "future": "each future at the index price",
    "future_mark": "each future at its mark",
    "option": "options, long and short, by expiry",
    "option_short": "short options, by expiry",
    "option_naked_short": "naked short options, netted by strike, by expiry",
    "spot": "each asset at the index price",
    "collateral": "the value of each asset",
}
_MEASURES: Final = {
    "net": "the net delta",
    "gross": "the gross delta",
    "hedged": "the smaller side of the delta",
}
_KINDS: Final = {"spot": "assets", "perpetual": "perpetuals", "future": "futures", "option": "options"}


def charge_words(charge: dict[str, Any]) -> str:
    """The sentence of a charge of a checked model."""
    return f"{charge['kind']}: {_SENTENCES[charge['kind']](charge)}{_scope(charge.get('scope'))}"


def percent(share: str) -> str:
    return f"{text(Fraction(share) * 100)} %"


def rates(charge: dict[str, Any]) -> str:
    initial, maintenance = (percent(charge["rates"][m]) for m in ("initial", "maintenance"))
    return initial if initial == maintenance else f"{initial} (initial), {maintenance} (maintenance)"


def _listed(words: list[str], last: str = "and") -> str:
    return f" {last} ".join([*([", ".join(words[:-1])] if len(words) > 1 else []), words[-1]])


def _scope(scope: dict[str, Any] | None) -> str:
    if scope is None:
        return ""
    said = [f"on {_listed([_KINDS[kind] for kind in scope['kinds']])} only"] if "kinds" in scope else []
    for how, names in scope.get("underlyings", {}).items():
        said.append(f"of {_listed(names)} only" if how == "in" else f"of anything but {_listed(names, 'or')}")
    return "; " + ", ".join(said)


def _confidence(c: dict[str, Any]) -> str:
    missing = "refused" if "missing" not in c else f"taken for {text(Fraction(c['missing']))}"
    return (
        f"{rates(c)} of {_EXPOSURES[c['exposure']]}, times one less the least confidence of {_listed(c['feeds'])} where that is "
        f"below {c['threshold']}; a feed that is not published is {missing}"
    )


def _calendar(c: dict[str, Any]) -> str:
    def pair(s: dict[str, Any]) -> str:
        near, far = (f"{s[side]['from']} to {s[side]['to']}" for side in ("near", "far"))
        return f"{rates(s)} where {near} days are paired with {far}"

    return "delta of an expiry paired with opposite delta of another: " + "; ".join(map(pair, c["spreads"]))


def _offset(c: dict[str, Any]) -> str:
    pairs = (f"{rates(s)} for {_listed(s['legs'])}" for s in c["spreads"])
    return "a credit, the share of both losses whose deltas are opposite: " + "; ".join(pairs)


def _tiers(c: dict[str, Any]) -> str:
    return f"of {_EXPOSURES[c['exposure']]}: " + "; ".join(f"{rates(t)} beyond {t['beyond']}" for t in c["tiers"])


def _standard(c: dict[str, Any]) -> str:
    members = (f"{name} {c[name]}" for name in c if name not in ("kind", "id", "unpaired", "scope"))
    unpaired = rates({"rates": c["unpaired"]})
    return (
        "options by expiry, the better of isolated margin and the largest loss at settlement; "
        f"{', '.join(members)}; {unpaired} of the forward for calls that are short"
    )


def _fee(c: dict[str, Any]) -> str:
    cap = f", of an option at most {percent(c['cap'])} of its value" if "cap" in c else ""
    return f"{rates(c)} of the index price for closing all {_listed([_KINDS[kind] for kind in c['kinds']])}{cap}"


def _standalone(c: dict[str, Any]) -> str:
    group = f" in scenarios of group {c['group']}" if "group" in c else ""
    locked = "; an option ties up at least its value" if c["locked"] else ""
    return f"{rates(c)} of what each position loses by itself{group}{locked}"


_SENTENCES: Final[dict[str, Callable[[dict[str, Any]], str]]] = {
    "notional": lambda c: f"{rates(c)} of {_EXPOSURES[c['exposure']]}",
    "haircut": lambda c: "haircuts of the collateral block",
    "confidence": _confidence,
    "depeg": lambda c: (
        f"{rates(c)} of {_listed([_EXPOSURES[e] for e in c['exposures']])}, times what the settlement currency costs less than "
        f"{c['threshold']}"
    ),
    "basis": lambda c: (
        f"what the options of each expiry lose if its forward moves by {percent(c['up'])} or {percent(c['down'])}, "
        f"times {c['add']} and {c['per_year']} more for each year"
    ),
    "standard_option": _standard,
    "delta": lambda c: (
        f"{rates(c)} of {_MEASURES[c['measure']]} of each underlying"
        + (f" beyond {c['beyond']}" if "beyond" in c else "")
    ),
    "roll": lambda c: (
        f"{rates(c)} of the delta of each perpetual, each future and each expiry's options, or {percent(c['per_year'])} for each "
        "year if that is more"
    ),
    "stablecoin_hedge": lambda c: f"{rates(c)} of delta in one settlement currency that hedges delta in another",
    "calendar_spread": _calendar,
    "offset": _offset,
    "liquidity_tier": _tiers,
    "fee": _fee,
    "standalone": _standalone,
    "vega_term": lambda c: (
        f"{rates(c)} of what gains of expiries cancel of other expiries' losses in the volatility shock {c['vol']}"
    ),
    "rate": lambda c: f"{rates(c)} of the options' value times their years to expiry, netted over expiries",
}
