"""The plots of `docs/performance.md`, from results."""

import statistics
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.results import Measured
from benchmarks.tables import extrapolated, growth_series
from benchmarks.timing import Result, named

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Okabe and Ito's colours, which colour-blind readers can tell apart.
_BLUE, _ORANGE, _GREEN, _RED, _SKY, _PINK, _YELLOW = (
    "#0072B2", "#E69F00", "#009E73", "#D55E00", "#56B4E9", "#CC79A7", "#F0E442",
)  # fmt: skip
_COLOURS = (_BLUE, _ORANGE, _GREEN, _RED, _SKY, _PINK)
_STYLE: dict[str, Any] = {
    "axes.grid": True,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "figure.facecolor": "white",
    "font.family": "sans-serif",
    "font.size": 8.5,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.6,
    "svg.fonttype": "none",
    "svg.hashsalt": "benchmarks",
}
#: Wide enough for the page; 100 dots an inch, so that text is as large as on the page around it.
_WIDTH, _DOTS_PER_INCH = 7.2, 100
_SHOWN_WIDTHS = (1, 100)


def draw(servers: dict[str, dict[str, Measured]], folder: Path) -> list[Path]:
    """Write all plots that have results. Each plot shows the first server that has them."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    plots = {"calls": _ratios, "latency": _latencies, "growth": _growth, "memory": _conversation}
    written = []
    with mpl.rc_context(_STYLE):
        for group, plot in plots.items():
            measured = next((groups[group] for groups in servers.values() if group in groups), None)
            if measured is not None:
                figure = Figure(dpi=_DOTS_PER_INCH, layout="constrained")
                plot(figure, measured)
                written.append(folder / f"performance-{group}.svg")
                figure.savefig(written[-1], metadata={"Date": None})
    return written


def _ratios(figure: "Figure", measured: Measured) -> None:
    """Draw bars of ratios, with their spread, and the aims."""
    figure.set_size_inches(_WIDTH, 6.4)
    panels = figure.subplots(1, len(_SHOWN_WIDTHS), sharey=True)
    cases = list(dict.fromkeys(result.case for result in measured.results))
    for panel, width in zip(panels, _SHOWN_WIDTHS, strict=True):
        by_case = {result.case: result for result in measured.results if result.width == width}
        for place, case in enumerate(cases):
            if result := by_case.get(case):
                _draw_bar(panel, place, result)
        panel.set_title(named(width), fontsize=9)
        panel.set_xscale("log")
        panel.set_xticks([0.02, 0.1, 0.5, 1, 2, 5, 10], ["1/50", "1/10", "1/2", "1", "2", "5", "10"])
        panel.minorticks_off()
        panel.axvline(1, color="black", linewidth=0.8)
        panel.grid(visible=False, axis="y")
    panels[0].set_yticks(range(len(cases)), cases)
    panels[0].invert_yaxis()
    figure.suptitle(f"Speed by raw redis-py, {measured.setting['server']}", fontsize=10)
    figure.supxlabel("ratio of speeds: median and range of the rounds; orange marks are aims", fontsize=8.5)


def _draw_bar(panel: "Axes", place: int, result: Result) -> None:
    ratios = result.ratios
    panel.barh(place, result.ratio - 1, left=1, color=_BLUE if result.ratio >= 1 else _SKY, height=0.62)
    panel.plot([min(ratios), max(ratios)], [place, place], color="black", linewidth=1)
    if result.aim is not None:
        panel.plot([result.aim] * 2, [place - 0.45, place + 0.45], color=_RED, linewidth=2)


def _latencies(figure: "Figure", measured: Measured) -> None:
    """Draw the share of others' reads that took longer than a number of milliseconds."""
    figure.set_size_inches(_WIDTH, 3.4)
    felt = [result.details for result in measured.results if result.details]
    sizes = list(dict.fromkeys(details["sessions"] for details in felt))
    panels = figure.subplots(1, len(sizes), sharey=True, squeeze=False)[0]
    names = list(dict.fromkeys(details["load"] for details in felt if "two workers" not in details["load"]))
    styles = {name: {"color": (*_COLOURS, "black")[place % 7]} for place, name in enumerate(names)}
    for panel, sessions in zip(panels, sizes, strict=True):
        for details in felt:
            if details["sessions"] == sessions and details["load"] in styles:
                points = [
                    (ms, 100 - percent) for percent, ms in details["GET, ms by percentile"] if percent < 100
                ]
                name = details["load"].replace("idle", "nothing else")
                panel.plot(*zip(*points, strict=True), label=name, linewidth=1.4, **styles[details["load"]])
        panel.set_xscale("log")
        panel.set_yscale("log")
        panel.set_yticks([50, 10, 1, 0.1], ["50 %", "10 %", "1 %", "0.1 %"])
        panel.minorticks_off()
        panel.set_xticks([0.1, 0.3, 1, 3, 10, 30], ["0.1", "0.3", "1", "3", "10", "30"])
        panel.set_title(f"{sessions:,} sessions", fontsize=9)
    panels[0].set_ylabel("GETs that took longer")
    figure.legend(
        *panels[0].get_legend_handles_labels(), loc="outside right center", fontsize=7.5, frameon=False
    )
    figure.suptitle(f"GET of another client during bulk work, {measured.setting['server']}", fontsize=10)
    figure.supxlabel("milliseconds", fontsize=8.5)


def _growth(figure: "Figure", measured: Measured) -> None:
    """Draw server time by sessions in the store; extrapolated points are hollow and dashed."""
    figure.set_size_inches(_WIDTH, 3.2)
    series = growth_series(measured.results)
    memory = next(name for name in series if name.endswith("bytes"))
    time_panel, memory_panel = figure.subplots(1, 2, width_ratios=(3, 2))
    for colour, (name, points) in zip(_COLOURS, series.items(), strict=False):
        panel = memory_panel if name == memory else time_panel
        panel.plot(
            *zip(*points, strict=True), marker="o", markersize=4, color=colour, label=name.split(",")[0]
        )
        beyond = [points[-1], (10_000_000, extrapolated(points))]
        panel.plot(*zip(*beyond, strict=True), color=colour, linestyle="--", marker="o", fillstyle="none")
    for panel in (time_panel, memory_panel):
        panel.set_xscale("log")
        panel.set_ylim(0, 1.1 * panel.get_ylim()[1])
    time_panel.set_title("server time of a call, µs", fontsize=9)
    time_panel.legend(fontsize=7.5, frameon=False)
    memory_panel.set_title("memory of a session, bytes", fontsize=9)
    figure.suptitle(f"By sessions in the store, {measured.setting['server']}", fontsize=10)
    figure.supxlabel("sessions (10,000,000: extrapolated)", fontsize=8.5)


def _conversation(figure: "Figure", measured: Measured) -> None:
    """Draw the memory of one conversation, turn by turn."""
    figure.set_size_inches(_WIDTH * 0.75, 3.0)
    panel = figure.subplots()
    taken = next(
        each.details["bytes by turn"] for each in measured.results if "bytes by turn" in each.details
    )
    for colour, (name, sizes) in zip((_BLUE, _ORANGE, _RED), taken.items(), strict=True):
        kibibytes = [size / 1024 for size in sizes]
        panel.plot(range(1, len(sizes) + 1), kibibytes, color=colour)
        shown = f"{name}, {kibibytes[-1]:,.0f} KiB"
        panel.annotate(
            shown, (len(sizes), kibibytes[-1]), xytext=(4, 0), textcoords="offset points", color=colour
        )
    panel.set_yscale("log")
    panel.set_yticks([1, 10, 100, 1000], ["1", "10", "100", "1,000"])
    panel.set_ylabel("KiB in the server")
    panel.set_xlim(0, len(sizes) * 1.5)
    panel.set_xticks(range(0, len(sizes) + 1, 10))
    panel.set_xlabel("turns")
    times = statistics.median(
        1 / result.ratio for result in measured.results if "bytes by turn" in result.details
    )
    figure.suptitle("A conversation with a checkpoint for each turn", fontsize=10)
    panel.set_title(f"many of them: 1/{times:.0f} of plain JSON, {measured.setting['server']}", fontsize=9)
