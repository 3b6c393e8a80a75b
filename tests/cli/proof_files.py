"""Two attested accounts of one holder as files: short calls at venue a, hedged at venue b."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "proof"))

from proof_support import AUDIENCE, MODEL, NOW, Account, Venue, book, make_market, worst_loss_micros

from riskproof.attest.keys import generate_key_dir, public_key_set
from riskproof.proof.challenge import Challenge

BOUND = 100_000_000_000  # on the coarse grid, true of both accounts together and of neither alone


@dataclass(frozen=True)
class Books:
    """What the files in `folder` were made of."""

    folder: Path
    short: Account
    hedge: Account


def make_files(folder: Path) -> Books:
    """Write {a,b}-{att,open,keys,market}.json, the key folder `holder`, and c.json with BOUND."""
    key = generate_key_dir(folder / "holder", venue="alice")
    venue_a, venue_b = Venue("venue-a", make_market()), Venue("venue-b", make_market(300, quantity_exponent=4))
    short = venue_a.attest(book(venue_a.market, BTC_100000_C=-50_000, BTC=1000), holder=key)
    hedge = venue_b.attest(book(venue_b.market, BTC_100000_C=490_000, BTC_PERPETUAL=-500_000), holder=key)
    for name, account in (("a", short), ("b", hedge)):
        (folder / f"{name}-att.json").write_bytes(account.attestation)
        (folder / f"{name}-open.json").write_bytes(account.opening)
        (folder / f"{name}-keys.json").write_bytes(account.venue.keys.to_bytes())
        (folder / f"{name}-market.json").write_bytes(account.venue.market_bytes)
    (folder / "c.json").write_bytes(ask(BOUND).to_bytes())
    (folder / "holder.json").write_bytes(public_key_set([folder / "holder"]).to_bytes())
    return Books(folder, short, hedge)


def ask(bound_micros: int, *, audience: str = AUDIENCE) -> Challenge:
    """A challenge under the shipped model that lives for an hour around NOW."""
    return Challenge.new(audience=audience, bound_micros=bound_micros, model=MODEL, now=NOW - 5, embed_model=False)


def triple(*names: str, second: str = "open") -> list[str]:
    """--attestation, --opening (or --keys) and --market of accounts."""
    option = {"open": "--opening", "keys": "--keys"}[second]
    return [
        word
        for n in names
        for word in ("--attestation", f"{n}-att.json", option, f"{n}-{second}.json", "--market", f"{n}-market.json")
    ]


__all__ = ["BOUND", "NOW", "Books", "ask", "make_files", "triple", "worst_loss_micros"]
