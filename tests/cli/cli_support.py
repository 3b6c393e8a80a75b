"""What tests of the command line share."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from click.testing import Result

Run = Callable[..., Result]


def document(result: Result) -> Any:
    """The one JSON object on standard output."""
    return json.loads(result.stdout)
