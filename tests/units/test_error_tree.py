from __future__ import annotations

import copy
import pickle
import re

import pytest

from riskproof import errors
from riskproof.errors import InputError, RiskproofError

ALL = [value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, RiskproofError)]


def test_the_docstring_draws_the_tree() -> None:
    drawn = re.findall(r"^( {4}[| `-]*)([A-Z][A-Za-z]+Error)\b", errors.__doc__ or "", re.MULTILINE)
    parents: list[str] = []
    tree: dict[str, str] = {}
    for lead, name in drawn:
        depth = (len(lead) - 4) // 4
        parents[depth:] = [name]
        tree[name] = parents[depth - 1] if depth else "Exception"
    assert tree == {cls.__name__: cls.__bases__[0].__name__ for cls in ALL}


def test_codes_are_stable_and_unique() -> None:
    codes = [cls.code for cls in ALL]
    assert len(codes) == len(set(codes))
    assert all(re.fullmatch(r"[A-Z][A-Z_]*", code) for code in codes)


@pytest.mark.parametrize("cls", ALL)
def test_errors_survive_copies_and_say_everything(cls: type[RiskproofError]) -> None:
    error = cls("what is wrong", where="place", expected="what is right")
    for twin in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert type(twin) is cls
        assert (twin.what, twin.where, twin.expected) == ("what is wrong", "place", "what is right")
    assert str(error) == "place: what is wrong (expected what is right)"
    assert str(cls("only what")) == "only what"


def test_wrong_input_is_a_value_error() -> None:
    assert issubclass(InputError, ValueError)
    assert not any(issubclass(cls, ValueError) for cls in ALL if not issubclass(cls, InputError))
