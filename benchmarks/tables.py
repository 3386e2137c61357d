"""The tables of `docs/performance.md`, from results."""

import math
import statistics
from collections.abc import Iterable, Iterator
from typing import Any

from benchmarks.results import Measured
from benchmarks.timing import Result, named

#: Results by server and group.
Servers = dict[str, dict[str, Measured]]

#: A number of sessions that no run has, so its figures are extrapolated.
_EXTRAPOLATED = 10_000_000


def table(head: list[str], rows: Iterable[list[str]], *, words: int = 1) -> str:
    """Return a table whose first `words` columns hold text and all others figures."""
    marks = ["---"] * words + ["--:"] * (len(head) - words)
    return "\n".join("| " + " | ".join(row) + " |" for row in [head, marks, *rows])


def settings(servers: Servers) -> str:
    """Return a table of the settings behind the figures, with a warning if the run was quick."""
    rows, quick = [], []
    for groups in servers.values():
        for name, measured in groups.items():
            each = measured.setting
            if each["quick"]:
                quick.append(name)
            versions = f"redis-py {each['redis_py']}, hiredis {each['hiredis']}, pydantic {each['pydantic']}"
            row = [
                f"{each['server']} ({each['info'].get('mem_allocator')})",
                f"{versions}, Python {each['python']}",
                f"{each['processors']} x {each['processor']}",
                each["date"][:10],
            ]
            if row not in rows:
                rows.append(row)
    told = table(["server", "client", "processors", "date"], rows, words=4)
    if quick:
        shown = ", ".join(dict.fromkeys(quick))
        told = f"**Not for quoting: a short run on a busy machine ({shown}).**\n\n{told}"
    return told


def aims(servers: Servers) -> str:
    """Return a table of every aim, and whether each server reached it."""
    rows = []
    for (name, against), by_server in _side_by_side(servers, *_all_groups(servers)):
        aimed = {server: result for server, result in by_server.items() if result.aim is not None}
        if aimed:
            shown = [_aimed(aimed[server]) if server in aimed else "" for server in servers]
            rows.append([name, against, *shown])
    return table(["case", "against", *_titles(servers)], rows, words=2)


def by_width(servers: Servers, group: str) -> str:
    """Return ratios of one group: a table for each server, a column for each number of calls at a time."""
    return "\n\n".join(
        f"{_title(groups)}:\n\n{_widths_of(groups[group].results)}"
        for groups in servers.values()
        if group in groups
    )


def ratios(servers: Servers, *groups: str) -> str:
    """Return a table with a line for each case and a column for each server."""
    rows = [
        [name, against, *(_cell(by_server[server]) if server in by_server else "" for server in servers)]
        for (name, against), by_server in _side_by_side(servers, *groups)
    ]
    return table(["case", "against", *_titles(servers)], rows, words=2)


def memory(servers: Servers) -> str:
    """Return a table of bytes and their ratios."""
    rows = []
    for (name, against), by_server in _side_by_side(servers, "memory"):
        row = [name, against]
        for server in servers:
            if result := by_server.get(server):
                ours, raw = (f"{statistics.median(side):,.0f}" for side in (result.ours, result.raw))
                told = f"{result.details['bytes by MEMORY USAGE of all keys']:,}"
                row += [ours, told, raw, _part(result.ratio)]
            else:
                row += [""] * 4
        rows.append(row)
    head = ["what", "against"]
    for title in _titles(servers):
        head += [f"{title}: bytes", "by `MEMORY USAGE`", "raw", "ratio"]
    return table(head, rows, words=2)


def growth(servers: Servers) -> str:
    """Return server time and memory by the number of sessions, with an extrapolation."""
    found = []
    for groups in servers.values():
        if "growth" not in groups:
            continue
        series = growth_series(groups["growth"].results)
        sizes = [size for size, _ in next(iter(series.values()))]
        rows = [[name, *(f"{figure:,.1f}" for _, figure in points)] for name, points in series.items()]
        head = [_title(groups), *(f"{size:,}" for size in sizes), f"{_EXTRAPOLATED:,} *extrapolated*"]
        shown = [[*row, f"*{extrapolated(series[row[0]]):,.1f}*"] for row in rows]
        waited = [result.details for result in groups["growth"].results if "aim in ms" in result.details]
        longest = max(each["ms at the client, longest"] for each in waited)
        medians = ", ".join(f"{each['ms at the client, median']:.2f}" for each in waited)
        reached = "reached" if max(each["ms at the client, median"] for each in waited) < 5 else "MISSED"
        told = (
            f"Revoking all of them takes a caller {medians} ms (aim 5 ms {reached}; longest {longest:.2f})."
        )
        found.append(table(head, shown) + "\n\n" + told)
    return "\n\n".join(found)


def growth_series(results: list[Result]) -> dict[str, list[tuple[int, float]]]:
    """Return, by call and unit, pairs of sessions in the store and the median."""
    series: dict[str, list[tuple[int, float]]] = {}
    for result in results:
        name = f"{result.details['call']}, {result.unit}"
        series.setdefault(name, []).append((result.details["sessions"], statistics.median(result.ours)))
    return series


def extrapolated(points: list[tuple[int, float]]) -> float:
    """Estimate the figure for `_EXTRAPOLATED` sessions: each further power of ten adds the last step, or
    nothing."""
    (earlier, before), (last, figure) = points[-2:]
    return figure + max(0.0, figure - before) * math.log10(_EXTRAPOLATED / last) / math.log10(last / earlier)


def bulk(servers: Servers) -> str:
    """Return a table of reclaiming and sweeping at full pace, and run times of their scripts."""
    rows = []
    for server, groups in servers.items():
        for name in ("reclaim", "sweep"):
            for result in groups[name].results if name in groups else ():
                told = result.details
                speed = f"{result.operations / statistics.median(result.ours):,.0f}"
                times = [f"{told.get(f'script_ms_{each}', 0):.1f}" for each in ("p50", "p99", "p100")]
                rows.append(
                    [_title(servers[server]), result.case, result.against, _cell(result), speed, *times]
                )
    head = ["server", "case", "against", "ratio", "sessions/s", "script p50, ms", "p99", "longest"]
    return table(head, rows, words=3)


def latency(servers: Servers) -> str:
    """Return a table of others' latency under each load."""
    rows = []
    for groups in servers.values():
        results = groups["latency"].results if "latency" in groups else []
        speeds = {result.case: result for result in results if not result.details}
        for result in results:
            if told := result.details:
                load, sessions = told["load"], told["sessions"]
                speed = speeds.get(f"{load}, {sessions:,} sessions, while others read")
                figures = (
                    f"{told[f'{call} {each}, ms']:.2f}" for call in ("GET", "get_session") for each in _FELT
                )
                met = "" if result.reached is None else "reached" if result.reached else "MISSED"
                row = [_title(groups), f"{sessions:,}", load, f"{told['seconds']:.1f}"]
                rows.append([*row, f"{speed.ratio:.2f}" if speed else "", *figures, met])
    head = ["server", "sessions", "load", "s", "speed by bare", "GET p50, ms", "p99", "longest"]
    return table([*head, "get_session p50", "p99", "longest", "p99 of GET"], rows, words=3)


_FELT = ("p50", "p99", "longest")


def million(runs: list[dict[str, Any]]) -> str:
    """Return a table of the results of `python -m benchmarks.million`, run by run."""
    rows = []
    for run in runs:
        given, tenths = run["setting"], run["sessions_per_second_by_tenths"]
        used = run["used_memory_mib"]
        missed = [aim for aim, met in run["aims"].items() if not met]
        rows.append(
            [
                f"{given.get('server', '')}, {given['pace']}",
                f"{run['revoke_ms']} ms",
                f"{run['seconds']:.0f} s",
                f"{tenths[0]:,}, {min(tenths):,}, {tenths[-1]:,}",
                f"{used['before']:,}, {used['full']:,}, {used['after']:,}",
                "; ".join(missed) or "none",
            ]
        )
    head = ["", "revoked in", "reclaimed in", "sessions/s by tenths: first, slowest, last"]
    return table([*head, "memory before, full, after, MiB", "aims missed"], rows)


def profile(servers: Servers) -> str:
    """Return a table of microseconds per call: until the answer, of the processor in each process, in
    commands."""
    rows = []
    for groups in servers.values():
        for result in groups["profile"].results if "profile" in groups else ():
            for side in ("ours", "raw"):
                told = result.details[f"{side}, µs"]
                who = "ours" if side == "ours" else result.against
                figures = [f"{told[name]:,.0f}" for name in ("total", "client", "server", "commands")]
                share = f"{told['commands'] / told['total']:.0%}"
                case = f"{result.details['call']}, {named(result.width or 1)}"
                rows.append([_title(groups), case, who, *figures, share])
    head = ["server", "call", "", "µs in all", "client's processor", "server's processor", "in commands"]
    return table([*head, "commands by all"], rows, words=3)


def _widths_of(results: list[Result]) -> str:
    widths = sorted({result.width or 1 for result in results})
    rows: dict[tuple[str, str], dict[int, Result]] = {}
    for result in results:
        rows.setdefault((result.case, result.against), {})[result.width or 1] = result
    return table(
        ["call", "against", *map(named, widths)],
        [
            [*what, *(_cell(row[each]) if each in row else "" for each in widths)]
            for what, row in rows.items()
        ],
        words=2,
    )


def _side_by_side(servers: Servers, *groups: str) -> Iterator[tuple[tuple[str, str], dict[str, Result]]]:
    """Yield each case with its result on each server."""
    found: dict[tuple[str, str], dict[str, Result]] = {}
    for group in groups:
        for server, measured in servers.items():
            for result in measured[group].results if group in measured else ():
                # If two groups have the same case, the first has the aims.
                found.setdefault((result.name, result.against), {}).setdefault(server, result)
    yield from found.items()


def _all_groups(servers: Servers) -> list[str]:
    return list(dict.fromkeys(group for groups in servers.values() for group in groups))


def _title(groups: dict[str, Measured]) -> str:
    version: str = next(iter(groups.values())).setting["server"]
    return version


def _titles(servers: Servers) -> list[str]:
    return [_title(groups) for groups in servers.values()]


def _cell(result: Result) -> str:
    ratios = result.ratios
    missed = " ✗" if result.reached is False else ""
    return f"**{_number(result.ratio)}**{missed} {_number(min(ratios))}..{_number(max(ratios))}"


def _aimed(result: Result) -> str:
    assert result.aim is not None
    sign = "≥" if result.unit == "s" else "≤"
    ratio, aim = (
        _part(each) if result.unit == "bytes" else _number(each) for each in (result.ratio, result.aim)
    )
    return f"{ratio} ({sign} {aim}: {'reached' if result.reached else '**MISSED**'})"


def _part(ratio: float) -> str:
    return f"1/{1 / ratio:.1f}" if ratio < 0.5 else _number(ratio)


def _number(ratio: float) -> str:
    return f"{ratio:.0f}" if ratio >= 10 else f"{ratio:.2f}" if ratio >= 0.095 else f"{ratio:.3f}"
