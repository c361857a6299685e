"""What comes back when a model is asked."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

Finish: TypeAlias = Literal["stop", "length"]
"""Why an answer ended: the model ended it (or a stop string came), or the tokens ran out."""


@dataclass(frozen=True)
class Answer:
    """An answer and what it took. `model`: which one spoke. `tokens_in`: of the prompt, of which `tokens_pictures`
    stand for pictures and `tokens_reused` were read before and not again. `tokens_out`: generated ones, with that which
    ended the answer. `seconds_to_first`: from the question to the first token, opening and encoding the pictures
    included."""

    text: str
    model: str
    tokens_in: int
    tokens_pictures: int
    tokens_reused: int
    tokens_out: int
    seconds_to_first: float
    finish: Finish

    def __str__(self) -> str:
        return self.text
