"""A screen as an Excalidraw scene: a frame for each state, side by side.

The same picture always gives the same bytes: seeds count up, nothing is random. There
are no `index` keys, because Excalidraw refuses three-character ones silently and makes
its own.
"""

import json
from typing import Any, NamedTuple

from catherd.design.wireframe.language import MADE
from catherd.design.wireframe.shapes import Picture, Shape

_GAP = 80  # between two frames
_ALIGN = {"start": "left", "middle": "center", "end": "right"}


class _Box(NamedTuple):
    """Where an element stands in the scene."""

    x: float
    y: float
    w: float
    h: float


def scene(ident: str, title: str, states: dict[str, Picture]) -> str:
    """The file's content for one screen."""
    elements: list[dict[str, Any]] = []
    left = 0.0
    for name, picture in states.items():
        frame = f"{ident}.{name}"
        box = _Box(left, 0, picture.width, picture.height)
        elements.append(_element("frame", frame, box, len(elements), name=frame))
        for shape in picture.shapes:
            elements.append(_shape(shape, left, len(elements), frame))
        left += picture.width + _GAP
    data = {
        "type": "excalidraw",
        "version": 2,
        "source": f"{MADE} ({title})",
        "elements": elements,
        "appState": {"viewBackgroundColor": "#ffffff", "gridSize": None},
        "files": {},
    }
    return json.dumps(data, indent=1, ensure_ascii=False) + "\n"


def _element(kind: str, ident: str, box: _Box, n: int, **more: Any) -> dict[str, Any]:
    """The element number `n` of the scene.

    `more` adds to the defaults or replaces them.
    """
    return {
        "id": ident,
        "type": kind,
        "x": round(box.x, 1),
        "y": round(box.y, 1),
        "width": round(box.w, 1),
        "height": round(box.h, 1),
        "angle": 0,
        "strokeColor": "#1e293b",
        "backgroundColor": "transparent",
        "fillStyle": "solid",
        "strokeWidth": 1,
        "strokeStyle": "solid",
        "roughness": 1,
        "opacity": 100,
        "groupIds": [],
        "frameId": None,
        "roundness": None,
        "seed": n + 1,
        "version": 1,
        "versionNonce": n + 1,
        "isDeleted": False,
        "boundElements": [],
        "updated": 1,
        "link": None,
        "locked": False,
        **more,
    }


def _shape(shape: Shape, left: float, n: int, frame: str) -> dict[str, Any]:
    """A shape of the frame that begins `left` pixels from the scene's edge."""
    if shape.kind == "text":
        return _text(shape, left, n, frame)
    ident = f"{frame}.{n}"
    box = _Box(shape.x + left, shape.y, shape.w, shape.h)
    if shape.kind == "line":
        return _element(
            "line",
            ident,
            box,
            n,
            frameId=frame,
            strokeColor=shape.stroke,
            points=[[0, 0], [shape.w, shape.h]],
            lastCommittedPoint=None,
            startBinding=None,
            endBinding=None,
            startArrowhead=None,
            endArrowhead=None,
        )
    return _element(
        "rectangle",
        ident,
        box,
        n,
        frameId=frame,
        strokeColor=shape.stroke or "transparent",
        backgroundColor=shape.fill or "transparent",
        roundness={"type": 3} if shape.radius else None,
        strokeStyle="solid",
    )


def _text(shape: Shape, left: float, n: int, frame: str) -> dict[str, Any]:
    """A text; Excalidraw places it by its upper left corner, not by its anchor."""
    before = {"start": 0.0, "middle": shape.w / 2, "end": shape.w}[shape.anchor]
    x = shape.x + left - before
    box = _Box(x, shape.y - shape.size, shape.w, shape.size * 1.25)
    return _element(
        "text",
        f"{frame}.{n}",
        box,
        n,
        frameId=frame,
        strokeColor=shape.fill,
        text=shape.text,
        originalText=shape.text,
        fontSize=shape.size,
        fontFamily=3 if shape.mono else 2,
        textAlign=_ALIGN[shape.anchor],
        verticalAlign="top",
        containerId=None,
        lineHeight=1.25,
        autoResize=True,
    )
