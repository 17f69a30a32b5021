"""Takes away from Python what it has on Linux and not on macOS.

With this folder in PYTHONPATH, each Python imports this module at its start.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import types
from typing import NoReturn

_LINUX_ONLY: dict[types.ModuleType, tuple[str, ...]] = {
    os: (
        *("sched_getaffinity", "sched_setaffinity", "memfd_create", "eventfd", "pidfd_open"),
        *("splice", "copy_file_range", "posix_fadvise", "posix_fallocate", "getrandom"),
        *("O_PATH", "O_TMPFILE", "O_DIRECT"),
    ),
    select: ("epoll",),
    signal: ("sigtimedwait", "sigwaitinfo"),
}


def _fork() -> NoReturn:
    raise AssertionError("forked, which is not safe on macOS")


for _module, _names in _LINUX_ONLY.items():
    for _name in _names:
        if hasattr(_module, _name):
            delattr(_module, _name)
os.fork = _fork
_proxies = types.ModuleType("_scproxy")
_proxies.__dict__.update(_get_proxies=dict, _get_proxy_settings=dict)
sys.modules["_scproxy"] = _proxies
sys.platform = "darwin"
