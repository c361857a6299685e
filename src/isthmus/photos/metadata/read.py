"""One file's metadata, put together from its EXIF, XMP and IPTC blocks, its sidecar and its name."""

from collections.abc import Iterator
from datetime import datetime

from isthmus.photos.metadata import camera, moments, names, place, regions, taken, text, xmp
from isthmus.photos.metadata.blocks import Blocks, blocks_of
from isthmus.photos.metadata.exif import Exif, exif_of
from isthmus.photos.metadata.iptc import Iptc, iptc_of
from isthmus.photos.metadata.kinds import kinds_of
from isthmus.photos.metadata.model import MOTION_PHOTO, Metadata
from isthmus.photos.metadata.text import Problems
from isthmus.photos.metadata.xmp import Node

# What cameras fill into the description by themselves.
_NO_DESCRIPTION = frozenset(
    ("olympus digital camera", "minolta digital camera", "konica minolta digital camera", "sony dsc", "digital camera",
     "samsung", "default", "exif_jpeg_picture", "jpeg", "kodak digital still camera", "casio digital camera", "cof",
     "oznor", "dav", "edf", "mde", "sdr", "ptr", "hdr", "rbt", "rhdr", "bty", "screenshot")
)  # fmt: skip
_WINDOWS_STARS = {0: 0, 1: 1, 25: 2, 50: 3, 75: 4, 99: 5}


def metadata_of(data: bytes, *, name: str = "", sidecar: bytes | None = None, now: datetime | None = None) -> Metadata:
    """What the file with these bytes says about the photo; never raises, whatever the bytes.

    `name`: the file's, for the time and kind it may tell. `sidecar`: the bytes of the XMP file beside it. `now`: naive
    local time; later times are not believed (default: the clock).

    Where sources differ, the sidecar counts first, for it holds what a person changed without touching the photo; then
    EXIF, XMP, IPTC as the MWG has it (2.0), with IPTC before XMP where it was changed after it. Keywords and
    people of all sources are joined, for programs add to one and leave the others.

    Time and memory are bounded: parts beyond the limits of this package are cut or left out, and `problems` says so.
    """
    problems = Problems()
    now = now or datetime.now()
    blocks = blocks_of(data, name, problems)
    exif = exif_of(blocks.exif, problems) if blocks.exif else Exif()
    inside = xmp.properties(blocks.xmp, "XMP", problems)
    if blocks.extension:
        inside = xmp.merged(inside, xmp.properties(blocks.extension, "extended XMP", problems))
    beside = xmp.properties(sidecar or b"", "sidecar", problems)
    both = xmp.merged(beside, inside)
    iptc = iptc_of(blocks.iptc)

    maker, model = camera.camera(exif.make or both.get("tiff:Make").text, exif.model or both.get("tiff:Model").text)
    lens = next(
        filter(None, map(camera.lens, (exif.lens, both.get("exifEX:LensModel").text, both.get("aux:Lens").text))), ""
    )
    software = text.clean(exif.software or both.get("xmp:CreatorTool").text or iptc.program)
    where = place.of_xmp(beside, problems) or place.of_exif(exif.gps, problems) or place.of_xmp(inside, problems)
    when = _when(exif, inside, iptc, beside, blocks, name, where, now, problems)
    turn = blocks.orientation or exif.orientation
    boxes = regions.regions_of(both, turn, blocks.size, problems)
    return Metadata(
        taken=when.moment.at if when else None,
        precision=when.moment.precision if when else None,
        offset=when.moment.offset if when else None,
        taken_from=when.source if when else None,
        latitude=where.latitude if where else None,
        longitude=where.longitude if where else None,
        altitude=where.altitude if where else None,
        maker=maker,
        model=model,
        lens=lens,
        rating=_rating(beside, inside, exif, problems),
        keywords=text.words(_keywords(beside, inside, iptc, exif), "keywords", problems),
        people=text.words((*regions.people_of(boxes, beside), *regions.people_of((), inside)), "people", problems),
        regions=boxes,
        title=_title(beside, inside, iptc, exif, blocks),
        caption=_caption(beside, inside, iptc, exif, blocks, problems),
        software=software,
        kinds=kinds_of(blocks, exif, both, name, maker, lens, software),
        live_id=_live_id(exif, both),
        problems=problems.lines(),
    )


def _when(
    exif: Exif,
    inside: Node,
    iptc: Iptc,
    beside: Node,
    blocks: Blocks,
    name: str,
    where: place.Position | None,
    now: datetime,
    problems: Problems,
) -> taken.Claim | None:
    said = taken.claims(exif, inside, iptc, beside, iptc_newer=blocks.iptc_newer, now=now, problems=problems)
    # A camera that wrote no other time wrote this one; a program that changes a photo keeps the time it was taken.
    modified = moments.of_exif(exif.modified, "EXIF DateTime", now, problems) if exif.make else None
    satellite = place.satellite_time(exif.gps, inside, now, problems)
    longitude = where.longitude if where else None
    return taken.best(said, modified, satellite, names.moment_of(name, now), longitude, problems)


def _rating(beside: Node, inside: Node, exif: Exif, problems: Problems) -> int | None:
    """xmp:Rating is -1 (rejected) or 0..5 (XMP part 2); Windows keeps its stars as 1, 25, 50, 75, 99."""
    for packet in (beside, inside):
        if said := packet.get("xmp:Rating").text.strip():
            try:
                stars = float(said)
            except ValueError:
                stars = float("nan")
            if stars in (-1, 0, 1, 2, 3, 4, 5):
                return int(stars)
            problems.add(f"rating “{text.clean(said, 20)}” is none of -1 to 5")
    if exif.rating is not None:
        if 0 <= exif.rating <= 5:
            return exif.rating
        problems.add(f"rating {exif.rating} is none of 0 to 5")
    percents = [packet.get("MicrosoftPhoto:Rating").text.strip() for packet in (beside, inside)]
    for percent in (*(int(said) for said in percents if said.isdecimal() and len(said) < 4), exif.rating_percent):
        if percent in _WINDOWS_STARS:
            return _WINDOWS_STARS[percent]
    return None


def _keywords(beside: Node, inside: Node, iptc: Iptc, exif: Exif) -> Iterator[str]:
    for packet in (beside, inside):
        yield from packet.get("dc:subject").words()
        yield from packet.get("lr:hierarchicalSubject").words()
        yield from (tag.replace("/", "|") for tag in packet.get("digiKam:TagsList").words())
    yield from iptc.keywords
    yield from exif.keywords


def _title(beside: Node, inside: Node, iptc: Iptc, exif: Exif, blocks: Blocks) -> str:
    own = [inside.get("dc:title").string(), iptc.title]
    if blocks.iptc_newer:
        own.reverse()
    return next(filter(None, map(text.clean, (beside.get("dc:title").string(), *own, exif.title))), "")


def _caption(beside: Node, inside: Node, iptc: Iptc, exif: Exif, blocks: Blocks, problems: Problems) -> str:
    own = [inside.get("dc:description").string(), iptc.caption]
    if blocks.iptc_newer:
        own.reverse()
    said = (beside.get("dc:description").string(), exif.description, *own, exif.windows_comment, exif.comment)
    captions = (text.caption(one, "caption", problems) for one in said)
    return next((one for one in captions if one and one.casefold() not in _NO_DESCRIPTION), "")


def _live_id(exif: Exif, packet: Node) -> str:
    if exif.content_identifier:
        return text.clean(exif.content_identifier)
    flags = (packet.get("GCamera:MotionPhoto").text, packet.get("GCamera:MicroVideo").text)
    return MOTION_PHOTO if "1" in (flag.strip() for flag in flags) else ""
