"""Draws the plots of the page as SVGs."""

from __future__ import annotations

import io
from collections.abc import Sequence
from xml.etree import ElementTree

import matplotlib.colors
import matplotlib.style
import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

# Matplotlib does not support CSS variables, so each of the page's colours is drawn in
# an otherwise unused colour, and replaced afterwards.
_INK = "#010000"
_SERIES = ("#020000", "#020001", "#020002", "#020003")
_DENSITY = "#030000"
_VARIABLES = {
    _INK: "var(--ink)",
    _DENSITY: "var(--density)",
    **{colour: f"var(--series-{i})" for i, colour in enumerate(_SERIES)},
}
_SVG = "http://www.w3.org/2000/svg"
_XLINK = "http://www.w3.org/1999/xlink"

_INCHES = (4.0, 2.7)
_BINS = 48
_SHADES = 8
_STYLE = {
    "font.size": 9,
    "text.color": _INK,
    "axes.edgecolor": _INK,
    "axes.labelcolor": _INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": _INK,
    "ytick.color": _INK,
}


def balance_plot(per_class: Sequence[np.ndarray]) -> str:
    """Returns an SVG of the number of images of each class, in ascending order.

    Args:
      per_class: for each split, the number of images of each class.
    """
    with matplotlib.style.context(_STYLE):
        figure, axes = _axes()
        for series, counts in enumerate(per_class):
            edges = np.arange(len(counts) + 1)
            _stairs(axes, np.sort(counts), edges, series)
        axes.set_xlim(0, len(per_class[0]))
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(
                MaxNLocator(6, integer=True, min_n_ticks=1, steps=[1, 2, 5, 10])
            )
            axis.set_major_formatter(_grouped)
        axes.set_ylim(0, 1.08 * max(counts.max() for counts in per_class))
        axes.set_xlabel("classes, those with the fewest images first")
        axes.set_ylabel("images of the class")
        return _to_svg(figure, "balance")


def histogram(name: str, columns: Sequence[np.ndarray], label: str) -> str:
    """Returns an SVG histogram of a positive quantity on a logarithmic scale.

    Args:
      name: the unique name of the plot.
      columns: for each split, the quantity of each image.
      label: the quantity and its unit.
    """
    edges = _edges(np.concatenate(columns))
    with matplotlib.style.context(_STYLE):
        figure, axes = _axes()
        for series, values in enumerate(columns):
            counts, _ = np.histogram(values, edges)
            _stairs(axes, 100 * counts / max(1, len(values)), edges, series)
        axes.set_xscale("log")
        _mark_1_2_5(axes.xaxis)
        axes.set_xlim(edges[0], edges[-1])
        axes.set_ylim(bottom=0)
        axes.set_xlabel(label)
        axes.set_ylabel("% of the split")
        return _to_svg(figure, name)


def shape_plot(widths: np.ndarray, heights: np.ndarray) -> str:
    """Returns an SVG of the frequencies of widths and heights in pixels."""
    edges = _edges(np.concatenate([widths, heights]))
    counts, _, _ = np.histogram2d(widths, heights, (edges, edges))
    across, up = np.nonzero(counts)
    # The most frequent shape is a thousand times more frequent than most others.
    depth = np.log1p(counts[across, up]) / np.log1p(counts.max())
    alphas = np.ceil(_SHADES * depth) / _SHADES
    left, right, low, high = edges[across], edges[across + 1], edges[up], edges[up + 1]
    corners = np.stack([left, low, right, low, right, high, left, high], axis=-1)
    with matplotlib.style.context(_STYLE):
        figure, axes = _axes()
        colours = matplotlib.colors.to_rgba_array([_DENSITY] * len(alphas), alphas)
        cells = list(corners.reshape(-1, 4, 2))
        axes.add_collection(PolyCollection(cells, facecolors=colours, linewidths=0))
        axes.set_xscale("log")
        axes.set_yscale("log")
        _mark_1_2_5(axes.xaxis)
        _mark_1_2_5(axes.yaxis)
        axes.set_xlim(edges[0], edges[-1])
        axes.set_ylim(edges[0], edges[-1])
        axes.set_xlabel("width, pixels")
        axes.set_ylabel("height, pixels")
        return _to_svg(figure, "shapes")


def _axes() -> tuple[Figure, Axes]:
    figure = Figure(_INCHES, layout="constrained")
    return figure, figure.subplots()


def _stairs(axes: Axes, values: np.ndarray, edges: np.ndarray, series: int) -> None:
    colour = _SERIES[series % len(_SERIES)]
    axes.stairs(values, edges, fill=True, color=colour, alpha=0.25)
    axes.stairs(values, edges, color=colour, linewidth=1.6)


def _edges(values: np.ndarray) -> np.ndarray:
    """Returns the edges of bins that have equal widths on a logarithmic scale."""
    low, high = values.min() / 1.05, values.max() * 1.05
    if high < 4 * low:  # The axis needs more than one number.
        low, high = low / 2, high * 2
    return np.geomspace(low, high, _BINS + 1)


def _mark_1_2_5(axis: Axis) -> None:
    """Marks 100, 200, 500, ... on a logarithmic axis."""
    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(_grouped)


def _grouped(value: float, _position: float) -> str:
    return f"{value:,.6g}"


def _to_svg(figure: Figure, name: str) -> str:
    """Returns a figure as an `svg` element without a fixed size.

    It uses the page's font and colours. `name` must differ between figures.
    """
    stream = io.StringIO()
    # Ids must not repeat in a page.
    with matplotlib.style.context({"svg.hashsalt": name, "svg.fonttype": "none"}):
        figure.savefig(stream, format="svg", transparent=True, metadata={"Date": None})
    root = ElementTree.fromstring(stream.getvalue())
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag.rpartition("}")[2] in ("metadata", "style"):
                parent.remove(child)
    for element in root.iter():
        # All figures use the same ids of groups, and nothing refers to them.
        if element.tag == f"{{{_SVG}}}g":
            element.attrib.pop("id", None)
        if style := element.get("style"):
            element.set("style", _themed(style))
    for attribute in ("width", "height"):
        root.attrib.pop(attribute)
    root.set("aria-hidden", "true")
    ElementTree.register_namespace("", _SVG)
    ElementTree.register_namespace("xlink", _XLINK)
    return ElementTree.tostring(root, encoding="unicode")


def _themed(style: str) -> str:
    properties = [part.strip() for part in style.split(";")]
    kept = "; ".join(part for part in properties if not part.startswith("font-family"))
    for colour, variable in _VARIABLES.items():
        kept = kept.replace(colour, variable)
    return kept
