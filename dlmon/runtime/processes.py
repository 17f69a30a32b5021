"""How many processes are worth starting, and whether they can be forked, on this system."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from math import ceil
from pathlib import Path


def usable_cores() -> int:
    """The cores that this process may keep busy: those of its affinity mask, and no more than the
    CPU quota of its cgroup, as containers have one."""
    try:
        cores = len(os.sched_getaffinity(0))
    except (AttributeError, OSError):  # macOS has no affinity masks
        cores = os.cpu_count() or 1
    quota = cpu_quota()
    return cores if quota is None else max(1, min(cores, ceil(quota)))


def default_jobs() -> int:
    """The number of processes for work that forked processes share."""
    return usable_cores() if can_fork() else 1


def can_fork() -> bool:
    """Whether processes may be forked. On macOS its own libraries start threads, which a forked
    process lacks; on Windows there is no fork."""
    import multiprocessing

    return sys.platform != "darwin" and "fork" in multiprocessing.get_all_start_methods()


def cpu_quota(
    process: Path = Path("/proc/self/cgroup"), mount: Path = Path("/sys/fs/cgroup")
) -> float | None:
    """The CPU quota of this process's cgroup, and of those above it, in cores; None without one."""
    try:
        lines = process.read_text(errors="replace").splitlines()
    except OSError:  # not Linux
        return None
    quotas: list[float] = []
    for line in lines:
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if controllers and "cpu" not in controllers.split(","):
            continue
        # Version 2 has one hierarchy without a name, version 1 one for each controller.
        roots = [mount / name for name in (controllers, "cpu")] if controllers else [mount]
        for root in roots:
            quotas += _quotas(root, Path(path.lstrip("/")))
    return min(quotas, default=None)


def _quotas(root: Path, path: Path) -> Iterator[float]:
    # In a container, the path may be the host's: the root then is the container's own cgroup.
    for folder in (root / path, *(root / above for above in path.parents)):
        try:
            if (file := folder / "cpu.max").exists():
                quota, period = file.read_text().split()
            else:
                quota = (folder / "cpu.cfs_quota_us").read_text()
                period = (folder / "cpu.cfs_period_us").read_text()
            cores = float(quota) / float(period)  # "max" and -1 are no quota
        except (OSError, ValueError, ZeroDivisionError):
            continue
        if cores > 0:
            yield cores
