"""How the numbers of a report are written for people."""

from __future__ import annotations

from dlmon.analysis.report import By

DASH = "-"
"""Stands where too little is known."""

HEADS = {
    By.HOUR: "hour (UTC)",
    By.DAY: "day (UTC)",
    By.COUNTRY: "country",
    By.CONTINENT: "continent",
    By.CELL: "cell",
    By.SIZE: "size",
}
"""What the first column says."""


def format_speed(value: float | None) -> str:
    """Mbit/s with three digits."""
    if value is None:
        return DASH
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def format_share(value: float | None) -> str:
    """Of a share from 0 to 1, in percent."""
    return DASH if value is None else f"{100 * value:.1f}%"


def format_bytes(value: float | None) -> str:
    """In units of 1,000, with three digits."""
    if value is None:
        return DASH
    amount = float(value)
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if amount < 999.5:
            return f"{amount:.3g} {unit}"
        amount /= 1000
    return f"{amount:,.0f} PB"
