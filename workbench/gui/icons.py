"""Our own line icons: each a few strokes on a grid of 24, drawn in any colour and size."""

from __future__ import annotations

from PySide6.QtCore import QByteArray, Qt
from PySide6.QtGui import QIcon, QPainter, QPixmap
from PySide6.QtSvg import QSvgRenderer

STROKES: dict[str, str] = {
    "home": '<path d="M3.5 11.5 12 4l8.5 7.5"/><path d="M6 10v9.5h12V10"/><path d="M10 19.5V14h4v5.5"/>',
    "data": '<rect x="4" y="4.5" width="16" height="15" rx="2"/><path d="M4 9.5h16M4 14.5h16M9.5 9.5v10"/>',
    "annotate": '<path d="M8 20V5M4.5 8.5 8 5l3.5 3.5"/><path d="M16 4v15M12.5 15.5 16 19l3.5-3.5"/>',
    "train": '<path d="M7 4.8v14.4a.6.6 0 0 0 .9.5l12-7.2a.6.6 0 0 0 0-1L7.9 4.3a.6.6 0 0 0-.9.5z"/>',
    "runs": '<path d="M3.5 4v16.5h17"/><path d="M6.5 8c2 0 2.5 8 5 8s2.5-5 4.5-5 2 2.5 4 2.5"/>',
    "playground": '<path d="M11 3.5c.8 4.6 2.9 6.7 7.5 7.5-4.6.8-6.7 2.9-7.5 7.5-.8-4.6-2.9-6.7-7.5-7.5 '
    '4.6-.8 6.7-2.9 7.5-7.5z"/><path d="M18.5 16v5M16 18.5h5"/>',
    "models": '<path d="M12 3.5 20.5 8 12 12.5 3.5 8z"/><path d="M3.5 12 12 16.5 20.5 12"/>'
    '<path d="M3.5 16 12 20.5 20.5 16"/>',
    "settings": '<path d="M4 7h9M17.5 7H20M4 12h2.5M11 12h9M4 17h9M17.5 17H20"/>'
    '<circle cx="15.25" cy="7" r="2.2"/><circle cx="8.75" cy="12" r="2.2"/><circle cx="15.25" cy="17" r="2.2"/>',
    "statistics": '<path d="M4 20.5h16"/><path d="M6.5 17v-5M12 17V5M17.5 17V9"/>',
    "search": '<circle cx="11" cy="11" r="6.5"/><path d="m16 16 4.5 4.5"/>',
    "check": '<path d="m5 12.5 4.5 4.5L19 7.5"/>',
    "dash": '<path d="M6 12h12"/>',
    "close": '<path d="m6.5 6.5 11 11M17.5 6.5l-11 11"/>',
    "info": '<circle cx="12" cy="12" r="8.5"/><path d="M12 11v5.5M12 7.5v.6"/>',
    "good": '<circle cx="12" cy="12" r="8.5"/><path d="m8 12.3 2.8 2.8L16 9.8"/>',
    "warning": '<path d="M12 4 21 19.5H3z"/><path d="M12 10v4.5M12 16.8v.4"/>',
    "bad": '<path d="M8.5 3.5h7l5 5v7l-5 5h-7l-5-5v-7z"/><path d="M12 8v5M12 15.8v.5"/>',
    "chevron_down": '<path d="m6.5 9.5 5.5 5.5 5.5-5.5"/>',
    "chevron_up": '<path d="m6.5 14.5 5.5-5.5 5.5 5.5"/>',
    "chevron_right": '<path d="m9.5 6.5 5.5 5.5-5.5 5.5"/>',
    "plus": '<path d="M12 5v14M5 12h14"/>',
    "import": '<path d="M12 4v11M7.5 10.5 12 15l4.5-4.5"/><path d="M4 16v3.5h16V16"/>',
    "export": '<path d="M12 15V4M7.5 8.5 12 4l4.5 4.5"/><path d="M4 16v3.5h16V16"/>',
    "trash": '<path d="M4.5 7h15M9.5 7V4.5h5V7M6.5 7l.8 12.5h9.4L17.5 7M10.3 10.5v5.5M13.7 10.5v5.5"/>',
    "folder": '<path d="M3.5 18.5v-12h6l2 2.5h9v9.5z"/>',
    "file": '<path d="M6 3.5h8l4.5 4.5v12.5H6z"/><path d="M14 3.5V8h4.5"/>',
    "copy": '<rect x="8.5" y="8.5" width="11.5" height="11.5" rx="2"/><path d="M15.5 5V4H4v11.5h1"/>',
    "pause": '<path d="M8.5 5v14M15.5 5v14"/>',
    "stop": '<rect x="6" y="6" width="12" height="12" rx="1.5"/>',
    "undo": '<path d="M4 9h10.5a5 5 0 0 1 0 10H9"/><path d="M8 4.8 4 9l4 4.2"/>',
    "redo": '<path d="M20 9H9.5a5 5 0 0 0 0 10H15"/><path d="M16 4.8 20 9l-4 4.2"/>',
    "refresh": '<path d="M19.5 12a7.5 7.5 0 1 1-2.2-5.3L20 9.3"/><path d="M20 4.5v4.8h-4.8"/>',
    "snapshot": '<path d="M12 3.5v17M4.6 7.8l14.8 8.5M19.4 7.8 4.6 16.3"/><path d="m9.5 5 2.5 2 2.5-2M9.5 19l2.5-2 2.5 2"/>',
    "eye": '<path d="M2.5 12S6 5.5 12 5.5 21.5 12 21.5 12 18 18.5 12 18.5 2.5 12 2.5 12z"/><circle cx="12" cy="12" r="2.8"/>',
    "pencil": '<path d="m4.5 19.5 1-4.5L16.5 4l3.5 3.5-11 11z"/><path d="m14 6.5 3.5 3.5"/>',
    "log": '<path d="M5 4.5h14v15H5z"/><path d="M8.5 9h7M8.5 12.5h7M8.5 16h4"/>',
    "help": '<circle cx="12" cy="12" r="8.5"/><path d="M9.5 9.5a2.5 2.5 0 1 1 3.6 2.3c-.8.4-1.1.9-1.1 1.9M12 16.5v.4"/>',
    "branch": '<circle cx="7" cy="6" r="2.2"/><circle cx="7" cy="18" r="2.2"/><circle cx="17" cy="9" r="2.2"/>'
    '<path d="M7 8.2v7.6M17 11.2c0 3.3-4.5 3.3-8.3 5.3"/>',
    "chip": '<rect x="6.5" y="6.5" width="11" height="11" rx="1.5"/><path d="M10 3.5v3M14 3.5v3M10 17.5v3M14 17.5v3'
    'M3.5 10h3M3.5 14h3M17.5 10h3M17.5 14h3"/>',
    "chat": '<path d="M4 5h16v11.5H11L6.5 20v-3.5H4z"/>',
    "more": '<path d="M6 12h.1M12 12h.1M18 12h.1"/>',
    "sparkle": '<path d="M12 4c.8 5 3 7.2 8 8-5 .8-7.2 3-8 8-.8-5-3-7.2-8-8 5-.8 7.2-3 8-8z"/>',
    "drop": '<path d="M4 14v5.5h16V14"/><path d="M12 4v11M8 11l4 4 4-4"/>',
}


def svg(name: str, colour: str, *, weight: float = 1.8) -> str:
    """The icon as an SVG document."""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24" fill="none" stroke="{colour}" '
        f'stroke-width="{weight}" stroke-linecap="round" stroke-linejoin="round">{STROKES[name]}</svg>'
    )


def picture(name: str, colour: str, pixels: int, ratio: float = 1.0) -> QPixmap:
    """The icon as a transparent picture of `pixels` × `pixels` device pixels."""
    drawing = QPixmap(pixels, pixels)
    drawing.fill(Qt.GlobalColor.transparent)
    painter = QPainter(drawing)
    QSvgRenderer(QByteArray(svg(name, colour).encode())).render(painter)
    painter.end()
    drawing.setDevicePixelRatio(ratio)
    return drawing


def icon(name: str, colour: str, size: int = 16) -> QIcon:
    """The icon for a button, crisp at 100, 200 and 300 %."""
    result = QIcon()
    for ratio in (1, 2, 3):
        result.addPixmap(picture(name, colour, size * ratio, ratio))
    return result
