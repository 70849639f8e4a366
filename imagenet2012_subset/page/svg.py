"""From a figure to an SVG that stands in an HTML page as if made for it."""

from __future__ import annotations

import io
from xml.etree import ElementTree

import matplotlib.style
from matplotlib.figure import Figure

INK = "#010000"
"""What a figure draws its text and axes in."""

SERIES = ("#020000", "#020001", "#020002", "#020003")
"""What it draws the splits in, in their order."""

DENSITY = "#030000"
"""What it draws frequencies in; the more opaque, the more frequent."""

# Matplotlib knows no variables of CSS: a colour that no figure needs stands for each.
_VARIABLES = {
    INK: "var(--ink)",
    DENSITY: "var(--density)",
    **{colour: f"var(--series-{i})" for i, colour in enumerate(SERIES)},
}

_SVG = "http://www.w3.org/2000/svg"
_XLINK = "http://www.w3.org/1999/xlink"


def to_svg(figure: Figure, name: str) -> str:
    """Returns a figure as an `svg` element, without a size of its own.

    Colours are the page's variables `--ink`, `--series-0` to `--series-3` and
    `--density`, and the font is the page's.

    Args:
      figure: drawn in `INK`, `SERIES` and `DENSITY`.
      name: different from that of any other figure of the page.
    """
    stream = io.StringIO()
    # Figures of a page must not refer to each other's parts.
    with matplotlib.style.context({"svg.hashsalt": name, "svg.fonttype": "none"}):
        figure.savefig(stream, format="svg", transparent=True, metadata={"Date": None})
    root = ElementTree.fromstring(stream.getvalue())
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag.rpartition("}")[2] in ("metadata", "style"):
                parent.remove(child)
    for element in root.iter():
        # Figures number their groups alike, and nothing refers to these.
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
