"""Text files: paragraphs as records, however they are saved."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus.data.captions import CaptionFolder
from isthmus.data.open import open_data
from isthmus.data.survey import survey
from isthmus.data.table import Table
from isthmus.data.texts import LONG, SHORT, Texts
from isthmus.errors import InputError
from tests.data.sources import picture_bytes, write

A, B = "a " * SHORT, "b " * SHORT


def texts(source: Texts) -> list[str]:
    return [source[at].messages[0].text for at in range(len(source))]


def test_paragraphs_are_records_of_one_assistants_message(tmp_path: Path) -> None:
    write(tmp_path / "notes.txt", f"\ufeff{A}\r\n\r\n  \r\n{B}\r\nmore\r\n")
    source = open_data(str(tmp_path / "notes.txt"))
    assert isinstance(source, Texts)
    assert texts(source) == [A.strip(), f"{B}\nmore"]
    assert [source[at].place for at in range(2)] == ["notes.txt, line 1", "notes.txt, line 4"]
    assert [message.role for message in source[0].messages] == ["assistant"]
    assert survey(source).usable == 2


def test_a_heading_goes_with_what_follows(tmp_path: Path) -> None:
    write(tmp_path / "notes.md", f"# On bones\n\nfirst\n\n{A}\n\nend\n")
    assert texts(Texts(tmp_path / "notes.md")) == [f"# On bones\n\nfirst\n\n{A.strip()}", "end"]


def test_a_folder_of_texts_and_no_pictures(tmp_path: Path) -> None:
    write(tmp_path / "b.txt", B)
    write(tmp_path / "a" / "a.md", A)
    write(tmp_path / ".hidden.txt", "no")
    source = open_data(str(tmp_path))
    assert isinstance(source, Texts)
    assert [source[at].place for at in range(2)] == ["b.txt, line 1", "a/a.md, line 1"]
    (tmp_path / "a" / "b.jpg").write_bytes(picture_bytes("JPEG"))
    assert isinstance(open_data(str(tmp_path)), CaptionFolder)


@pytest.mark.parametrize(
    ("first", "kind"),
    [
        ("image,caption", Table),
        ("9.jpg\ta cat", Table),
        ("9.JPG,a cat, black", Table),
        ("The text, and what it says", Texts),
        ("Report of the ward", Texts),
        ("", Texts),
    ],
)
def test_a_text_is_told_from_a_table(tmp_path: Path, first: str, kind: type) -> None:
    write(tmp_path / "x.txt", f"{first}\n9.jpg,a cat\n")
    if kind is Table and first.count(",") > 1:
        with pytest.raises(InputError, match="is no table of captions"):
            open_data(str(tmp_path / "x.txt"))
    else:
        assert isinstance(open_data(str(tmp_path / "x.txt")), kind)


@given(st.text(st.sampled_from("ab .!\n。猫é"), max_size=5 * LONG))
def test_nothing_is_lost_and_no_piece_is_long(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.mktemp("texts") / "x.txt"
    path.write_bytes(text.encode())
    if not text.strip():
        with pytest.raises(InputError, match="holds no text"):
            Texts(path)
        return
    found = texts(Texts(path))
    assert all(each and len(each.encode()) <= LONG for each in found)
    assert "".join("".join(found).split()) == "".join(text.split())


def test_long_paragraphs_are_parted_where_sentences_end(tmp_path: Path) -> None:
    sentence = "word " * 60 + "end. "
    write(tmp_path / "x.txt", sentence * 20)
    found = texts(Texts(tmp_path / "x.txt"))
    assert len(found) > 2 and all(each.endswith("end.") for each in found)
    write(tmp_path / "y.txt", "猫" * LONG)
    assert "".join(texts(Texts(tmp_path / "y.txt"))) == "猫" * LONG


def test_what_is_not_utf_8_is_a_bad_record_and_a_lost_file_said(tmp_path: Path) -> None:
    path = tmp_path / "x.txt"
    path.write_bytes(b"caf\xe9 " * SHORT + b"\n\n" + A.encode())
    source = Texts(path)
    assert (len(source), survey(source).usable) == (2, 1)
    with pytest.raises(InputError, match=r"x\.txt, line 1: it is not UTF-8"):
        source[0]
    path.unlink()
    with pytest.raises(InputError, match="cannot be read"):
        source[1]
    with pytest.raises(InputError, match="cannot be read"):
        Texts(path)
