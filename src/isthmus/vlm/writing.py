"""An answer while it grows: tokens in, text out, until something ends it."""

from typing import TYPE_CHECKING

from isthmus.options import Options
from isthmus.vlm.answer import Answer, Finish
from isthmus.vlm.decoding import TextGrower
from isthmus.vlm.sequence import Sample

if TYPE_CHECKING:
    from isthmus.vlm.model import VisionLanguageModel


class Writing:
    """One answer of at most `room` tokens. Once `finish` is set no token is taken any more."""

    def __init__(self, model: "VisionLanguageModel", options: Options, room: int) -> None:
        self._name, self._ends, self._room = model.name, end_tokens(model), room
        stops = tuple(end for end in model.template.ends if model.prompts.control(end) is None)
        self._grower = TextGrower(model.tokenizer, (*stops, *options.stop), model.template.lead)
        self._text: list[str] = []
        self.tokens = 0
        self.finish: Finish | None = None

    def push(self, token: int) -> str:
        """The text that is certain with this token; often empty. With the last one, all that was held back."""
        if self.finish is not None:
            return ""
        self.tokens += 1
        text = ""
        if token in self._ends:
            self.finish = "stop"
        else:
            text = self._grower.push(token)
            if self._grower.stopped:
                self.finish = "stop"
            elif self.tokens == self._room:
                self.finish = "length"
        if self.finish is not None:
            text += self._grower.finish()
        self._text.append(text)
        return text

    def answer(self, sample: Sample, reused: int, seconds_to_first: float) -> Answer:
        """The whole of it. `reused`: of the prompt's tokens, those that had been read before."""
        assert self.finish is not None
        text = "".join(self._text)
        return Answer(
            text, self._name, len(sample.ids), sample.shown, reused, self.tokens, seconds_to_first, self.finish
        )


def end_tokens(model: "VisionLanguageModel") -> frozenset[int]:
    """The ids that end an answer: the template's, and those the language model was saved with."""
    config = getattr(model.language_model, "generation_config", None)
    saved = getattr(config, "eos_token_id", None)
    listed = saved if isinstance(saved, list) else [] if saved is None else [saved]
    own = (model.prompts.control(end) for end in model.template.ends)
    return frozenset([*listed, *(id_ for id_ in own if id_ is not None)])
