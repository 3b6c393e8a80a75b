"""Bounds on the coarse grid, and the leak budget: what costs what, when it is refused, and what the holder's file survives."""

from __future__ import annotations

import itertools
import json
import multiprocessing
import os
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from riskproof import units
from riskproof.attest.payload import Disclosed, Policy
from riskproof.errors import LeakBudgetError, ProofError
from riskproof.proof import holder_budget
from riskproof.proof.grid import COARSE, EXACT, Grid
from riskproof.proof.holder_budget import BUDGET_FILE, HolderBudget
from riskproof.proof.leakage import (
    ANSWER_POINTS,
    DEFAULT_LIMIT,
    NEW_MODEL_POINTS,
    TIGHT_POINTS,
    WINDOW_SECONDS,
    WORST_SCENARIO_POINTS,
    AttestedBook,
    Event,
    Record,
    account_key,
    admit,
    answer_events,
    audience_key,
    balance,
    book_key,
    check_bound,
    check_slack_bits,
    figures_points,
    is_tight,
)

NOW = 1_768_382_600
DAY = units.SECONDS_PER_DAY
NONE = Disclosed(Policy.NONE)
OWN, OTHER = bytes([1]) * 32, bytes([2]) * 32
BOOK = AttestedBook("venue-a", "client-7", ((3, -2_500), (17, 40)), bytes([3]) * 32, bytes([4]) * 32, OWN, NONE)


def ask(
    *books: AttestedBook,
    audience: str = "lender",
    bound: int = 12 * 10**10,
    statement: str = "loss",
    bits: int = 64,
    model: bytes = OWN,
) -> tuple[Event, ...]:
    """The events of an answer to a challenge about `books`."""
    return answer_events(
        books or (BOOK,),
        audience=audience,
        statement=statement,
        bound_micros=bound,
        slack_bits=bits,
        usual_slack_bits=64,
        model_digest=model,
    )


def coarse(number: int) -> int:
    """The number-th bound of two digits from 10 million micros on; different ones for different numbers."""
    return int((10 + number % 90) * 10 ** (6 + number // 90))


def recorded(events: tuple[Event, ...], at: int) -> list[Record]:
    return [Record(e, at) for e in events]


# ---- bounds ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("micros", "nearest"),
    [
        (125_000_000_000, "120000 or 130000"),
        (124_999_999_999, "120000 or 130000"),
        (101, "0.0001 or 0.00011"),
        (99_500_001, "99 or 100"),
        (units.INT64_MAX, "9200000000000"),  # the next grid point does not fit
    ],
)
def test_a_tight_bound_is_refused_and_the_nearest_ones_named(micros: int, nearest: str) -> None:
    assert is_tight(micros)
    with pytest.raises(ProofError, match="more than two significant digits: a tight bound is close to an exact") as e:
        check_bound(micros)
    assert (e.value.where, e.value.expected) == ("bound", nearest)
    check_bound(micros, allow_tight=True)


@pytest.mark.parametrize("micros", [0, 7, 99, 100, 120, 130_000_000_000, 92 * 10**17])
def test_coarse_bounds_pass(micros: int) -> None:
    assert not is_tight(micros)
    check_bound(micros)


def test_few_slack_bits_are_a_bound_on_gains() -> None:
    with pytest.raises(ProofError, match="slacks of 56 bits bound the gain of every scenario too") as e:
        check_slack_bits(56, 64)
    assert (e.value.where, e.value.expected) == ("slack_bits", "64 or more")
    check_slack_bits(56, 64, allow_tight=True)
    check_slack_bits(64, 64)
    check_slack_bits(96, 64)


@pytest.mark.parametrize(
    "grid", [COARSE, Grid(significant_digits=1), Grid(significant_digits=3), Grid(step_micros=10**15)]
)
def test_size_of_a_grid_is_the_number_of_its_points(grid: Grid) -> None:
    count, point = 1, 0
    while (point := point + (grid.step_micros or grid.step_at(point))) <= units.INT64_MAX:
        assert grid.contains(point)
        count += 1
    assert grid.size(signed=False) == count
    assert grid.size(signed=True) == 2 * count - 1


def test_size_of_the_finest_grids() -> None:
    assert EXACT.size(signed=False) == 2**63
    assert COARSE.size(signed=False) == 1_623
    top = units.INT64_MAX // 10
    assert Grid(significant_digits=18).size(signed=False) == 10**18 + top - 10**17 + 1


# ---- what is counted -------------------------------------------------------------------------------------------------


def test_an_answer_costs_a_point_a_new_model_and_a_tight_bound_more() -> None:
    assert [e.points for e in ask()] == [ANSWER_POINTS]
    assert [e.points for e in ask(model=OTHER)] == [NEW_MODEL_POINTS, ANSWER_POINTS]
    assert [e.points for e in ask(bound=125 * 10**9)] == [TIGHT_POINTS]
    assert [e.points for e in ask(bits=56)] == [TIGHT_POINTS]
    assert [e.points for e in ask(bits=72)] == [ANSWER_POINTS]
    assert EXACT.size(signed=False) == 2**TIGHT_POINTS  # a tight bound is one of as many numbers


def figures(policy: Policy, grid: Grid, scenarios: int = 3) -> Disclosed:
    return Disclosed.of(
        policy,
        grid,
        initial_margin_micros=1_300_000,
        maintenance_margin_micros=1_000_000,
        worst_scenario="a",
        pnl_micros=tuple(range(0, -100 * scenarios, -100)),
    )


def test_disclosed_figures_cost_the_bits_of_their_grid() -> None:
    assert figures_points(NONE) == 0
    assert figures_points(figures(Policy.MARGIN, COARSE)) == 2 * 11 + WORST_SCENARIO_POINTS
    assert figures_points(figures(Policy.ARRAY, COARSE)) == 2 * 11 + WORST_SCENARIO_POINTS + 3 * 12
    assert figures_points(figures(Policy.MARGIN, EXACT)) == 2 * 63 + WORST_SCENARIO_POINTS
    assert figures_points(figures(Policy.ARRAY, EXACT, 16)) == 2 * 63 + WORST_SCENARIO_POINTS + 16 * 64


def test_figures_are_charged_once_and_again_when_they_change() -> None:
    shown = replace(BOOK, disclosed=figures(Policy.MARGIN, COARSE))
    first = ask(shown)
    assert [e.points for e in first] == [34, ANSWER_POINTS]
    again = admit(recorded(first, NOW), ask(shown, bound=13 * 10**10), now=NOW)
    assert [e.points for e in again] == [ANSWER_POINTS]
    other = replace(shown, snapshot_digest=OTHER)
    with pytest.raises(LeakBudgetError, match="costs 35 of 64 points and 29 are left"):
        admit(recorded(first, NOW), ask(other), now=NOW)


def test_an_exact_margin_is_more_than_the_budget() -> None:
    shown = replace(BOOK, disclosed=figures(Policy.MARGIN, EXACT))
    with pytest.raises(LeakBudgetError, match="costs 139 of 64 points and 64 are left") as e:
        admit([], ask(shown), now=NOW)
    assert e.value.expected == "a limit of 139 or more, if the audience may know that much"
    assert len(admit([], ask(shown), now=NOW, limit=139)) == 2


def test_the_same_question_is_free_and_every_other_is_not() -> None:
    asked = ask()
    records = recorded(asked, NOW)
    assert admit(records, ask(), now=NOW + 400 * DAY) == ()
    second = replace(BOOK, account_id="client-8")
    for other in (
        ask(bound=13 * 10**10),
        ask(statement="solvency"),
        ask(bits=72),
        ask(audience="other"),
        ask(model=OTHER)[1:],
        ask(replace(BOOK, snapshot_digest=OTHER)),
        ask(replace(BOOK, registry_digest=OTHER)),
        ask(replace(BOOK, positions=((3, -2_499), (17, 40)))),
        ask(replace(BOOK, venue="venue-b")),
        ask(second),
        ask(BOOK, second)[:1],
    ):
        assert len(other) == 1
        assert admit(records, other, now=NOW) == other
    both = ask(BOOK, second)
    assert admit(recorded(both, NOW), ask(second, BOOK), now=NOW) == ()  # their order says nothing
    assert admit([], asked * 3, now=NOW) == asked


def test_a_model_is_new_once_for_each_account_and_audience() -> None:
    records = recorded(ask(model=OTHER), NOW)
    assert [e.points for e in admit(records, ask(model=OTHER, bound=13 * 10**10), now=NOW)] == [ANSWER_POINTS]
    assert len(admit(records, ask(model=bytes([9]) * 32, bound=13 * 10**10), now=NOW)) == 2
    assert len(admit(records, ask(model=OTHER, bound=13 * 10**10, audience="other"), now=NOW)) == 2
    # own at one venue, new at the other
    second = replace(BOOK, venue="venue-b", model_digest=OTHER)
    assert [e.points for e in ask(BOOK, second, model=OTHER)] == [3, 1, 1]


def test_names_do_not_run_into_each_other() -> None:
    assert account_key("a", "bc") != account_key("ab", "c")
    assert len({account_key("a", "b"), audience_key("a"), audience_key("b")}) == 3
    account = account_key("a", "b")
    assert book_key(account, [(3, 1), (1, -2)]) == book_key(account, [(1, -2), (3, 1)])
    assert book_key(account, [(1, -2)]) != book_key(account, [(1, 2)])
    assert book_key(account, [(1, 2)]) != book_key(account_key("a", "c"), [(1, 2)])
    huge = (1 << 63) - 1
    assert book_key(account, [(1, huge)]) != book_key(account, [(1, huge - 1)])


def test_a_book_does_not_show_in_reprs() -> None:
    text = repr(BOOK)
    assert "client-7" not in text
    assert "2500" not in text


# ---- the budget ------------------------------------------------------------------------------------------------------


def spend(count: int, at: int, book: AttestedBook = BOOK, first: int = 0) -> list[Record]:
    """`count` answers, each about another bound, one an hour from `at` on."""
    asked = (ask(book, bound=coarse(first + n)) for n in range(count))
    return [r for n, events in enumerate(asked) for r in recorded(events, at + 3600 * n)]


def test_the_budget_ends() -> None:
    records = spend(DEFAULT_LIMIT - 1, NOW)
    assert balance(records, records[0].event, now=NOW + DAY).left == 1
    last = admit(records, ask(bound=coarse(70)), now=NOW + 3 * DAY)
    records += recorded(last, NOW + 3 * DAY)
    with pytest.raises(LeakBudgetError, match="costs 1 of 64 points and 0 are left for this account and audience") as e:
        admit(records, ask(bound=coarse(71)), now=NOW + 3 * DAY)
    assert e.value.where == "leak budget"
    assert e.value.expected == "a book that has changed: one that stays the same has one budget for good"
    assert admit(records, ask(bound=coarse(71), audience="other"), now=NOW + 3 * DAY)
    assert admit(records, ask(bound=coarse(70)), now=NOW + 3 * DAY) == ()  # what was answered may be said again


def test_neither_a_fresh_attestation_nor_a_trade_renews_it() -> None:
    records = spend(DEFAULT_LIMIT, NOW)
    now = NOW + 4 * DAY
    for fresh in (
        replace(BOOK, snapshot_digest=OTHER),
        replace(BOOK, registry_digest=OTHER),
        replace(BOOK, positions=((3, -2_501), (17, 40))),
        replace(BOOK, positions=((5, 1),)),
    ):
        with pytest.raises(LeakBudgetError, match="0 are left"):
            admit(records, ask(fresh, bound=coarse(71)), now=now)


def test_time_renews_it_for_a_book_that_has_changed() -> None:
    records = spend(DEFAULT_LIMIT, NOW)
    traded = replace(BOOK, positions=((3, -2_501), (17, 40)))
    before, after = NOW + WINDOW_SECONDS - 1, NOW + WINDOW_SECONDS
    with pytest.raises(LeakBudgetError) as e:
        admit(records, ask(traded, bound=coarse(71)), now=before)
    assert e.value.expected == f"to ask again from {units.format_time(after)} on"
    assert admit(records, ask(traded, bound=coarse(71)), now=after)  # one point has come back, and no more:
    records += recorded(ask(traded, bound=coarse(71)), after)
    with pytest.raises(LeakBudgetError) as e:
        admit(records, ask(traded, bound=coarse(72)), now=after)
    assert e.value.expected == f"to ask again from {units.format_time(after + 3600)} on"
    with pytest.raises(LeakBudgetError, match="0 are left") as e:
        admit(records, ask(bound=coarse(71)), now=NOW + 400 * DAY)
    assert e.value.expected == "a book that has changed: one that stays the same has one budget for good"


def test_the_time_named_is_the_first_at_which_it_passes() -> None:
    traded = replace(BOOK, positions=((3, 7),))
    records = spend(60, NOW) + spend(3, NOW + 5 * DAY, replace(BOOK, positions=((3, 8),)))
    wanted = ask(traded, bound=coarse(71), model=OTHER)  # four points, one is left
    with pytest.raises(LeakBudgetError, match="costs 4 of 64 points and 1 are left") as e:
        admit(records, wanted, now=NOW + 6 * DAY)
    at = NOW + WINDOW_SECONDS + 2 * 3600
    assert e.value.expected == f"to ask again from {units.format_time(at)} on"
    assert admit(records, wanted, now=at) == wanted
    with pytest.raises(LeakBudgetError):
        admit(records, wanted, now=at - 1)


def test_a_clock_set_back_does_not_renew_it() -> None:
    records = spend(DEFAULT_LIMIT, NOW)
    traded = replace(BOOK, positions=((3, 7),))
    with pytest.raises(LeakBudgetError, match="0 are left"):
        admit(records, ask(traded, bound=coarse(71)), now=NOW - 400 * DAY)


def test_a_proof_over_two_accounts_is_charged_to_both_or_to_none() -> None:
    second = replace(BOOK, venue="venue-b")
    records = spend(DEFAULT_LIMIT, NOW, second)
    with pytest.raises(LeakBudgetError, match="0 are left"):
        admit(records, ask(BOOK, second, bound=coarse(80)), now=NOW)
    assert len(admit(records, ask(BOOK, bound=coarse(80)), now=NOW)) == 1
    assert len(admit([], ask(BOOK, second, bound=coarse(80)), now=NOW)) == 2


def test_two_books_of_one_account_share_its_window() -> None:
    other = replace(BOOK, positions=((3, 7),))
    events = ask(BOOK) + ask(other)
    assert len(admit([], events, now=NOW, limit=2)) == 2
    with pytest.raises(LeakBudgetError, match="costs 2 of 1 points and 1 are left"):
        admit([], events, now=NOW, limit=1)


@pytest.mark.parametrize("limit", [-1, 1_000_001])
def test_limits_out_of_range(limit: int, tmp_path: Path) -> None:
    for call in (
        lambda: admit([], ask(), now=NOW, limit=limit),
        lambda: balance([], ask()[0], now=NOW, limit=limit),
        lambda: HolderBudget(tmp_path).charge(ask(), now=NOW, limit=limit),
    ):
        with pytest.raises(ProofError, match=f"{limit} points") as e:
            call()
        assert (e.value.where, e.value.expected) == ("leak limit", "0 to 1000000")
    with pytest.raises(ProofError, match="now: out of range"):
        admit([], ask(), now=-1)
    assert not (tmp_path / BUDGET_FILE).exists()


def test_a_limit_of_nothing_answers_nothing() -> None:
    with pytest.raises(LeakBudgetError, match="costs 1 of 0 points and 0 are left"):
        admit([], ask(), now=NOW, limit=0)


# ---- the holder's file -----------------------------------------------------------------------------------------------


def test_a_charge_is_on_disk_when_it_returns(tmp_path: Path) -> None:
    budget = HolderBudget(tmp_path)
    assert budget.charge(ask(), now=NOW) == 63
    assert budget.charge(ask(), now=NOW + 1) == 63
    assert HolderBudget(tmp_path).charge(ask(bound=13 * 10**10), now=NOW + 2) == 62
    file = tmp_path / BUDGET_FILE
    assert file.stat().st_mode & 0o777 == 0o600
    assert [p.name for p in tmp_path.iterdir()] == [BUDGET_FILE]
    document = json.loads(file.read_text())
    assert [(r["points"], r["at"]) for r in document["records"]] == [(1, NOW), (1, NOW + 2)]


def test_a_refusal_writes_nothing(tmp_path: Path) -> None:
    budget = HolderBudget(tmp_path)
    with pytest.raises(LeakBudgetError, match="costs 63 of 62 points"):
        budget.charge(ask(bound=125 * 10**9), now=NOW, limit=62)
    assert list(tmp_path.iterdir()) == []
    assert budget.charge(ask(bound=125 * 10**9), now=NOW) == 1
    before = (tmp_path / BUDGET_FILE).read_bytes()
    with pytest.raises(LeakBudgetError, match="costs 63 of 64 points and 1 are left"):
        budget.charge(ask(bound=126 * 10**9), now=NOW)
    assert (tmp_path / BUDGET_FILE).read_bytes() == before


def test_nothing_readable_and_nothing_linkable_in_the_file(tmp_path: Path) -> None:
    texts = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        HolderBudget(tmp_path / name).charge(ask(), now=NOW)
        texts.append((tmp_path / name / BUDGET_FILE).read_text())
    for text in texts:
        for word in (
            "client-7",
            "venue-a",
            "lender",
            "2500",
            *(e.account.hex() for e in ask()),
            *(e.book.hex() for e in ask()),
        ):
            assert word not in text
    one, two = (json.loads(t)["records"][0] for t in texts)
    assert all(one[name] != two[name] for name in ("account", "audience", "book", "subject"))


def damaged(file: Path, mutate: str) -> None:
    data = file.read_bytes()
    document = json.loads(data)
    match mutate:
        case "truncated":
            file.write_bytes(data[:-5])
        case "empty":
            file.write_bytes(b"")
        case "trailing":
            file.write_bytes(data + b"\n")
        case "a point less":
            file.write_bytes(data.replace(b'"points":63', b'"points":1'))
        case "a record less":
            file.write_bytes(json.dumps(document | {"records": []}, sort_keys=True, separators=(",", ":")).encode())
        case "another version":
            file.write_bytes(data.replace(b"leak-budget/v1", b"leak-budget/v2"))
        case "another salt":
            file.write_bytes(data.replace(document["salt"].encode(), bytes(32).hex().encode()))


@pytest.mark.parametrize(
    ("mutation", "reason"),
    [
        ("truncated", "not JSON"),
        ("empty", "not JSON"),
        ("trailing", "not canonical JSON"),
        ("a point less", "check: not the digest of the rest"),
        ("a record less", "check: not the digest of the rest"),
        ("another version", "schema: not a leak budget of this version"),
        ("another salt", "check: not the digest of the rest"),
    ],
)
def test_a_damaged_file_is_refused_and_left_alone(tmp_path: Path, mutation: str, reason: str) -> None:
    budget, file = HolderBudget(tmp_path), tmp_path / BUDGET_FILE
    budget.charge(ask(bound=125 * 10**9), now=NOW)
    damaged(file, mutation)
    before = file.read_bytes()
    with pytest.raises(LeakBudgetError, match="damaged, and what was answered is not known: ") as e:
        budget.charge(ask(), now=NOW)
    assert reason in e.value.what
    assert (e.value.where, e.value.expected) == (str(file), "the file of the last backup")
    assert file.read_bytes() == before


def test_a_file_that_is_not_the_holders_own_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    budget, file = HolderBudget(tmp_path), tmp_path / BUDGET_FILE
    budget.charge(ask(), now=NOW)
    file.chmod(0o640)
    with pytest.raises(LeakBudgetError, match="mode 0640 lets others in"):
        budget.charge(ask(), now=NOW)
    file.chmod(0o600)
    with monkeypatch.context() as patch:
        patch.setattr(os, "geteuid", lambda: file.stat().st_uid + 1)
        with pytest.raises(LeakBudgetError, match="belongs to another user"):
            budget.charge(ask(), now=NOW)
    file.rename(tmp_path / "elsewhere")
    file.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(LeakBudgetError, match="cannot be read"):
        budget.charge(ask(), now=NOW)
    file.unlink()
    os.mkfifo(file, 0o600)
    with pytest.raises(LeakBudgetError, match="not a regular file"):
        budget.charge(ask(), now=NOW)
    with pytest.raises(LeakBudgetError, match="cannot be opened: No such file") as e:
        HolderBudget(tmp_path / "none").charge(ask(), now=NOW)
    assert e.value.expected == "the folder of the holder's key"


def test_a_full_disk_counts_nothing_and_lets_nothing_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    budget, file = HolderBudget(tmp_path), tmp_path / BUDGET_FILE
    budget.charge(ask(), now=NOW)
    before = file.read_bytes()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(LeakBudgetError, match="cannot be written: No space left on device"):
            budget.charge(ask(audience="other"), now=NOW)
    assert file.read_bytes() == before
    assert budget.charge(ask(audience="other"), now=NOW) == 63  # what the attempt left is no obstacle
    assert [p.name for p in tmp_path.iterdir()] == [BUDGET_FILE]


def test_a_full_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(holder_budget, "MAX_RECORDS", 2)
    budget = HolderBudget(tmp_path)
    for n in range(2):
        budget.charge(ask(bound=coarse(n)), now=NOW)
    with pytest.raises(LeakBudgetError, match="holds 2 records, which is all it can"):
        budget.charge(ask(bound=coarse(2)), now=NOW)
    assert budget.charge(ask(bound=coarse(1)), now=NOW) == 62


def test_threads_do_not_overspend(tmp_path: Path) -> None:
    done: list[int] = []
    refused: list[str] = []

    def run(first: int) -> None:
        for n in range(first, first + 8):
            try:
                HolderBudget(tmp_path).charge(ask(bound=coarse(n)), now=NOW, limit=20)
                done.append(n)
            except LeakBudgetError as error:
                refused.append(error.what)

    threads = [threading.Thread(target=run, args=(8 * t,)) for t in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert (len(done), len(refused)) == (20, 12)
    assert all("0 are left" in what for what in refused)
    assert len(json.loads((tmp_path / BUDGET_FILE).read_text())["records"]) == 20


def charge_many(folder: str, first: int) -> None:
    for n in range(first, first + 10):
        HolderBudget(folder).charge(ask(bound=coarse(n)), now=NOW)


def test_processes_lose_no_charge(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=charge_many, args=(str(tmp_path), 10 * n)) for n in range(2)]
    for w in workers:
        w.start()
    for w in workers:
        w.join()
    assert [w.exitcode for w in workers] == [0, 0]
    subjects = [r["subject"] for r in json.loads((tmp_path / BUDGET_FILE).read_text())["records"]]
    assert len(set(subjects)) == 20


def test_a_lock_that_does_not_come_free_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    holding = (
        "import fcntl, os, sys; f = os.open(sys.argv[1], os.O_RDONLY); fcntl.flock(f, fcntl.LOCK_EX);"
        "print('held', flush=True); sys.stdin.read()"
    )
    monkeypatch.setattr(holder_budget, "LOCK_SECONDS", 0.05)
    command = [sys.executable, "-c", holding, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(LeakBudgetError, match="another process holds the budget"):
            HolderBudget(tmp_path).charge(ask(), now=NOW)
        other.kill()  # a process that dies lets go
    assert HolderBudget(tmp_path).charge(ask(), now=NOW) == 63


def test_no_events_cost_nothing(tmp_path: Path) -> None:
    assert HolderBudget(tmp_path).charge((), now=NOW) == DEFAULT_LIMIT
    assert list(tmp_path.iterdir()) == []


def test_coarse_bounds_of_these_tests_are_coarse() -> None:
    bounds = [coarse(n) for n in range(200)]
    assert len(set(bounds)) == 200
    assert all(COARSE.contains(b) for b in bounds)
    assert all(a < b for a, b in itertools.pairwise(bounds))
