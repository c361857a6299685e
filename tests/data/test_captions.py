"""Folders of pictures with captions: tables, files beside them, XMP beside and inside them."""

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from isthmus.data.captions import CaptionFolder
from isthmus.data.table import Table
from isthmus.data.xmp import description, embedded_description, sidecar_description
from isthmus.errors import InputError
from isthmus.messages import assistant, user

from .sources import picture_bytes, write

XMP = """<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title><rdf:Alt>
<rdf:li xml:lang="x-default">the title</rdf:li></rdf:Alt></dc:title><dc:description><rdf:Alt>{items}</rdf:Alt>
</dc:description></rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="w"?>"""
BOTH = '<rdf:li xml:lang="de">ein Kater</rdf:li><rdf:li xml:lang="x-default"> a cat &amp; 猫 </rdf:li>'


def xmp(items: str = BOTH) -> bytes:
    return XMP.format(items=items).encode()


def pictures(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(picture_bytes())


def captions(data: Any) -> dict[str, tuple[str, ...]]:
    """By picture file; of what cannot be used nothing."""
    found = {}
    for at in range(len(data)):
        try:
            example = data[at]
        except InputError:
            continue
        found[example.messages[0].pictures[0].source.name] = example.answers
    return found


def test_files_beside_pictures(tmp_path: Path) -> None:
    pictures(tmp_path, "b.JPG", "a/c.png", "d.webp", "e.png", "f.png", ".hidden/x.png", "a/._c.png")
    write(tmp_path / "B.txt", "\ufeffa cat\r\n\r\n一只猫\r\n")
    write(tmp_path / "a" / "c.png.txt", "a dog")
    write(tmp_path / "d.caption", "a fish")
    write(tmp_path / "e.xmp", xmp().decode())
    data = CaptionFolder(tmp_path)
    assert len(data) == 5
    assert captions(data) == {
        "b.JPG": ("a cat", "一只猫"),
        "c.png": ("a dog",),
        "d.webp": ("a fish",),
        "e.png": ("a cat & 猫",),
    }
    assert data[0].messages == (user(tmp_path / "b.JPG"), assistant("a cat"))
    assert [data[at].place for at in (0, 4)] == ["b.JPG", "a/c.png"]
    with pytest.raises(InputError, match=r"f.png: there is no caption"):
        data[3]
    with pytest.raises(IndexError):
        data[5]


def test_damaged_files_beside_pictures_are_named(tmp_path: Path) -> None:
    pictures(tmp_path, "a.png", "b.png", "c.png")
    (tmp_path / "a.txt").write_bytes("小狗".encode("gbk"))
    write(tmp_path / "b.xmp", "<x:xmpmeta")
    write(tmp_path / "c.txt", " \n")
    data = CaptionFolder(tmp_path)
    for at, said in enumerate(("a.txt is not UTF-8", "the XMP of b.xmp is damaged", "there is no caption")):
        with pytest.raises(InputError, match=said):
            data[at]


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_xmp_inside_a_picture_is_what_pillow_finds_there(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"a.{kind.lower()}"
    info = PngInfo()
    info.add_itxt("XML:com.adobe.xmp", xmp().decode())
    how: dict[str, Any] = {"pnginfo": info} if kind == "PNG" else {"xmp": xmp()}
    if kind == "TIFF":
        how = {"tiffinfo": {700: xmp()}}
    path.write_bytes(picture_bytes(kind, **how))
    with Image.open(path) as opened:
        assert description(opened.info["xmp"], "a") == "a cat & 猫"
    assert embedded_description(path) == "a cat & 猫"
    assert captions(CaptionFolder(tmp_path)) == {path.name: ("a cat & 猫",)}


@pytest.mark.parametrize(
    ("items", "said"),
    [
        (BOTH, "a cat & 猫"),
        ('<rdf:li xml:lang="de">ein Kater</rdf:li><rdf:li xml:lang="x-default"> </rdf:li>', "ein Kater"),
        ("<rdf:li>no language</rdf:li>", "no language"),
        ("", ""),
    ],
)
def test_of_several_languages_the_default(items: str, said: str) -> None:
    assert description(xmp(items), "a") == said


def test_the_short_form_and_none() -> None:
    head = (
        '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns:dc="http://purl.org/dc/elements/1.1/">'
    )
    short = f'{head}<rdf:Description dc:description="a cat"/></rdf:RDF>'
    plain = f"{head}<rdf:Description><dc:description>a cat</dc:description></rdf:Description></rdf:RDF>"
    assert description(short.encode(), "a") == description(plain.encode(), "a") == "a cat"
    assert description(f"{head}</rdf:RDF>".encode(), "a") == ""


def test_a_packet_without_a_description_does_not_hide_the_next(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(picture_bytes("JPEG") + xmp("") + xmp())
    assert embedded_description(path) == "a cat & 猫"
    path.write_bytes(picture_bytes("JPEG") + xmp()[:-80])
    assert embedded_description(path) == ""
    path.write_bytes(b"")
    assert embedded_description(path) == ""


@pytest.mark.parametrize(
    "hostile",
    [
        '<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]><x>&b;</x>',
        '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><x>&a;</x>',
        '<!DOCTYPE x SYSTEM "http://a.b/c.dtd"><x/>',
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_xml_that_declares_entities_is_refused(tmp_path: Path, hostile: str, encoding: str) -> None:
    path = write(tmp_path / "a.xmp", hostile, encoding)
    with pytest.raises(InputError, match=r"the XMP of a.xmp is damaged: it declares a document type 'x'"):
        sidecar_description(path)


@pytest.mark.parametrize("name", ["metadata.csv", "captions.csv", "Metadata.CSV"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_table_in_a_folder(tmp_path: Path, name: str, encoding: str, end: str) -> None:
    pictures(tmp_path, "train/a.png", "b.png", "c.png")
    lines = [
        "file_name,text",
        'train/a.png,"a cat, lying"',
        "b.png,狗",
        "",
        "train\\a.png,no",
        "train/a.png,猫",
        "b.png,",
    ]
    write(tmp_path / "in" / name, end.join(lines) + end, encoding)
    for each in ("train", "b.png", "c.png"):
        (tmp_path / each).rename(tmp_path / "in" / each)
    data = CaptionFolder(tmp_path / "in")
    assert len(data) == 3
    assert data[0].answers == ("a cat, lying", "猫")
    assert data[1].answers == ("狗",)
    assert data[2].messages[0].pictures[0].source == tmp_path / "in" / "train" / "a.png"
    assert data[1].place == f"{name}, line 3"


@pytest.mark.parametrize(
    "text",
    [
        "image_name| comment_number| comment\na.png| 0| a cat\na.png| 1| 猫\n",
        "image;caption\na.png;a cat\na.png;猫",
        "image\tcaption\na.png\ta cat\na.png\t猫\n",
        "image,caption,\na.png,a cat,\na.png,猫\n",
        "a.png,a cat\na.png,猫\n",
        "a.png\ta cat\na.png\t猫\n",
    ],
)
def test_tables_as_programs_write_them(tmp_path: Path, text: str) -> None:
    pictures(tmp_path, "a.png")
    assert captions(Table(write(tmp_path / "x.csv", text))) == {"a.png": ("a cat", "猫")}


def test_questions_in_a_table_are_records_of_their_own(tmp_path: Path) -> None:
    text = "image,question,answer\na.png,what?,a cat\na.png,where?,here\n"
    data = Table(write(tmp_path / "x.csv", text), folder=tmp_path)
    assert [data[at].messages[1] for at in range(2)] == [assistant("a cat"), assistant("here")]


def test_bad_rows_are_named(tmp_path: Path) -> None:
    text = 'image,caption\na.png,a cat, lying\n"b\nb.png",\n,a dog\nc.png\nd.png,fine\ne.png,"a" b\nf.png,a 3" pipe\n'
    data = Table(write(tmp_path / "x.csv", text))
    said = ["line 2: the row has 3 cells for 2 columns", "line 3: there is no caption", "line 5: there is no picture"]
    said += ["line 6: the row has 1 cells for 2 columns"]
    for at, each in enumerate(said):
        with pytest.raises(InputError, match=each):
            data[at]
    assert data[4].answers == ("fine",)
    with pytest.raises(InputError, match="line 8: the row cannot be read"):
        data[5]
    assert data[6].answers == ('a 3" pipe',)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("hello\nworld\n", "is no table of captions: its first line is 'hello'"),
        ("image,caption\n", "holds no row"),
        ('image,caption\na.png,"never closed\nb.png,x\n', "line 2: a quote is never closed"),
        ("图,说明\na.png,猫\n", "name the columns, as in file_name,text"),
    ],
)
def test_files_that_are_no_tables(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        Table(write(tmp_path / "x.csv", text))
    (tmp_path / "y.csv").write_bytes("image,caption\na.png,小狗\n".encode("gbk"))
    with pytest.raises(InputError, match="is not UTF-8"):
        Table(tmp_path / "y.csv")
    with pytest.raises(InputError, match="there is no file"):
        Table(tmp_path / "z.csv")


def test_metadata_in_json_lines_and_in_each_folder(tmp_path: Path) -> None:
    pictures(tmp_path, "train/a.png", "test/b.png", "other/c.png")
    write(tmp_path / "train" / "metadata.jsonl", json.dumps({"file_name": "a.png", "text": "a cat"}) + "\n")
    write(tmp_path / "test" / "metadata.csv", "file_name,caption\nb.png,a dog\n")
    write(tmp_path / "other" / "c.txt", "a fish")
    data = CaptionFolder(tmp_path)
    assert captions(data) == {"a.png": ("a cat",), "b.png": ("a dog",), "c.png": ("a fish",)}


def test_folders_without_pictures(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no pictures"):
        CaptionFolder(tmp_path)
    with pytest.raises(InputError, match="there is no folder"):
        CaptionFolder(tmp_path / "none")
