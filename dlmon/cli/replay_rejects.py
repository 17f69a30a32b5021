from __future__ import annotations


def replay_rejects() -> None:
    raise NotImplementedError
