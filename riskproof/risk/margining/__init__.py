"""The margin engine for models of version 2: venues' margin as data, evaluated exactly.

    model  = load_model("derive-pm2")                       or MarginModel.from_bytes(file)          document
    market = MarginMarket(...)                              exact numbers and feeds                  market
    account = Account.build(market, {"BTC-PERP": Fraction("-1.5"), "USDC": Fraction(1000)})          account
    report = evaluate_model(model, market, account)         -> MarginReport                          evaluate

    report = margin(load("crypto-pm"), market_file, book)   the same from a market file and a book,  markets
                                                            for models of version 1 and 2

    report.equity, report.initial, report.maintenance       Fractions, in the settlement currency
    report.excess_initial, report.excess_maintenance        equity less requirement; a venue's "net margin"
    report.charges                                          {id: (initial, maintenance)}
    report.choices                                          what each max and min chose: the binding candidate with all others
    report.sets[k].pnl[s]                                   P&L of netting set k in scenario s
    report.tails                                            measures under the joint moves of the model's tail block
    report.to_document()                                    decimal strings, rounded as the model says

Many accounts on one market: make one `UnitValues(model, market)` and pass it to every call; each instrument is then priced
once in each state. Thousands, of which only the margins are asked for:

    tables = MarginTables.build(model, market, decimals=2)                                           batch
    margins = evaluate_batch(tables, Accounts.of(market, accounts, decimals=2))                      int64 arrays

How it is put together, downwards: `evaluate` (scenarios, aggregate) > `tail_values`, `values` (unit values in joint moves, in
states), `joint` (sums over joint moves) > `document` (the whole model) > `charges`, `aggregate`, `collateral`, `tail`, `pricing`,
`volatility`, `grid` (one block of the document each) > `book`, `scope` (netting sets, exposures) > `account`, `market` (inputs) >
`nearest` (many prices at once; `nearest_kernel`) > `black76`, `exact` (numbers).
To add a charge: a class in `charges`, listed in `charges.KINDS`.
"""

from typing import TYPE_CHECKING, Any

from riskproof.risk.margining.account import Account
from riskproof.risk.margining.account_file import AccountFile, parse_account
from riskproof.risk.margining.document import MarginModel, load_model, shipped_models
from riskproof.risk.margining.evaluate import evaluate_model
from riskproof.risk.margining.market import Forward, Index, Listing, MarginMarket
from riskproof.risk.margining.markets import AnyModel, from_market, from_portfolio, load, margin, names, read
from riskproof.risk.margining.report import Choice, MarginReport, SetReport
from riskproof.risk.margining.values import UnitValues

if TYPE_CHECKING:
    from riskproof.risk.margining.batch import Accounts, BatchMargins, MarginTables, evaluate_batch

__all__ = [
    "Account",
    "AccountFile",
    "Accounts",
    "AnyModel",
    "BatchMargins",
    "Choice",
    "Forward",
    "Index",
    "Listing",
    "MarginMarket",
    "MarginModel",
    "MarginReport",
    "MarginTables",
    "SetReport",
    "UnitValues",
    "evaluate_batch",
    "evaluate_model",
    "from_market",
    "from_portfolio",
    "load",
    "load_model",
    "margin",
    "names",
    "parse_account",
    "read",
    "shipped_models",
]


def __getattr__(name: str) -> Any:
    if name in ("Accounts", "BatchMargins", "MarginTables", "evaluate_batch"):  # which need numpy and compiled code
        from riskproof.risk.margining import batch

        return getattr(batch, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
