"""A row of named columns as an Example: a table's, a JSON line's, a dataset's, a shard's.

What the row is, its columns say, in this order: a conversation (`messages`, `conversations`, `texts`); a question with
its answers; a picture with its captions; a text alone.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from isthmus.data.example import Example, named
from isthmus.errors import InputError
from isthmus.messages import ROLES, ImagePart, Message, Part, Role, TextPart, assistant, user
from isthmus.records import at_marks, conversation, parse_record

PICTURE = (
    "image", "images", "picture", "pictures", "img", "file_name", "file_names", "filename", "file", "image_path",
    "image_name", "path", "photo",
)  # fmt: skip
TEXT = ("caption", "captions", "text", "description", "sentence", "sentences", "comment", "alt_text", "raw")
QUESTION = ("question", "query")
ANSWER = ("answer", "multiple_choice_answer", "answers")
KIND = ("kind", "answer_type", "question_type")
CONVERSATION = ("messages", "conversations", "texts")


@dataclass(frozen=True)
class Columns:
    """What columns are called where it is none of the usual names (listed above)."""

    picture: str = ""
    text: str = ""
    question: str = ""
    answer: str = ""

    @property
    def all(self) -> frozenset[str]:
        """Every column an Example could be read from."""
        own = (name for name in (self.picture, self.text, self.question, self.answer) if name)
        return frozenset((*own, *PICTURE, *TEXT, *QUESTION, *ANSWER, *KIND, *CONVERSATION))


USUAL = Columns()


def example_of(
    row: Mapping[str, Any], place: str, picture: Callable[[Any], ImagePart], columns: Columns = USUAL
) -> Example:
    """The Example in `row`. `picture` makes a picture's value an ImagePart. Raises InputError that begins with `place`.

    The mark <image> in a turn's text stands for the next picture. Of answers the commonest is the assistant's where
    the row names none.
    """
    try:
        return _example(row, place, picture, columns)
    except InputError as error:
        raise named(place, error) from None


def first_of(row: Mapping[str, Any], own: str, usual: Sequence[str]) -> str | None:
    """The column of that meaning which the row has (names in any case): the user's own, else the first usual one."""
    if own:
        if own not in row:
            raise InputError(f"there is no column {own!r}", why=_found(row))
        return own
    there = {name.strip().casefold(): name for name in row if isinstance(name, str)}
    return next((there[name] for name in usual if name in there and row[there[name]] is not None), None)


def captioned(pictures: Sequence[ImagePart], captions: Sequence[str], place: str, kind: str = "") -> Example:
    """Pictures with one caption or several. Empty ones do not count; raises InputError where none is left."""
    kept = tuple(text for each in captions if (text := each.strip()))
    if not kept:
        raise InputError("there is no caption", why="its text is empty" if captions else "")
    return Example((Message("user", tuple(pictures)), assistant(kept[0])), place, kept, kind)


def asked(
    pictures: Sequence[ImagePart], question: str, answer: str, answers: Sequence[str], place: str, kind: str = ""
) -> Example:
    """A question about pictures. `answer`: "" for the commonest of `answers` (the first of them where several are)."""
    kept = tuple(text for each in answers if (text := each.strip()))
    answer = answer.strip() or (Counter(kept).most_common(1)[0][0] if kept else "")
    if not question.strip():
        raise InputError("the question is empty")
    if not answer:
        raise InputError("there is no answer", why="its text is empty")
    every = kept if answer in kept else (answer, *kept)
    return Example((user(*pictures, question.strip()), assistant(answer)), place, every, kind)


def _example(row: Mapping[str, Any], place: str, picture: Callable[[Any], ImagePart], columns: Columns) -> Example:
    at = first_of(row, columns.picture, PICTURE)
    pictures = [picture(each) for each in _several(row[at])] if at else []
    kind = _text(row[name]) if (name := first_of(row, "", KIND)) else ""
    if (said := first_of(row, "", CONVERSATION)) and not (columns.question or columns.text):
        messages = _conversation(row[said], pictures)
        return Example(messages, place, _texts(row.get("answers")), kind)
    question = first_of(row, columns.question, QUESTION)
    if question:
        answer = first_of(row, columns.answer, ANSWER)
        every = _texts(row.get("answers"))
        single = _texts(row[answer]) if answer else ()
        chosen = single[0] if single and answer != "answers" else ""
        return asked(pictures, _text(row[question]), chosen, every or single, place, kind)
    text = first_of(row, columns.text, TEXT)
    if text is None:
        raise InputError("there is no caption, question or conversation", why=_found(row))
    if pictures:
        return captioned(pictures, _texts(row[text]), place, kind)
    if any(name.casefold() in PICTURE for name in row):
        raise InputError("there is no picture", why="its place is empty")
    alone = "\n".join(_texts(row[text]))
    if not alone.strip():
        raise InputError("the text is empty")
    return Example((assistant(alone),), place, (), kind)


def _conversation(value: Any, pictures: list[ImagePart]) -> tuple[Message, ...]:
    turns = value if isinstance(value, list) else []
    if turns and all(isinstance(turn, Mapping) and "from" in turn for turn in turns):
        messages = conversation(turns, pictures)
    elif turns and all(isinstance(turn, Mapping) and "user" in turn and "assistant" in turn for turn in turns):
        messages = _of_cauldron(turns, pictures)
    elif pictures and turns and all(isinstance(turn, Mapping) and "role" in turn for turn in turns):
        messages = _with_pictures(turns, pictures)
    else:
        messages = parse_record(value, Path())  # names no file: pictures are in the messages
    return ending_in_an_answer(messages)


def ending_in_an_answer(messages: tuple[Message, ...]) -> tuple[Message, ...]:
    """The same. Raises InputError where the last message is not an assistant's text."""
    if messages[-1].role != "assistant" or not messages[-1].text.strip():
        raise InputError("the conversation does not end with an answer", todo="end it with an assistant's text")
    return messages


def _of_cauldron(turns: Sequence[Mapping[str, Any]], pictures: Sequence[ImagePart]) -> tuple[Message, ...]:
    """Pairs {"user", "assistant"} (The Cauldron, Laurençon et al., 2024): the pictures stand before the first."""
    messages: list[Message] = []
    for turn in turns:
        question, answer = _text(turn["user"]), _text(turn["assistant"])
        messages += [user(*(() if messages else pictures), question), assistant(answer)]
    return tuple(messages)


def _with_pictures(turns: Sequence[Mapping[str, Any]], pictures: list[ImagePart]) -> tuple[Message, ...]:
    """Roles and contents, the pictures in a column of their own: at the marks in texts, or at parts of type image."""
    if all(isinstance(turn.get("content"), str) for turn in turns):
        return at_marks([(_role(turn), turn["content"]) for turn in turns], pictures)
    left = iter(pictures)
    messages = tuple(Message(_role(turn), tuple(_parts(turn.get("content"), left))) for turn in turns)
    if next(left, None) is not None:
        raise InputError("the conversation has more pictures than places")
    return messages


def _parts(content: Any, left: Iterator[ImagePart]) -> list[Part]:
    if isinstance(content, str):
        return [TextPart(content)]
    parts: list[Part] = []
    for part in content if isinstance(content, list) else [None]:
        match part:
            case {"type": "text", "text": str(text)}:
                parts.append(TextPart(text))
            case {"type": "image"}:
                if (picture := next(left, None)) is None:
                    raise InputError("the conversation has more places than pictures")
                parts.append(picture)
            case _:
                raise InputError("a message has a part that cannot be read", todo="parts are of type text and image")
    return parts


def _role(turn: Mapping[str, Any]) -> Role:
    role = turn["role"]
    if role not in ROLES:
        raise InputError(f"a message has the role {role!r}", todo=f"roles are {', '.join(ROLES)}")
    known: Role = role
    return known


def _several(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list | tuple) else [value]


def _texts(value: Any) -> tuple[str, ...]:
    """A text or several; of people's answers {"answer": ...} and captions {"raw": ...} what they say."""
    if value is None:
        return ()
    found = []
    for each in _several(value):
        match each:
            case {"answer": said} | {"caption": said} | {"raw": said} | {"text": said}:
                found.append(_text(said))
            case _:
                found.append(_text(each))
    return tuple(found)


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, bool | int | float):
        return str(value)
    raise InputError(f"a text is expected where {type(value).__name__} stands")


def _found(row: Mapping[str, Any]) -> str:
    return f"its columns are {', '.join(map(str, row)) or 'none'}"
