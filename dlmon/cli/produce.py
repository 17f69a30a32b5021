from __future__ import annotations


def produce() -> None:
    raise NotImplementedError
