"""How many processes are started."""

from __future__ import annotations

import multiprocessing
import os
import sys
from pathlib import Path

import pytest

from dlmon.runtime import processes
from dlmon.runtime.processes import can_fork, cpu_quota, default_jobs, usable_cores


def quota_of(tmp_path: Path, membership: str, files: dict[str, str]) -> float | None:
    """The quota of a process with this /proc/self/cgroup, and these files of the cgroups."""
    (tmp_path / "self").write_text(membership)
    for name, text in files.items():
        file = tmp_path / "cgroup" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return cpu_quota(tmp_path / "self", tmp_path / "cgroup")


V1 = "7:memory:/a/b\n4:cpu,cpuacct:/a/b\n1:name=systemd:/a\n0::/a\n"


@pytest.mark.parametrize(
    ("membership", "files", "quota"),
    [
        ("0::/\n", {"cpu.max": "150000 100000\n"}, 1.5),
        ("0::/\n", {"cpu.max": "max 100000\n"}, None),
        ("0::/a/b\n", {"a/b/cpu.max": "max 100000\n", "a/cpu.max": "50000 100000\n"}, 0.5),
        ("0::/a/b\n", {"a/b/cpu.max": "300000 100000\n", "a/cpu.max": "200000 100000\n"}, 2.0),
        ("0::/of/the/host\n", {"cpu.max": "200000 100000\n"}, 2.0),
        ("0::/../above\n", {"cpu.max": "200000 100000\n"}, 2.0),
        ("0::/\n", {}, None),
        ("0::/\n", {"cpu.max": "what\n"}, None),
        (V1, {"cpu/a/b/cpu.cfs_quota_us": "-1\n", "cpu/a/b/cpu.cfs_period_us": "100000\n"}, None),
        (V1, {"cpu/cpu.cfs_quota_us": "250000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 2.5),
        (
            V1,
            {
                "cpu,cpuacct/a/b/cpu.cfs_quota_us": "100000\n",
                "cpu,cpuacct/a/b/cpu.cfs_period_us": "100000\n",
            },
            1.0,
        ),
        ("nonsense\n", {}, None),
        ("", {}, None),
    ],
)
def test_the_quota_of_a_cgroup_and_of_those_above_it_counts(
    tmp_path: Path, membership: str, files: dict[str, str], quota: float | None
) -> None:
    assert quota_of(tmp_path, membership, files) == quota


def test_without_cgroups_there_is_no_quota(tmp_path: Path) -> None:
    assert cpu_quota(tmp_path / "missing", tmp_path) is None


@pytest.mark.parametrize(
    ("quota", "cores"), [(None, 4), (0.2, 1), (1.0, 1), (1.5, 2), (4.0, 4), (64.0, 4)]
)
def test_no_more_cores_are_used_than_the_quota_has(
    monkeypatch: pytest.MonkeyPatch, quota: float | None, cores: int
) -> None:
    monkeypatch.setattr(processes, "cpu_quota", lambda: quota)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: {0, 1, 4, 5}, raising=False)
    assert usable_cores() == cores


def test_without_affinity_masks_all_cores_are_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "cpu_quota", lambda: None)
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 3)
    assert usable_cores() == 3
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert usable_cores() == 1


@pytest.mark.parametrize(
    ("platform", "methods", "forks"),
    [
        ("linux", ["fork", "spawn"], True),
        ("freebsd14", ["fork", "spawn"], True),
        ("darwin", ["fork", "spawn"], False),
        ("win32", ["spawn"], False),
    ],
)
def test_only_where_forks_are_safe_is_there_more_than_one_process(
    monkeypatch: pytest.MonkeyPatch, platform: str, methods: list[str], forks: bool
) -> None:
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(multiprocessing, "get_all_start_methods", lambda: methods)
    monkeypatch.setattr(processes, "usable_cores", lambda: 3)
    assert can_fork() is forks
    assert default_jobs() == (3 if forks else 1)
