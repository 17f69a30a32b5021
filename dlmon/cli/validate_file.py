from __future__ import annotations


def validate_file() -> None:
    raise NotImplementedError
