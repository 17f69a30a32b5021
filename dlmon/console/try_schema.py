"""What another schema would change, on a screen and as JSON."""

from __future__ import annotations

import json
from typing import Any

from rich.text import Text

from dlmon.commands.try_schema import RejectsTrial, StoreTrial
from dlmon.console.lines import print_line, stdout
from dlmon.console.rejects.group_table import Surroundings, show_groups
from dlmon.console.rejects.summary import Notes, show_hint
from dlmon.console.text import counted
from dlmon.rejects.groups import Groups
from dlmon.runtime.timestamps import to_rfc3339

_MORE = "--limit {} shows all"
_LINES_AROUND = 8  # of both tables together


def show_trials(
    stored: StoreTrial | None, rejects: RejectsTrial | None, start: int, limit: int | None
) -> None:
    """What would newly be rejected of the store, and what would newly pass of the rejects.

    start: milliseconds since the epoch. limit: of groups; None for as many as fit the screen.
    """
    if stored is not None:
        print_line(stdout(), _stored(stored, start))
        show_groups(stored.newly_rejected, limit, Surroundings(_LINES_AROUND, _MORE))
    if rejects is not None:
        notes = Notes(rejects.look)
        print_line(stdout(), _rejects(rejects, start))
        show_groups(rejects.newly_passing, limit, Surroundings(_LINES_AROUND + notes.height, _MORE))
        if rejects.passing_by_both:
            passing = f"{rejects.passing_by_both:,} pass the current schema, too"
            show_hint(f"{passing}: replay-rejects puts them back.")
        notes.show()


def show_json(stored: StoreTrial | None, rejects: RejectsTrial | None, start: int) -> None:
    """One line of JSON; null for what was left alone."""
    document = {
        "from": to_rfc3339(start),
        "store": None
        if stored is None
        else {
            "events": stored.count,
            "newly_rejected": _to_records(stored.newly_rejected),
            "rejected_by_both": stored.rejected_by_both,
        },
        "rejects": None
        if rejects is None
        else {
            "rejects": rejects.look.selected,
            "newly_passing": _to_records(rejects.newly_passing),
            "passing_by_both": rejects.passing_by_both,
        },
    }
    print_line(stdout(), Text(json.dumps(document)))


def _stored(trial: StoreTrial, start: int) -> Text:
    rejected = trial.newly_rejected.count
    text = f"Of {counted(trial.count, 'stored event')} since {to_rfc3339(start)}, "
    text += f"{rejected:,} would newly be rejected."
    if trial.rejected_by_both:
        text += f" {trial.rejected_by_both:,} are rejected by both schemas."
    return Text(text, "bold red" if rejected else "bold")


def _rejects(trial: RejectsTrial, start: int) -> Text:
    passing = trial.newly_passing.count
    text = f"Of {counted(trial.look.selected, 'reject')} since {to_rfc3339(start)}, "
    text += f"{passing:,} would newly pass."
    return Text(text, "bold green" if passing else "bold")


def _to_records(groups: Groups) -> list[dict[str, Any]]:
    return [
        {
            "code": group.code,
            "path": group.path,
            "count": group.count,
            "sample_id": group.sample_id,
            "sample_reason": group.sample_reason,
        }
        for group in groups.largest_first()
    ]
