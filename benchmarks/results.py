"""Result files: one for each server, with each group of cases as measured last."""

import json
import os
import platform
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import hiredis
import pydantic
import redis

from benchmarks.bench import Sizes
from benchmarks.server import KINDS, BenchServer
from benchmarks.timing import Result
from benchmarks.wakefulness import can_be_kept_awake

FOLDER = Path(__file__).parent / "results"
_INFO = ("redis_version", "valkey_version", "os", "mem_allocator", "multiplexing_api", "io_threads_active")


class Measured(NamedTuple):
    """One group of cases on one server, and the setting of the run."""

    setting: dict[str, Any]
    results: list[Result]


def setting(server: BenchServer, sizes: Sizes, *, is_quick: bool) -> dict[str, Any]:
    """Return the setting that a run's figures hold for."""
    info = server.client.info("everything")
    return {
        "date": datetime.now(UTC).isoformat(timespec="minutes"),
        "quick": is_quick,
        "server": server.version(),
        "info": {name: info[name] for name in _INFO if name in info},
        "redis_py": redis.__version__,
        "hiredis": hiredis.__version__,
        "pydantic": pydantic.VERSION,
        "python": platform.python_version(),
        "processor": _processor(),
        "processors": os.cpu_count(),
        "processors_kept_awake": can_be_kept_awake(),
        "load_average": [round(load, 1) for load in os.getloadavg()],
        "sizes": sizes._asdict(),
        "payload_bytes": {"metadata": 14, "checkpoints": [400, 2_048, 51_200, 1_048_576], "reclaimed": 400},
    }


def save(kind: str, group: str, measured: Measured) -> Path:
    """Write the group into the file of its server, in place of its earlier results."""
    groups = _read(kind) | {group: _as_json(measured)}
    FOLDER.mkdir(exist_ok=True)
    path = _path(kind)
    # Write a line for each case, so that changes can be read.
    lines = [
        f'{json.dumps(name)}: {{"setting": {json.dumps(each["setting"])}, "results": [\n'
        + ",\n".join(json.dumps(result, ensure_ascii=False) for result in each["results"])
        + "\n]}"
        for name, each in groups.items()
    ]
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n")
    return path


def load() -> dict[str, dict[str, Measured]]:
    """Return all results, by server and by group."""
    servers = {kind: _read(kind) for kind in KINDS}
    return {
        kind: {name: _from_json(each) for name, each in groups.items()}
        for kind, groups in servers.items()
        if groups
    }


def million_runs() -> list[dict[str, Any]]:
    """Return the results of `python -m benchmarks.million`."""
    return [json.loads(path.read_text()) for path in sorted(FOLDER.glob("million*.json"))]


def _path(kind: str) -> Path:
    return FOLDER / f"{kind}.json"


def _read(kind: str) -> dict[str, Any]:
    path = _path(kind)
    found: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    return found


def _as_json(measured: Measured) -> dict[str, Any]:
    results = [
        _rounded(result._asdict())
        | {"ratio": round(result.ratio, 4), "spread": [round(f(result.ratios), 4) for f in (min, max)]}
        for result in measured.results
    ]
    return {"setting": measured.setting, "results": results}


def _rounded(fields: dict[str, Any]) -> dict[str, Any]:
    """Round to seven digits, which are more than enough."""
    return fields | {side: [float(f"{each:.7g}") for each in fields[side]] for side in ("raw", "ours")}


def _from_json(group: dict[str, Any]) -> Measured:
    results = [
        Result(**{name: value for name, value in each.items() if name in Result._fields})
        for each in group["results"]
    ]
    return Measured(group["setting"], results)


def _processor() -> str:
    told = Path("/proc/cpuinfo")
    lines = told.read_text().splitlines() if told.exists() else []
    names = (line.partition(": ")[2] for line in lines if line.startswith("model name"))
    return next(names, platform.processor())
