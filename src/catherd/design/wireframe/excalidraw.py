"""A screen as an Excalidraw scene: a frame per state, side by side. Deterministic: seeds count up, nothing is random.

No `index` keys: three-character ones make Excalidraw refuse the file silently, and it makes its own.
"""

import json
from typing import Any

from catherd.design.wireframe.language import MADE
from catherd.design.wireframe.shapes import Picture, Shape

_GAP = 80


def scene(ident: str, title: str, states: dict[str, Picture]) -> str:
    """The file's content for one screen."""
    elements: list[dict[str, Any]] = []
    left = 0.0
    for name, picture in states.items():
        frame = f"{ident}.{name}"
        elements.append(
            _element(
                "frame",
                frame,
                left,
                0,
                picture.width,
                picture.height,
                len(elements),
                name=frame,
            )
        )
        for shape in picture.shapes:
            elements.append(
                _shape(shape, f"{frame}.{len(elements)}", left, len(elements), frame)
            )
        left += picture.width + _GAP
    data = {
        "type": "excalidraw", "version": 2, "source": f"{MADE} ({title})", "elements": elements,
        "appState": {"viewBackgroundColor": "#ffffff", "gridSize": None}, "files": {},
    }  # fmt: skip
    return json.dumps(data, indent=1, ensure_ascii=False) + "\n"


def _element(
    kind: str, ident: str, x: float, y: float, w: float, h: float, n: int, **more: Any
) -> dict[str, Any]:
    return {
        "id": ident, "type": kind, "x": round(x, 1), "y": round(y, 1), "width": round(w, 1), "height": round(h, 1),
        "angle": 0, "strokeColor": "#1e293b", "backgroundColor": "transparent", "fillStyle": "solid", "strokeWidth": 1,
        "strokeStyle": "solid", "roughness": 1, "opacity": 100, "groupIds": [], "frameId": None, "roundness": None,
        "seed": n + 1, "version": 1, "versionNonce": n + 1, "isDeleted": False, "boundElements": [], "updated": 1,
        "link": None, "locked": False, **more,
    }  # fmt: skip


def _shape(shape: Shape, ident: str, left: float, n: int, frame: str) -> dict[str, Any]:
    x, y = shape.x + left, shape.y
    if shape.kind == "text":
        x -= {"start": 0.0, "middle": shape.w / 2, "end": shape.w}[shape.anchor]
        align = {"start": "left", "middle": "center", "end": "right"}[shape.anchor]
        return _element(
            "text", ident, x, y - shape.size, shape.w, shape.size * 1.25, n, frameId=frame, strokeColor=shape.fill,
            text=shape.text, originalText=shape.text, fontSize=shape.size, fontFamily=3 if shape.mono else 2,
            textAlign=align, verticalAlign="top", containerId=None, lineHeight=1.25, autoResize=True,
        )  # fmt: skip
    if shape.kind == "line":
        return _element(
            "line", ident, x, y, shape.w, shape.h, n, frameId=frame, strokeColor=shape.stroke,
            points=[[0, 0], [shape.w, shape.h]], lastCommittedPoint=None, startBinding=None, endBinding=None,
            startArrowhead=None, endArrowhead=None,
        )  # fmt: skip
    kind = "ellipse" if shape.kind == "ellipse" else "rectangle"
    return _element(
        kind, ident, x, y, shape.w, shape.h, n, frameId=frame, strokeColor=shape.stroke or "transparent",
        backgroundColor=shape.fill or "transparent", roundness={"type": 3} if shape.radius else None,
        strokeStyle="dashed" if shape.dashed else "solid",
    )  # fmt: skip
