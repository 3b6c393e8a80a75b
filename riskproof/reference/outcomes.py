"""Why something is refused; only `verifier.verify` catches these."""


class Malformed(Exception):  # noqa: N818 (an outcome's name)
    """Not a document of docs/protocol.md: structure, spelling, ranges, curve points, lengths."""


class Invalid(Exception):  # noqa: N818
    """Well-formed, and something that the page demands does not hold."""
