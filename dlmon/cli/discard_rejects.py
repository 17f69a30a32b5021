from __future__ import annotations


def discard_rejects() -> None:
    raise NotImplementedError
