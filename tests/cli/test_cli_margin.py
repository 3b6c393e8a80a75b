"""models, margin, whatif and report: what they print, what they refuse."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import textwrap
from decimal import Decimal
from html.parser import HTMLParser
from pathlib import Path

import pytest
from cli_support import Run, document

from riskproof.risk.models import CHECKED

BOOK = ("--market", "market.json", "--portfolio", "book.csv")


@pytest.fixture
def sample(run: Run) -> Run:
    run("market", "sample", "--out", "market.json", "--book", "market-maker-a=book.csv")
    return run


def test_models_list_names_what_ships(run: Run) -> None:
    listed = document(run("models", "list", "--json"))["models"]
    assert {"crypto-pm", "derive-pm1", "derive-pm2", "derive-srm"} <= {m["name"] for m in listed}
    assert all(len(m["digest"]) == 64 and m["description"] for m in listed)
    text = run("models", "list").stdout
    assert all(m["name"] in text for m in listed)


def test_every_model_that_ships_can_be_shown_and_checked(run: Run) -> None:
    for m in document(run("models", "list", "--json"))["models"]:
        shown = run("models", "show", m["name"], "--json").stdout
        Path("model.json").write_text(shown.removesuffix("\n"))
        assert document(run("models", "check", "model.json", "--json")) == {**m, "unused": []}
        words = run("models", "show", m["name"]).stdout
        assert words.startswith(f"{m['name']} (version {m['version']})\ndigest {m['digest']}")
        assert f"{m['scenarios']} scenarios" in words or m["scenarios"] == 0


def test_what_was_checked_is_said_of_every_model_that_ships_and_of_no_other(run: Run) -> None:
    for m in document(run("models", "list", "--json"))["models"]:
        node = json.loads(run("models", "show", m["name"], "--json").stdout)
        said = node["checked"] if m["version"] == 2 else CHECKED[m["digest"]]
        paragraphs = run("models", "show", m["name"]).stdout.split("\n\n")
        assert textwrap.fill(said, 100) == paragraphs[2], m["name"]
    words = " ".join(run("models", "show", "crypto-pm").stdout.split())
    assert "Checked: the rows of the risk array are those of the kernel's literal twin" in words
    own = json.loads(run("models", "show", "crypto-pm", "--json").stdout) | {"max_snapshot_age_seconds": 60}
    Path("own.json").write_text(json.dumps(own, sort_keys=True, separators=(",", ":")))
    assert "hecked" not in run("models", "show", "own.json").stdout


def test_what_no_margin_depends_on_is_said(run: Run) -> None:
    node = json.loads(run("models", "show", "derive-pm2", "--json").stdout)
    node["grid"]["scenarios"][0]["group"] = "regulra"
    node["aggregate"]["account"]["initial"]["sum"].remove("charge.naked")
    node["aggregate"]["account"]["maintenance"]["sum"].remove("charge.naked")
    node["aggregate"]["account"]["spare"] = {"max": ["loss.tail", "0"]}
    Path("model.json").write_text(json.dumps(node))
    said = run("models", "check", "model.json").stdout.splitlines()[2:]
    unused = ["term spare", "charge naked", "scenarios of group regulra"]
    assert said == [f"no margin depends on: {what}" for what in unused]
    assert document(run("models", "check", "model.json", "--json"))["unused"] == unused


def test_models_show_writes_formulas(run: Run) -> None:
    text = run("models", "show", "derive-pm2").stdout
    assert re.search(r"worst: max\(loss\.regular, loss\.skew, loss\.tail, charge\.basis\)", text)
    assert "worst x (1 + 2 x max(0, 0.98 + -1 x feed.settlement_price))" in text
    assert re.search(r"naked +notional: 0\.5 % \(initial\), 0\.3 % \(maintenance\) of naked short options", text)


@pytest.mark.parametrize(
    ("path", "value", "where", "part"),
    [
        (("grid", "scenarios", 0, "weight"), "-1", "model.json.grid.scenarios[0].weight", "out of range"),
        (("grid", "scenarios", 1, "id"), "+18%/up", "model.json.grid.scenarios[1].id", "listed twice"),
        (("grid", "extra"), 1, "model.json.grid", "unknown member 'extra'"),
        (("limits", "legs"), 0, "model.json.limits.legs", ""),
        (("aggregate", "account", "initial"), "nothing", "model.json.aggregate.account.initial", "no number 'nothing'"),
        (("aggregate", "set", "worst"), "worst", "model.json.aggregate.set.worst", "a term needs itself"),
    ],
)
def test_check_points_at_the_member(
    run: Run, path: tuple[str | int, ...], value: object, where: str, part: str
) -> None:
    node = json.loads(run("models", "show", "derive-pm2", "--json").stdout)
    inner = node
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = value
    Path("model.json").write_text(json.dumps(node))
    error = document(run("models", "check", "model.json", "--json", code=2))["error"]
    assert (error["code"], error["where"]) == ("MODEL", where)
    assert part in error["what"]
    assert where in run("models", "check", "model.json", code=2).stderr


@pytest.mark.parametrize(
    ("data", "code", "part"),
    [
        (b"{", "ENCODING", ""),
        (b"[]", "MODEL", "list in place of an object"),
        (b'{"schema": "riskproof/model/v9"}', "MODEL", "not a risk model of a known version"),
        (b'{"schema": ["riskproof/model/v2"]}', "MODEL", "not a risk model of a known version"),
        (b'{"name": "x"}', "MODEL", "not a risk model of a known version"),
        (b'{"schema": "riskproof/model/v2"}', "MODEL", "is missing"),
        (b'{"name": "x", "schema": "riskproof/model/v1"}', "ENCODING", "not canonical"),
        (b'{"name":"x","schema":"riskproof/model/v1"}', "MODEL", "is missing"),
    ],
)
def test_what_is_no_model_is_refused(run: Run, data: bytes, code: str, part: str) -> None:
    Path("model.json").write_bytes(data)
    error = document(run("models", "check", "model.json", "--json", code=2))["error"]
    assert error["code"] == code
    assert part in error["what"]


def test_models_that_are_not_there(run: Run) -> None:
    error = document(run("models", "show", "nope", "--json", code=2))["error"]
    assert (error["code"], error["what"]) == ("MODEL", "no model 'nope' ships")
    assert "crypto-pm" in error["expected"]
    assert "cannot be read" in run("models", "check", "absent.json", code=2).stderr


@pytest.mark.parametrize("name", ["", "x" * 5000, "a\0b", "loop"])
def test_names_that_are_no_path(run: Run, name: str) -> None:
    Path("loop").symlink_to("loop")
    error = document(run("models", "show", name, "--json", code=2))["error"]
    assert (error["code"], error["what"]) == ("MODEL", f"no model {name[:64]!r} ships")


def test_margin_says_what_binds_and_what_netting_saves(sample: Run) -> None:
    got = document(sample("margin", *BOOK, "--positions", "--reverse-stress", "--json"))
    array = document(sample("array", *BOOK, "--json"))
    assert Decimal(got["initial_margin"]) * 10**6 == array["initial_margin_micros"]
    assert Decimal(got["maintenance_margin"]) * 10**6 == array["maintenance_margin_micros"]
    assert got["binding"]["initial"] == [
        {"set": "account", "candidate": "loss.all", "scenarios": [array["worst"]["id"]]}
    ]
    assert Decimal(got["equity"]) - Decimal(got["initial_margin"]) >= Decimal(got["excess_initial"])
    compared = {x["model"]: x for x in got["compared"]}
    assert set(compared) == {"cross", "isolated"}
    for x in compared.values():
        assert Decimal(x["saving"]) == Decimal(x["initial_margin"]) - Decimal(got["initial_margin"])
    shares = got["positions"]["shares"]
    total = sum(Decimal(x["initial"]) for x in shares)
    assert abs(total - Decimal(got["initial_margin"])) <= Decimal("0.000001") * (len(shares) + 1)
    assert {x["direction"] for x in got["reverse_stress"]} >= {"down", "up"}
    text = sample("margin", *BOOK, "--positions", "--reverse-stress").stdout
    assert f"binds: loss.all in scenario {array['worst']['id']}" in text
    assert "each position alone" in text
    assert "exhausts the equity at" in text


def test_what_binds_for_maintenance_is_said_where_it_is_something_else(sample: Run) -> None:
    """The scenarios' loss against a charge that is for initial margin alone."""
    node = json.loads(sample("models", "show", "tims10", "--json").stdout)
    node["charges"] = [
        {"id": "flat", "kind": "notional", "exposure": "perpetual", "rates": {"initial": "0.5", "maintenance": "0"}}
    ]
    best = {"max": ["joint.all", "charge.flat"]}
    node["aggregate"] = {"account": {"equity": "value.total", "initial": best, "maintenance": best}}
    Path("model.json").write_text(json.dumps(node))
    Path("book.csv").write_text("instrument,quantity\nBTC-PERPETUAL,100000\nUSD,500000\n")
    text = sample("margin", *BOOK, "--model", "model.json").stdout
    assert "\nbinds: charge.flat\nfor maintenance margin binds: joint.all in scenario -0.15\n" in text
    assert "for maintenance" not in sample("margin", *BOOK, "--model", "tims10").stdout


def test_many_netting_sets_are_told_together(sample: Run) -> None:
    """By expiry: what binds by line, candidates of all sets in one table, and the scenarios' column of what moves."""
    node = json.loads(sample("models", "show", "tims10", "--json").stdout)
    node["grid"] = {
        "scenarios": [
            {"id": "down", "price": "-0.2"},
            {"id": "up", "price": "0.2"},
            {"id": "f", "price": "0.1", "on": "forward"},
        ]
    }
    node["netting"] = {"sets": "expiry", "gain_factor": "0.5"}
    node["charges"] = []
    node["aggregate"] = {
        "set": {"worst": {"max": ["loss.all", "0"]}},
        "account": {"equity": "value.total", "initial": "worst", "maintenance": "joint.all"},
    }
    Path("model.json").write_text(json.dumps(node))
    rows = ["BTC-PERPETUAL,5", "BTC-30JAN26,-1", "BTC-27MAR26,-1", "ETH-PERPETUAL,-50", "USD,500000"]
    Path("book.csv").write_text("\n".join(["instrument,quantity", *rows]) + "\n")
    with_model = (*BOOK, "--model", "model.json")
    text = sample("margin", *with_model).stdout
    soon, far = "BTC 2026-01-30T08:00:00Z", "BTC 2026-03-27T08:00:00Z"
    assert "\nbinds:\n  loss.all in scenario down: BTC\n" in text
    assert f"\n  loss.all in scenario up: {soon}, {far}, ETH\n" in text
    assert "\nfor maintenance margin binds: scenario up, in all 4 netting sets\n" in text
    assert re.search(
        rf"\n  worst \(initial\) +binds +loss\.all +0\n  -.*\n  BTC +loss\.all +.*\n  {soon} +loss\.all +", text
    )
    assert [b["set"] for b in document(sample("margin", *with_model, "--json"))["binding"]["initial"]] == [
        "BTC",
        soon,
        far,
        "ETH",
    ]
    shown = sample("array", *with_model).stdout
    assert re.search(r"scenario +price +on +vol .*\n.*\n[> ] down +-0\.2 +all ", shown)
    assert re.search(r"\n[> ] f +0\.1 +forward ", shown)
    assert document(sample("array", *with_model, "--json"))["scenarios"][2]["on"] == "forward"
    sample("report", *with_model, "--out", "r.html")
    page = Path("r.html").read_text()
    assert (
        len(re.findall(rf'<tr><th scope="row">{soon}</th><td>loss.all</td><td>[0-9.,]+</td><td>0.00</td></tr>', page))
        == 2
    )
    assert "forward alone" in page


def test_files_in_the_wrong_place_are_named(sample: Run) -> None:
    swapped = sample("margin", "--market", "market.json", "--portfolio", "market.json", "--json", code=2)
    error = document(swapped)["error"]
    assert (error["what"], error["expected"]) == ("seems to be a market file", "a book for --portfolio")
    Path("keys.json").write_text('{"keys":[]}')
    error = document(sample("margin", "--market", "keys.json", "--portfolio", "book.csv", "--json", code=2))["error"]
    assert (error["what"], error["expected"]) == ("seems to be a set of public keys", "a market file for --market")


def test_margin_under_several_models(sample: Run) -> None:
    got = document(sample("margin", *BOOK, "--compare", "derive-srm", "--compare", "isolated", "--json"))
    assert [x["model"] for x in got["compared"]] == ["derive-srm", "isolated"]


def test_a_model_that_refuses_the_book(sample: Run) -> None:
    """Two underlyings under a model for one: an error where it was to be margined, a reason where it was to be compared."""
    error = document(sample("margin", *BOOK, "--model", "derive-pm2", "--json", code=2))["error"]
    assert (error["code"], error["where"]) == ("PORTFOLIO", "limits.underlyings")
    compared = ("--compare", "derive-pm2", "--compare", "derive-srm")
    refused, taken = document(sample("margin", *BOOK, *compared, "--json"))["compared"]
    assert refused == {"model": "derive-pm2", "refused": error}
    assert (taken["model"], "initial_margin" in taken) == ("derive-srm", True)
    text = sample("margin", *BOOK, *compared).stdout
    assert f"derive-pm2 does not take this book: {error['where']}: {error['what']}" in text
    assert re.search(r"\n  derive-srm +[\d,.]+", text)
    sample("report", *BOOK, *compared, "--out", "a.html")
    assert f"does not take this book: {error['where']}: {error['what']}" in Path("a.html").read_text()


def test_an_account_file_brings_unsettled_money(sample: Run) -> None:
    rows = [line.split(",") for line in Path("book.csv").read_text().splitlines()[1:]]
    perpetual = next(name for name, _ in rows if name.endswith("PERPETUAL"))
    account = {
        "schema": "riskproof/margin-account/v1",
        "positions": dict(rows),
        "receivables": {perpetual: {"pnl": "-100.5", "funding": "0.25"}},
    }
    Path("account.json").write_text(json.dumps(account))
    model = ("--model", "derive-srm", "--json")
    plain = document(sample("margin", *BOOK, *model))
    owing = document(sample("margin", "--market", "market.json", "--portfolio", "account.json", *model))
    assert Decimal(owing["equity"]) == Decimal(plain["equity"]) - Decimal("100.25")
    error = document(sample("margin", "--market", "market.json", "--portfolio", "account.json", "--json", code=2))[
        "error"
    ]
    assert (error["code"], error["where"]) == ("PORTFOLIO", "receivables")


def test_whatif_before_and_after(sample: Run) -> None:
    got = document(sample("whatif", *BOOK, "--trade", "BTC-PERPETUAL=1000", "--trade", "BTC=-1", "--json"))
    assert [t["instrument"] for t in got["trades"]] == ["BTC-PERPETUAL", "BTC"]
    assert got["before"]["initial_margin"] == document(sample("margin", *BOOK, "--json"))["initial_margin"]
    assert got["change"]["equity"] == "0"
    text = sample("whatif", *BOOK, "--trade", "BTC-PERPETUAL=1000").stdout
    assert re.search(r"initial margin +[\d,.]+ +[\d,.]+ +-?[\d,.]+", text)


@pytest.mark.parametrize(
    ("trades", "code", "where", "part"),
    [
        (("BTC",), "INPUT", "--trade 1", "not an instrument and a quantity"),
        (("=1",), "INPUT", "--trade 1", "not an instrument and a quantity"),
        (("BTC=1", "NOPE=1"), "UNKNOWN_INSTRUMENT", "--trade 2", "no instrument 'NOPE'"),
        (("BTC=1", "BTC=2"), "PORTFOLIO", "--trade 2", "BTC again"),
        (("BTC=0",), "PORTFOLIO", "--trade 1", "a trade of nothing"),
        (("BTC=0.0001",), "PORTFOLIO", "--trade 1", "not a whole number of lots"),
        (("BTC=x",), "UNIT", "--trade 1", "not a plain decimal"),
    ],
)
def test_trades_that_are_refused(sample: Run, trades: tuple[str, ...], code: str, where: str, part: str) -> None:
    options = [word for t in trades for word in ("--trade", t)]
    error = document(sample("whatif", *BOOK, *options, "--json", code=2))["error"]
    assert (error["code"], error["where"]) == (code, where)
    assert part in error["what"]


class _Page(HTMLParser):
    """Tags are closed in order; what the page loads."""

    void = frozenset({"meta", "br"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: set[str] = set()
        self.attributes: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)
        self.attributes |= {name for name, _ in attrs}
        if tag not in self.void:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_report_is_one_offline_page(sample: Run) -> None:
    sample("report", *BOOK, "--out", "a.html")
    sample("report", *BOOK, "--out", "b.html")
    page = Path("a.html").read_bytes()
    assert page == Path("b.html").read_bytes()
    assert len(page) < 6 * 1024 * 1024
    text = page.decode()
    parsed = _Page()
    parsed.feed(text)
    assert parsed.open == []
    assert not parsed.seen & {"script", "link", "img", "iframe", "object", "form"}
    assert not parsed.attributes & {"src", "style", "onclick", "onload"}
    assert "http:" not in text
    assert "https:" not in text
    assert "url(" not in text
    got = document(sample("margin", *BOOK, "--json"))
    worst = got["binding"]["initial"][0]["scenarios"][0]
    assert re.search(rf'<th scope="col" class="binds">{re.escape(worst)}<br>[^<]*<br>[^<]*<br>binds</th>', text)
    for line in Path("book.csv").read_text().splitlines()[1:]:
        assert line.split(",")[0] in text
    for title in ("Margin by model", "Greeks", "Charges", "What each position contributes"):
        assert title in text


def test_what_a_model_says_cannot_become_markup(sample: Run) -> None:
    node = json.loads(sample("models", "show", "cross", "--json").stdout)
    node["description"] = "<script>alert(1)</script> & \"quotes\" 'too'"
    Path("model.json").write_text(json.dumps(node))
    sample("report", *BOOK, "--model", "model.json", "--out", "a.html")
    text = Path("a.html").read_text()
    assert "<script" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; &quot;quotes&quot; &#x27;too&#x27;" in text


@pytest.mark.parametrize("name", ["crypto-pm", "derive-srm", "cross", "span16", "okx-like"])
def test_the_report_of_other_models(sample: Run, name: str) -> None:
    rows = Path("book.csv").read_text().splitlines(keepends=True)
    Path("book.csv").write_text(
        "".join(row for row in rows if row.partition(",")[0] not in ("BTC", "ETH"))
    )  # collateral
    sample("report", *BOOK, "--model", name, "--compare", "crypto-pm", "--out", "a.html")
    assert name in Path("a.html").read_text()


def test_the_report_of_joint_moves(sample: Run) -> None:
    """A model with a tail block and neither scenarios nor charges."""
    node = json.loads(sample("models", "show", "joint-es", "--json").stdout)
    next(s for s in node["tail"]["sets"] if s["method"] == "monte_carlo")["paths"] = 80
    Path("model.json").write_text(json.dumps(node))
    Path("book.csv").write_text("instrument,quantity\nBTC-PERPETUAL,100000\nUSD,500000\n")
    tails = document(sample("margin", *BOOK, "--model", "model.json", "--json"))["tails"]
    sample("report", *BOOK, "--model", "model.json", "--out", "a.html")
    text = Path("a.html").read_text()
    for t in tails:
        cells = [t["id"], t["measure"].replace("_", " ")]
        assert re.search(rf'<tr( class="binds")?><th scope="row">{cells[0]}</th><td>{cells[1]}</td>', text)
        assert t["worst"]["id"] in text
    assert '<tr class="binds"><th scope="row">stressed</th><td>worst loss</td>' in text
    assert "This model has no scenarios: its margin is made of joint moves.<" in text
    assert "This model has no charges." in text
    assert '<section id="book">' not in text  # a heat map of scenarios, of which there are none


def _joint_section() -> str:
    text = Path("a.html").read_text()
    parsed = _Page()
    parsed.feed(text)
    assert parsed.open == []
    return text.split('<section id="joint">')[1].split("</section>")[0]


def test_the_heat_map_of_joint_moves(sample: Run) -> None:
    """Sets side by side, the binding one first; the worst moves first; those beyond the value at risk marked; rows add up."""
    node = json.loads(sample("models", "show", "joint-es", "--json").stdout)
    next(s for s in node["tail"]["sets"] if s["method"] == "monte_carlo")["paths"] = 80
    Path("model.json").write_text(json.dumps(node))
    options = next(row for row in Path("book.csv").read_text().splitlines() if row.partition(",")[0].endswith("-C"))
    Path("book.csv").write_text(f"instrument,quantity\nBTC-PERPETUAL,100\nETH-PERPETUAL,-2000\nUSD,500000\n{options}\n")
    got = document(sample("margin", *BOOK, "--model", "model.json", "--json"))
    sample("report", *BOOK, "--model", "model.json", "--out", "a.html")
    text = _joint_section()
    assert "paths: 32 of 80 moves." in text
    assert "stressed: 32 of 75 moves." in text
    blocks = re.findall(r'<th scope="colgroup" colspan="(\d+)" class="s( bound)?">([^<]+)</th>', text)
    bound = next(t for t in got["tails"] if f"joint_tail.{t['id']}" == got["choices"][0]["binding"])
    assert [(width, bool(mark)) for width, mark, _ in blocks] == [("32", True), ("32", False)]
    assert blocks[0][2].startswith(f"{bound['id']}: {bound['measure'].replace('_', ' ')} ")
    assert blocks[0][2].endswith(", binds")
    heads = re.findall(
        r'<th scope="col"(?: class="([^"]*)")?>([^<]+)<br>BTC [-+]?[\d.]+%<br>ETH [-+]?[\d.]+%</th>', text
    )
    assert len(heads) == 64
    lines = re.findall(r'<tr class="(\w+)"><th scope="row">([^<]+)</th>(.*?)</tr>', text)
    rows = [
        (css, name, [int(x.replace(",", "")) for x in re.findall(r"<td[^>]*>(-?[\d,]+)</td>", cells)])
        for css, name, cells in lines
    ]
    book = rows[0][2]
    assert rows[0][:2] == ("total", "book")
    for start, block in ((0, blocks[0]), (32, blocks[1])):
        part = book[start : start + 32]
        assert part == sorted(part)
        t = next(t for t in got["tails"] if block[2].startswith(f"{t['id']}: "))
        assert heads[start][1] == t["worst"]["id"]
        quantile = Decimal(t["value_at_risk"] or t["worst"]["loss"])
        marked = ["binds" in css for css, _ in heads[start : start + 32]]
        assert any(marked)
        assert marked == sorted(marked, reverse=True)
        assert all((-x >= quantile) == mark for x, mark in zip(part, marked, strict=True) if abs(-x - quantile) > 1)
    for css in ("underlying", "expiry", "position"):
        columns = zip(*(pnl for c, _, pnl in rows if c == css), strict=True)
        assert all(abs(sum(column) - x) <= 4 for column, x in zip(columns, book, strict=True))  # each is rounded
    assert {"BTC", "ETH", "perpetual", "BTC-PERPETUAL", options.partition(",")[0]} <= {name for _, name, _ in rows}


def test_reports_of_empty_books(sample: Run) -> None:
    Path("book.csv").write_text("instrument,quantity\n")
    for name in ("crypto-pm", "joint-es", "isolated", "derive-pm2"):
        sample("report", *BOOK, "--model", name, "--out", "a.html")
        parsed = _Page()
        parsed.feed(Path("a.html").read_text())
        assert parsed.open == []
        text = Path("a.html").read_text()
        assert f"<h1>{name}: 0 positions at " in text
        assert "Nothing binds: there is no position that needs margin." in text
        assert '<section id="joint">' not in text
        assert 'class="binds">' not in text.split('<section id="array">')[1]
        assert ">binds " not in text


def test_scenarios_of_isolated_margin_do_not_bind(sample: Run) -> None:
    sample("report", *BOOK, "--model", "isolated", "--out", "a.html")
    text = Path("a.html").read_text()
    assert "the sum of the charges" in text
    assert 'class="binds">' not in text.split('<section id="book">')[1]
    assert ">-50%<" in text.split('<section id="book">')[1]  # its scan ranges are the moves themselves


def test_scenarios_that_share_a_place_in_the_heat_map(sample: Run) -> None:
    """A second group at the same moves, of more weight by its dampener's absence: the one that binds is seen."""
    node = json.loads(sample("models", "show", "tims10", "--json").stdout)
    twins = [{**s, "id": f"d{s['id']}", "dampener": "1000000000"} for s in node["grid"]["scenarios"]]
    node["grid"]["scenarios"] = twins + node["grid"]["scenarios"]
    Path("model.json").write_text(json.dumps(node))
    Path("book.csv").write_text("instrument,quantity\nBTC-PERPETUAL,100000\nUSD,500000\n")
    sample("report", *BOOK, "--model", "model.json", "--out", "a.html")
    section = Path("a.html").read_text().split('<section id="book">')[1].split("</section>")[0]
    assert "Where several scenarios have one place, the one that binds is shown" in section
    assert re.search(r">binds -[\d,]+<", section)


def test_prices_in_scan_ranges_are_not_shown_as_per_cent(sample: Run) -> None:
    Path("book.csv").write_text("instrument,quantity\nBTC-PERPETUAL,100000\nUSD,500000\n")
    sample("report", *BOOK, "--model", "span16", "--out", "a.html")
    section = Path("a.html").read_text().split('<section id="book">')[1].split("</section>")[0]
    heads = re.findall(r'<th scope="col">([^<]+)</th>', section)
    assert heads == [f"{p} scan" for p in ("-3", "-1", "-2/3", "-1/3", "0", "+1/3", "+2/3", "+1", "+3")]


@pytest.mark.parametrize("target", ["market.json", "./book.csv", "model.json", "other.json", "closes.json", "link"])
def test_a_report_never_replaces_what_it_is_made_from(sample: Run, target: str) -> None:
    for name in ("model.json", "other.json"):
        Path(name).write_text(sample("models", "show", "cross", "--json").stdout)
    Path("closes.json").write_text("{}")
    Path("link").symlink_to("market.json")
    before = {p.name: p.read_bytes() for p in Path().iterdir()}
    options = ("--model", "model.json", "--compare", "other.json", "--history", "closes.json")
    result = sample("report", *BOOK, *options, "--out", target, code=2)
    assert result.stderr.startswith("riskproof: --out: ")
    assert "is also an input or another output" in result.stderr
    assert {p.name: p.read_bytes() for p in Path().iterdir()} == before


def test_a_report_that_cannot_be_written(sample: Run) -> None:
    assert "cannot be written" in sample("report", *BOOK, "--out", "no/such/folder.html", code=2).stderr


LOADED = """
import sys
from click.testing import CliRunner
from riskproof.cli import main
for line in {lines}:
    done = CliRunner().invoke(main, line, catch_exceptions=False)
    assert done.exit_code == 0, done.output
print([name for name in ("numpy", "numba", "scipy.linalg", "cffi") if name in sys.modules])
"""


@pytest.mark.parametrize(
    ("model", "loaded"), [("derive-srm", "[]"), ("cross", "[]"), ("crypto-pm", "['numpy', 'numba']")]
)
def test_what_a_model_needs_is_loaded_and_no_more(sample: Run, model: str, loaded: str) -> None:
    lines = [["margin", *BOOK, "--model", model], ["whatif", *BOOK, "--model", model, "--trade", "BTC-PERPETUAL=1"]]
    script = LOADED.format(lines=lines)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == loaded


def test_what_the_compiler_went_without_is_there_for_others(run: Run) -> None:
    script = """
from riskproof.cli.compiled import load_compiler
load_compiler()
import sys
assert "numba.np.arraymath" in sys.modules and "scipy.linalg" not in sys.modules and "cffi" not in sys.modules
import cffi, scipy.linalg.cython_blas, scipy.optimize
cffi.FFI()
"""
    subprocess.run([sys.executable, "-c", script], check=True)
