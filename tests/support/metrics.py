"""What `--metrics` answers."""

from __future__ import annotations

import urllib.error
import urllib.request

from prometheus_client.parser import text_string_to_metric_families

from tests.support.messages import PATIENCE, wait_until


def get(port: int, path: str) -> tuple[int, str]:
    """Status and body; status 0 where nothing answers yet."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()
    except OSError:
        return 0, ""


def samples(port: int) -> dict[str, float]:
    """Values by name and labels."""
    return {
        sample.name
        + "".join(f" {name}={value}" for name, value in sample.labels.items()): sample.value
        for family in text_string_to_metric_families(get(port, "/metrics")[1])
        for sample in family.samples
    }


def wait_for_samples(port: int, patience: float = PATIENCE, **expected: float) -> None:
    """Return once all of these have these values: one may be seen before the next is counted."""
    seen: dict[str, float] = {}

    def are_there() -> bool:
        seen.clear()
        seen.update(samples(port))
        return expected.items() <= seen.items()

    wait_until(are_there, patience, lambda: str(seen))
