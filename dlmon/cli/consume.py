from __future__ import annotations


def consume() -> None:
    raise NotImplementedError
