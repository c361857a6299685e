"""open_data: whatever people have their data in, recognised by its name and what is in it."""

import re
from pathlib import Path
from typing import Literal, TypeAlias, get_args

from isthmus.data.arrow import open_from_hub, open_parquet, open_saved
from isthmus.data.captions import CaptionFolder, is_picture, open_table, table_in, walk
from isthmus.data.coco import CocoCaptions
from isthmus.data.conversations import Conversations
from isthmus.data.example import Examples, Stream
from isthmus.data.rows import USUAL, Columns
from isthmus.data.shard_stream import ShardStream
from isthmus.data.shards import Shards
from isthmus.data.table import begins_a_table
from isthmus.data.texts import SUFFIXES as TEXTS
from isthmus.data.texts import Texts, texts_in
from isthmus.data.vqa import Vqa
from isthmus.errors import InputError, MissingPart

Form: TypeAlias = Literal[
    "conversations", "coco", "vqa", "table", "pictures", "texts", "parquet", "saved", "hub", "shards"
]  # fmt: skip
FORMS: tuple[Form, ...] = get_args(Form)

EXPECTED = (
    "give a .json or .jsonl file (conversations, COCO captions, VQA v2), a .csv or .tsv table, a folder of pictures "
    "with captions, .txt files, parquet, a folder of save_to_disk, .tar shards, or OWNER/NAME on the hub"
)
TAKEN = {
    "streaming": ("parquet", "hub", "shards"),
    "split": ("parquet", "saved", "hub"),
    "annotations": ("vqa",),
    "folder": ("conversations", "coco", "vqa", "table", "parquet", "saved", "hub"),
}
"""Arguments that mean something for some forms alone."""
ELSEWHERE = re.compile(r"pipe:|[a-z][a-z0-9+]+://")
HUB = re.compile(r"[\w.-]+/[\w.-]+(@[\w./-]+)?")
HEAD = 1 << 16


def open_data(
    where: str,
    *,
    form: str | None = None,
    folder: Path | None = None,
    annotations: Path | None = None,
    split: str | None = None,
    columns: Columns = USUAL,
    streaming: bool = False,
) -> Examples | Stream:
    """The data at `where`: a file, a folder, shards ("part-{000..031}.tar", "parts/*.tar", an address), a hub's name.

    `form`: one of FORMS where it is not to be recognised. `folder`: of the pictures, where they are not where the file
    says. `annotations`: VQA's second file. `split`: of a dataset that has several. `columns`: unusual names of columns.
    `streaming`: read parquet, hub and shards from front to back, for more data than this disk holds.

    Raises InputError, in a line, where nothing is recognised or it is not what it looks like; MissingPart where a
    package or the hub is needed and not there.
    """
    if form is not None and form not in FORMS:
        raise InputError(f"there is no form {form!r} of data", todo=f"forms are {', '.join(FORMS)}")
    known = form or _form_of(where)
    given = {"streaming": streaming, "split": split, "annotations": annotations, "folder": folder}
    for name, forms in TAKEN.items():
        if given[name] and known not in forms:
            what = f"{where} is read as {known}, which takes no {name}"
            raise InputError(what, todo=f"{name} is for {', '.join(forms)}")
    path = Path(where)
    match known:
        case "conversations":
            return Conversations(path, folder=folder, columns=columns)
        case "coco":
            return CocoCaptions(path, folder=folder)
        case "vqa":
            return Vqa(_questions_in(path) if path.is_dir() else path, annotations, folder=folder)
        case "table":
            return open_table(path, folder=folder, columns=columns)
        case "pictures":
            return CaptionFolder(path, columns=columns)
        case "texts":
            return Texts(path)
        case "parquet":
            return open_parquet(path, split=split, streaming=streaming, folder=folder, columns=columns)
        case "saved":
            return open_saved(path, split=split, folder=folder, columns=columns)
        case "hub":
            return open_from_hub(where, split=split, streaming=streaming, folder=folder, columns=columns)
        case _:
            return _shards(where, streaming, columns)


def _form_of(where: str) -> str:
    path = Path(where)
    if not where.strip():
        raise InputError("no data are named", todo=EXPECTED)
    if path.is_dir():
        return _form_of_folder(path)
    if path.exists():
        return _form_of_file(path)
    if ELSEWHERE.match(where) or (path.suffix.lower() == ".tar" and any(mark in where for mark in "{*")):
        return "shards"
    if HUB.fullmatch(where) and not Path(where.split("/")[0]).is_dir() and path.suffix.lower() not in _BY_SUFFIX:
        return "hub"
    raise InputError(f"there is no {where}", todo=EXPECTED)


_BY_SUFFIX: dict[str, Form] = {
    ".jsonl": "conversations", ".ndjson": "conversations", ".csv": "table", ".tsv": "table", ".parquet": "parquet",
    ".tar": "shards", ".json": "conversations",
}  # fmt: skip


def _form_of_file(path: Path) -> str:
    suffix = path.suffix.lower()
    if path.name.lower().endswith((".tar.gz", ".tgz")):
        return "shards"
    if suffix in TEXTS:
        return "table" if begins_a_table(_head(path)) else "texts"  # Flickr8k's: pictures and captions, separated
    if suffix != ".json":
        if suffix in _BY_SUFFIX:
            return _BY_SUFFIX[suffix]
        raise InputError(f"{path} is not recognised", todo=EXPECTED)
    head = _head(path)
    if not head.lstrip().startswith(b"{"):
        return "conversations"
    if re.search(rb'"(task_type|question_id|questions)"\s*:', head):
        return "vqa"
    if re.search(rb'"(images|annotations|licenses|info)"\s*:\s*[\[{]', head) and b'"messages"' not in head:
        return "coco"
    return "conversations"


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(HEAD).removeprefix(b"\xef\xbb\xbf")
    except OSError as error:
        raise InputError(f"{path} cannot be read", why=error.strerror or str(error)) from None


def _form_of_folder(path: Path) -> str:
    names = sorted(each.name for each in path.iterdir())
    if "dataset_dict.json" in names or {"state.json", "dataset_info.json"} <= set(names):
        return "saved"
    if any(name.lower().endswith((".tar", ".tar.gz", ".tgz")) for name in names):
        return "shards"
    if table_in(path, names):
        return "pictures"
    if any(path.glob("*.parquet")) or any(path.glob("*/*.parquet")):
        return "parquet"
    if any("_questions" in name and name.endswith(".json") for name in names):
        return "vqa"
    if jsons := [name for name in names if name.lower().endswith((".json", ".jsonl"))]:
        raise InputError(f"{path} holds {', '.join(jsons[:5])}", todo="name the file, and the pictures' folder")
    pictures = any(table_in(folder, files) or any(map(is_picture, files)) for folder, files in walk(path))
    return "texts" if not pictures and texts_in(path) else "pictures"


def _questions_in(folder: Path) -> Path:
    found = sorted(folder.glob("*_questions*.json"))
    if len(found) != 1:
        names = ", ".join(path.name for path in found) or "none"
        raise InputError(f"{folder} holds {len(found)} files of questions", why=names, todo="name one of them")
    return found[0]


def _shards(where: str, streaming: bool, columns: Columns) -> Examples | Stream:
    found = _addresses(where)
    if streaming or ELSEWHERE.match(where):
        return ShardStream(where, found, columns=columns)
    return Shards(Path(where).name, [Path(each) for each in found], columns=columns)


def _addresses(where: str) -> list[str]:
    path = Path(where)
    if path.is_dir():
        found = [each for each in path.iterdir() if each.name.lower().endswith((".tar", ".tar.gz", ".tgz"))]
        return sorted(map(str, found))
    if path.exists() or (where.startswith("pipe:") and "{" not in where):
        return [where]
    if "{" in where:
        try:
            from braceexpand import UnbalancedBracesError, braceexpand  # type: ignore[attr-defined]
        except ImportError:
            raise MissingPart("braceexpand is not installed", todo="pip install 'isthmus[data]'") from None
        try:
            return list(braceexpand(where))
        except UnbalancedBracesError:
            raise InputError(f"{where} has a brace without its pair") from None
    if ELSEWHERE.match(where):
        return [where]
    found = sorted(path.parent.glob(path.name))
    if not found:
        raise InputError(f"there is no {where}", todo=EXPECTED)
    return list(map(str, found))
