"""The picture of what other clients feel: every `GET` of one round, and the percentiles of all rounds."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.foreground import Felt, percentile_ms

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PICTURE = Path(__file__).parents[1] / "docs" / "foreground-latency.svg"

#: Okabe and Ito's colours, which all eyes tell apart.
_COLOURS = ("#0072B2", "#009E73", "#E69F00", "#D55E00")
_TITLES = {"idle": "nothing else", "polite": "pace=polite", "full": "pace=full", "UNLINK": "bare UNLINK"}
_SHOWN_SECONDS = 4.0
#: Width and height in inches; 100 dots an inch, so that text is as large as on the page around it.
_SIZE, _DOTS_PER_INCH = (7.0, 3.3), 100
_STYLE: dict[str, Any] = {"font.size": 8.5, "svg.fonttype": "none", "font.family": "sans-serif"}


def draw(rounds: dict[str, list[Felt]]) -> Path:
    """Writes the picture; one panel for each load, in the order of `rounds`."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=_SIZE, dpi=_DOTS_PER_INCH, facecolor="white", layout="constrained")
        panels = figure.subplots(1, len(rounds), sharey=True)
        for panel, colour, (name, felt) in zip(panels, _COLOURS, rounds.items(), strict=True):
            _draw_panel(panel, colour, _TITLES[name], felt)
        panels[0].set_yscale("log")
        panels[0].set_ylim(0.05, 30)
        panels[0].set_yticks([0.1, 1, 10], ["0.1 ms", "1 ms", "10 ms"])
        figure.suptitle("GET of another client while an agent's sessions are reclaimed", fontsize=10)
        figure.supxlabel("seconds; each dot is one call", fontsize=8.5)
        figure.savefig(PICTURE, metadata={"Date": None})
    return PICTURE


def _draw_panel(panel: "Axes", colour: str, title: str, rounds: list[Felt]) -> None:
    median = sorted(rounds, key=lambda felt: percentile_ms(felt.gets, 99))[len(rounds) // 2]
    first = [(at - median.started, seconds * 1_000) for at, seconds in median.gets]
    shown = [dot for dot in first if dot[0] < _SHOWN_SECONDS]
    panel.plot(*zip(*shown, strict=True), ".", markersize=2, color=colour, rasterized=True)
    for percent, line in ((50, ":"), (99, "--")):
        level = percentile_ms(median.gets, percent)
        panel.axhline(level, color="black", linewidth=1, linestyle=line)
        panel.annotate(
            f"p{percent}  {level:.2f} ms",
            (0.97, level),
            xycoords=("axes fraction", "data"),
            xytext=(0, 3),
            textcoords="offset points",
            horizontalalignment="right",
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 1},
        )
    panel.set_title(title, fontsize=9)
    panel.set_xlim(0, None)
    panel.grid(visible=True, axis="y", color="#dddddd", linewidth=0.6)
    panel.spines[["top", "right"]].set_visible(False)
