"""XMP packets and sidecars: RDF/XML to properties, refusing what is no plain packet (XMP part 1, ISO 16684-1)."""

import codecs
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from xml.etree.ElementTree import Element, ParseError, TreeBuilder

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import DefusedXMLParser

from isthmus.photos.metadata.blocks import MAX_PACKET
from isthmus.photos.metadata.text import Problems

MAX_NODES, MAX_DEPTH = 100_000, 64
"""Elements and attributes of a packet, and elements within one another. Lightroom's largest edits have a few thousand,
eight deep."""

PREFIXES = {
    "http://purl.org/dc/elements/1.1/": "dc",
    "http://ns.adobe.com/xap/1.0/": "xmp",
    "http://ns.adobe.com/xmp/note/": "xmpNote",
    "http://ns.adobe.com/exif/1.0/": "exif",
    "http://cipa.jp/exif/1.0/": "exifEX",
    "http://ns.adobe.com/exif/1.0/aux/": "aux",
    "http://ns.adobe.com/tiff/1.0/": "tiff",
    "http://ns.adobe.com/photoshop/1.0/": "photoshop",
    "http://ns.adobe.com/lightroom/1.0/": "lr",
    "http://www.digikam.org/ns/1.0/": "digiKam",
    "http://iptc.org/std/Iptc4xmpExt/2008-02-29/": "Iptc4xmpExt",
    "http://www.metadataworkinggroup.com/schemas/regions/": "mwg-rs",
    "http://ns.adobe.com/xmp/sType/Area#": "stArea",
    "http://ns.adobe.com/xap/1.0/sType/Dimensions#": "stDim",
    "http://ns.microsoft.com/photo/1.0/": "MicrosoftPhoto",
    "http://ns.microsoft.com/photo/1.0": "MicrosoftPhoto",
    "http://ns.microsoft.com/photo/1.2/": "MP",
    "http://ns.microsoft.com/photo/1.2/t/RegionInfo#": "MPRI",
    "http://ns.microsoft.com/photo/1.2/t/Region#": "MPReg",
    "http://ns.google.com/photos/1.0/panorama/": "GPano",
    "http://ns.google.com/photos/1.0/camera/": "GCamera",
}
"""Namespaces whose properties are kept, by the prefix the code knows them by. Files may use any prefix."""

_RDF, _XML = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}", "{http://www.w3.org/XML/1998/namespace}"
_ARRAYS = (_RDF + "Bag", _RDF + "Seq", _RDF + "Alt")
_BOMS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_BE, "utf-16-be"), (codecs.BOM_UTF16_LE, "utf-16-le"))
_NO_XML = re.compile("[\0-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")


@dataclass(frozen=True)
class Node:
    """A value: a text, an array (`items`) or a structure (`fields`, by prefixed name)."""

    text: str = ""
    items: tuple["Node", ...] = ()
    fields: Mapping[str, "Node"] = field(default_factory=dict)
    language: str = ""

    def get(self, name: str) -> "Node":
        return self.fields.get(name, _NOTHING)

    def words(self) -> tuple[str, ...]:
        """The texts of an array, or the one text."""
        return tuple(item.text for item in self.items) if self.items else (self.text,) if self.text else ()

    def string(self) -> str:
        """The text; of a language alternative, the one for everybody ("x-default") or else the first."""
        if not self.items:
            return self.text
        default = (item.text for item in self.items if item.language.lower() == "x-default")
        return next(default, self.items[0].text)


_NOTHING = Node()


def properties(packet: bytes, what: str, problems: Problems) -> Node:
    """The packet's properties as one structure; empty, with a line in `problems`, where it is refused or damaged.

    Document types, and with them all entities, are refused. `what` names the packet in problems.
    """
    if len(packet) > MAX_PACKET:
        problems.add(f"{what} is larger than {MAX_PACKET >> 20} MB: not read")
        return _NOTHING
    if not (text := _text(packet)):
        return _NOTHING
    parser = DefusedXMLParser(target=_Bounded(), forbid_dtd=True)
    try:
        parser.feed(text)
        root = parser.close()
    except DefusedXmlException:
        problems.add(f"{what} declares a document type or entities: refused")
    except _TooMuch as error:
        problems.add(f"{what} {error}: not read")
    except (ParseError, ValueError, AssertionError) as error:
        problems.add(f"{what} is not well-formed: {error}")
    else:
        return Node(fields=dict(_described(root)))
    return _NOTHING


def merged(first: Node, second: Node) -> Node:
    """The properties of both; where both have one, that of the first."""
    return Node(fields={**second.fields, **first.fields})


class _TooMuch(Exception):
    """More elements than any packet has."""


class _Bounded(TreeBuilder):
    """Builds no more than a packet can need: four megabytes of "<a/>" would be hundreds as a tree."""

    def __init__(self) -> None:
        super().__init__()
        self._nodes = self._depth = 0

    def start(self, tag: str, attrs: dict[Any, Any], /) -> Element:
        self._nodes += 1 + len(attrs)
        self._depth += 1
        if self._nodes > MAX_NODES:
            raise _TooMuch(f"has more than {MAX_NODES:,} elements")
        if self._depth > MAX_DEPTH:
            raise _TooMuch(f"is nested more than {MAX_DEPTH} deep")
        return super().start(tag, attrs)

    def end(self, tag: str, /) -> Element:
        self._depth -= 1
        return super().end(tag)


def _text(packet: bytes) -> str:
    """As text, for real packets have stray bytes, NULs behind them and declare encodings they are not in."""
    for bom, encoding in _BOMS:
        if packet.startswith(bom):
            text = packet[len(bom) :].decode(encoding, "replace")
            break
    else:
        try:
            text = packet.decode()
        except UnicodeDecodeError:
            text = packet.decode("latin-1")
    return _NO_XML.sub("", text).strip().lstrip("\ufeff")


def _described(root: Element) -> Iterator[tuple[str, Node]]:
    """The properties of all descriptions; those of an earlier one are not overwritten."""
    seen: set[str] = set()
    for rdf in root.iter(_RDF + "RDF"):
        for description in rdf:
            for name, node in _fields(description):
                if name not in seen:
                    seen.add(name)
                    yield name, node


def _fields(element: Element) -> Iterator[tuple[str, Node]]:
    """Properties may stand as attributes or as elements (XMP part 1)."""
    for key, value in element.attrib.items():
        if name := _prefixed(key):
            yield name, Node(value)
    for child in element:
        if name := _prefixed(child.tag):
            yield name, _node(child)


def _node(element: Element) -> Node:
    language = element.get(_XML + "lang", "")
    if len(element) == 1 and element[0].tag in _ARRAYS:
        return Node(items=tuple(_node(item) for item in element[0]), language=language)
    if len(element) == 1 and element.get(_RDF + "parseType") != "Resource":
        described = element[0]
        if (value := described.find(_RDF + "value")) is not None:  # a value with qualifiers
            return Node(value.text or "", language=language)
        if described.tag == _RDF + "Description" or not _prefixed(described.tag):
            return Node(fields=dict(_fields(described)), language=language)
    if (value := element.find(_RDF + "value")) is not None:
        return Node(value.text or "", language=language)
    fields = dict(_fields(element))
    text = "" if len(element) else element.text or element.get(_RDF + "resource") or ""
    return Node(text, fields=fields, language=language)


def _prefixed(tag: object) -> str:
    """{uri}name as prefix:name; "" for namespaces nobody asks for."""
    if not isinstance(tag, str) or not tag.startswith("{"):
        return ""
    uri, _, name = tag[1:].partition("}")
    prefix = PREFIXES.get(uri)
    return f"{prefix}:{name}" if prefix else ""
