"""The description in a picture's XMP: of a sidecar file, or out of the picture itself.

A packet in a picture is found by scanning for it, which the format is made for: it stands whole and as UTF-8 in JPEG,
PNG, WebP, TIFF, HEIF and AVIF alike, so no decoder is asked. Sources: XMP Specification Part 1 (dc:description is a
language alternative), Part 3 (packet scanning).
"""

import mmap
from pathlib import Path
from xml.etree import ElementTree

from isthmus.errors import InputError

BEGIN, END = b"<x:xmpmeta", b"</x:xmpmeta>"
MAX_PACKET = 16 * 2**20
"""A longer one is no description of a picture."""

RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
DESCRIPTION = "{http://purl.org/dc/elements/1.1/}description"
LANGUAGE = "{http://www.w3.org/XML/1998/namespace}lang"


def sidecar_description(path: Path) -> str:
    """The description in an .xmp file, "" for none. Raises InputError where it is not XML, or declares entities."""
    try:
        if path.stat().st_size > MAX_PACKET:
            raise InputError(f"{path.name} is too large for XMP")
        return description(path.read_bytes(), path.name)
    except OSError as error:
        raise InputError(f"{path} cannot be read", why=error.strerror or str(error)) from None


def embedded_description(path: Path) -> str:
    """The description in a picture file, "" for none. Raises InputError where its packet is damaged."""
    try:
        with path.open("rb") as file:
            if not file.seek(0, 2):
                return ""
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
                return _first(content, path.name)
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read", why=str(error)) from None


def _first(content: mmap.mmap, name: str) -> str:
    """Of several packets (one may be a thumbnail's) the first with a description."""
    at = content.find(BEGIN)
    while at >= 0:
        end = content.find(END, at, at + MAX_PACKET)
        if end < 0:
            return ""
        if said := description(content[at : end + len(END)], name):
            return said
        at = content.find(BEGIN, end)
    return ""


def description(packet: bytes, name: str) -> str:
    """dc:description of a packet: its x-default, else its first language. Raises InputError."""
    try:
        root = ElementTree.fromstring(packet, ElementTree.XMLParser(target=_NoDoctype()))
    except (ElementTree.ParseError, ValueError, LookupError) as error:  # LookupError: an encoding nobody knows
        raise InputError(f"the XMP of {name} is damaged", why=str(error)) from None
    for found in root.iter(DESCRIPTION):
        said = [(item.get(LANGUAGE), text) for item in found.iter(f"{RDF}li") if (text := (item.text or "").strip())]
        default = [text for language, text in said if language == "x-default"]
        if text := (*default, *(text for _, text in said), (found.text or "").strip())[0]:
            return text
    short = (each.get(DESCRIPTION, "").strip() for each in root.iter(f"{RDF}Description"))
    return next(filter(None, short), "")


class _NoDoctype(ElementTree.TreeBuilder):
    """Entities are declared in a document type, which XMP has no use for: without one nothing can be expanded."""

    def doctype(self, name: str, pubid: str | None, system: str | None) -> None:  # noqa: ARG002  the parser's call
        raise ValueError(f"it declares a document type {name!r}")
