"""What sort of picture it is, as far as metadata and name alone can tell: rather not said than wrongly said."""

import re

from isthmus.photos.metadata.blocks import Blocks
from isthmus.photos.metadata.exif import Exif
from isthmus.photos.metadata.xmp import Node
from isthmus.photos.query.model import PhotoKind

WIDE = 2.2
"""Longer to shorter side, from which a picture whose name says panorama is one."""

_APPLE_PANORAMA = 6
"""Apple's value of EXIF CustomRendered."""

_SCREENSHOT_NAME = re.compile(
    r"^(?:screen[ _-]?shots?|scrnshot|bildschirmfoto|capture d[’'_ ]écran|captura de (?:pantalla|tela|ecrã)"
    r"|schermafbeelding|屏幕截图|屏幕快照|屏幕截圖|螢幕截圖|螢幕快照|截屏|截图|截圖|微信截图|qq截图|スクリーンショット|스크린샷)(?![a-z])",
    re.IGNORECASE,
)
_PANORAMA_NAME = re.compile(r"(?<![a-z])pano(?:rama)?(?![a-z])|全景", re.IGNORECASE)
_SCANNER_APPS = (
    r"camscanner|adobe scan|microsoft lens|office lens|genius scan|scanbot|tiny ?scanner|swiftscan|clear ?scan(?:ner)?"
    r"|turboscan|scannable|vflat|simplescan|iscanner|扫描全能王|夸克扫描王|布丁扫描"
)
_SCANNER_NAME = re.compile(rf"^(?:{_SCANNER_APPS})(?![a-z])", re.IGNORECASE)
_SCANNER = re.compile(rf"(?<![a-z])(?:{_SCANNER_APPS})(?![a-z])", re.IGNORECASE)
_FRONT = re.compile(r"\bfront\b.*\bcamera\b", re.IGNORECASE)


def kinds_of(
    blocks: Blocks, exif: Exif, packet: Node, name: str, maker: str, lens: str, software: str
) -> frozenset[PhotoKind]:
    """The kinds that are sure."""
    base = re.split(r"[/\\]", name[-1024:])[-1]
    comments = (exif.comment, packet.get("exif:UserComment").string())
    found: dict[PhotoKind, bool] = {
        "screenshot": _SCREENSHOT_NAME.match(base) is not None
        or any(comment.strip().casefold() == "screenshot" for comment in comments),
        "panorama": any(packet.get(f"GPano:{key}").text for key in ("ProjectionType", "FullPanoWidthPixels"))
        or (maker == "Apple" and exif.custom_rendered == _APPLE_PANORAMA)
        or (_PANORAMA_NAME.search(base) is not None and _is_wide(blocks.size)),
        "selfie": _FRONT.search(lens) is not None,
        "document": _SCANNER_NAME.match(base) is not None or _SCANNER.search(software) is not None,
        "raw": blocks.raw,
        "animation": blocks.animated,
    }
    return frozenset(kind for kind, holds in found.items() if holds)


def _is_wide(size: tuple[int, int] | None) -> bool:
    return size is not None and min(size) > 0 and max(size) / min(size) >= WIDE
