"""How often tests repeat what chance decides.

With DLMON_TEST_THOROUGH=1 they repeat it as often as finds rare faults, which takes far longer.
"""

from __future__ import annotations

import os

THOROUGH = os.environ.get("DLMON_TEST_THOROUGH") == "1"


def repetitions(ordinary: int, thorough: int) -> int:
    """How often to repeat something in this run."""
    return thorough if THOROUGH else ordinary
