from __future__ import annotations


def inspect_rejects() -> None:
    raise NotImplementedError
