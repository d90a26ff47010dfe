"""The machine and the versions that a run of the benchmarks belongs to."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil

from apps.core.storage.mongo import collection_of
from apps.core.storage.redis import get_redis, server_product
from apps.mengla.models import Record
from tests.programs import ROOT


def describe(generator: str) -> dict[str, Any]:
    """Return the facts; the servers of this process must be running."""
    redis_info: Any = get_redis().info("server")
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 2**30, 1),
        "system": _system(),
        "python": platform.python_version(),
        "granian": version("granian"),
        "django": version("django"),
        "mongodb": collection_of(Record).database.client.server_info()["version"],
        "redis": " ".join(server_product(redis_info)),
        "commit": _commit(),
        "load_generator": generator,
    }


def _processor() -> str:
    lines = _text("/proc/cpuinfo").splitlines()
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or platform.machine()


def _system() -> str:
    names = dict(line.split("=", 1) for line in _text("/etc/os-release").splitlines() if "=" in line)
    name = names.get("PRETTY_NAME", "").strip('"') or platform.system()
    return f"{name}, kernel {platform.release()}"


def _text(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""


def _commit() -> str:
    def git(*arguments: str) -> str:
        done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
        return done.stdout.strip()

    try:
        return git("rev-parse", "--short", "HEAD") + (" with changes" if git("status", "--porcelain") else "")
    except OSError:
        return ""
