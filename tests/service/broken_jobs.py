"""Jobs of a module that cannot warm up."""


def warm_up() -> None:
    raise RuntimeError("seven-million-short")


JOBS: dict[str, object] = {}
