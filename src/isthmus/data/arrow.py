"""Datasets of the `datasets` library: parquet files, a folder of save_to_disk, or a name on the hub.

Pictures come as the bytes that are stored: nothing is decoded before a model asks for it.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from isthmus.data.example import Bad, Example
from isthmus.data.picture_files import picture
from isthmus.data.rows import USUAL, Columns, example_of
from isthmus.errors import InputError, MissingPart
from isthmus.messages import ImagePart

T = TypeVar("T")


class ArrowExamples:
    """A `datasets.Dataset`, mapped from disk: its rows in any order."""

    def __init__(self, name: str, dataset: Any, *, folder: Path = Path(), columns: Columns = USUAL) -> None:
        """`folder`: where pictures are named from that are not in the dataset itself."""
        self.name, self.folder, self.columns = name, folder, columns
        self._dataset = _needed(dataset, columns)

    def __len__(self) -> int:
        return len(self._dataset)

    def __getitem__(self, at: int) -> Example:
        at = range(len(self))[at]
        return example_of(self._dataset[at], f"{self.name}, row {at + 1}", self._picture, self.columns)

    def _picture(self, value: Any) -> ImagePart:
        return picture(value, self.folder)


class ArrowStream:
    """A `datasets.IterableDataset`, its rows as they come; a row is named by its number from the front."""

    def __init__(self, name: str, dataset: Any, *, folder: Path = Path(), columns: Columns = USUAL) -> None:
        self.name, self.folder, self.columns = name, folder, columns
        self._dataset = _needed(dataset, columns)
        self._number = 0

    def __iter__(self) -> Iterator[Example | Bad]:
        """Raises InputError where the data cannot be read on: a file is damaged, the network gone for good."""
        rows = iter(self._dataset)
        while (row := _tried(self.name, lambda: next(rows, None))) is not None:
            self._number += 1
            place = f"{self.name}, row {self._number}"
            try:
                found: Example | Bad = example_of(row, place, self._picture, self.columns)
            except InputError as error:
                found = Bad(place, error)
            yield found

    def state(self) -> dict[str, Any]:
        return {"row": self._number, "dataset": self._dataset.state_dict()}

    def resume(self, state: dict[str, Any]) -> None:
        self._number = int(state["row"])
        self._dataset.load_state_dict(state["dataset"])

    def _picture(self, value: Any) -> ImagePart:
        return picture(value, self.folder)


def open_parquet(
    where: Path, *, split: str | None = None, streaming: bool = False, folder: Path | None = None,
    columns: Columns = USUAL,
) -> ArrowExamples | ArrowStream:  # fmt: skip
    """A parquet file, or a folder of them whose names may say their splits. Read in any order, they are written once
    more to the library's cache (HF_HOME); streaming, they are read where they are. Raises InputError, MissingPart."""
    base = where if where.is_dir() else where.parent
    if where.is_dir():
        opened = _loaded(str(where), "parquet", streaming=streaming, data_dir=str(where))
    else:
        opened = _loaded(str(where), "parquet", streaming=streaming, data_files=str(where))
    return _opened(where.name, opened, split, folder or base, columns)


def open_saved(
    where: Path, *, split: str | None = None, folder: Path | None = None, columns: Columns = USUAL
) -> ArrowExamples | ArrowStream:
    """A folder written by `Dataset.save_to_disk` or `DatasetDict.save_to_disk`. Raises InputError, MissingPart."""
    datasets = _library()
    with _no_bars(datasets):
        opened = _tried(str(where), lambda: datasets.load_from_disk(str(where)))
    return _opened(where.name, opened, split, folder or where, columns)


def open_from_hub(
    name: str, *, split: str | None = None, streaming: bool = False, folder: Path | None = None,
    columns: Columns = USUAL,
) -> ArrowExamples | ArrowStream:  # fmt: skip
    """OWNER/NAME, or OWNER/NAME@REVISION, on the Hugging Face hub. Raises InputError, MissingPart."""
    repository, _, revision = name.partition("@")
    opened = _loaded(name, repository, streaming=streaming, revision=revision or None)
    return _opened(name, opened, split, folder or Path(), columns)


def _opened(name: str, opened: Any, split: str | None, folder: Path, columns: Columns) -> ArrowExamples | ArrowStream:
    datasets = _library()
    if isinstance(opened, dict):  # by split
        opened = opened[_split(name, list(opened), split)]
    kind = ArrowStream if isinstance(opened, datasets.IterableDataset) else ArrowExamples
    return kind(name, opened, folder=folder, columns=columns)


def _split(name: str, there: Sequence[str], wanted: str | None) -> str:
    if wanted is None and len(there) == 1:
        return there[0]
    if (wanted or "train") in there:
        return wanted or "train"
    what = f"has no split {wanted!r}" if wanted else "has several splits and none is chosen"
    raise InputError(f"{name} {what}", todo=f"choose one of {', '.join(there)}")


def _needed(dataset: Any, columns: Columns) -> Any:
    """The columns an Example is read from, pictures undecoded. Where the columns are unknown, all."""
    datasets = _library()
    if dataset.features is None:
        return dataset
    usual = {name.casefold() for name in columns.all}
    kept = [name for name in dataset.features if name.casefold() in usual]
    if not kept:
        raise InputError(
            "no column is known", why=f"there are {', '.join(dataset.features)}", todo="say which column is which"
        )
    dataset = dataset.select_columns(kept)
    for name in kept:
        feature = dataset.features[name]
        raw = _undecoded(feature, datasets)
        if raw != feature:
            dataset = dataset.cast_column(name, raw)
    return dataset


def _undecoded(feature: Any, datasets: Any) -> Any:
    match feature:
        case datasets.Image():
            return datasets.Image(decode=False)
        case datasets.List():
            return datasets.List(_undecoded(feature.feature, datasets), length=feature.length)
        case datasets.LargeList():
            return datasets.LargeList(_undecoded(feature.feature, datasets))
        case dict():
            return {name: _undecoded(each, datasets) for name, each in feature.items()}
    return feature


def _loaded(said: str, path: str, **arguments: Any) -> Any:
    datasets = _library()
    with _no_bars(datasets):
        return _tried(said, lambda: datasets.load_dataset(path, **arguments))


def _tried(name: str, read: Callable[[], T]) -> T:
    """What `read` gives; the library's complaints in our words."""
    datasets = _library()
    import pyarrow
    from httpx import HTTPError

    try:
        return read()
    except datasets.exceptions.DatasetNotFoundError as error:
        raise InputError(f"there is no dataset {name}", why=_line(error), todo="check the name; set HF_TOKEN") from None
    except ConnectionError as error:
        raise MissingPart(
            f"{name} cannot be had from the hub", why=_line(error), todo="connect, or name a file"
        ) from None
    except (datasets.exceptions.DatasetsError, pyarrow.ArrowException, HTTPError, OSError, ValueError) as error:
        raise InputError(f"{name} cannot be read", why=_line(error.__cause__ or error)) from None


def _line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


@contextmanager
def _no_bars(datasets: Any) -> Iterator[None]:
    """The library shows no bars of its own within the block."""
    shown = not datasets.are_progress_bars_disabled()
    datasets.disable_progress_bars()
    try:
        yield
    finally:
        if shown:
            datasets.enable_progress_bars()


def _library() -> Any:
    try:
        import datasets
    except ImportError:
        raise MissingPart("datasets is not installed", todo="pip install 'isthmus[data]'") from None
    return datasets
