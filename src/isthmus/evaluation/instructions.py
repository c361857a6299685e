"""Instructions whose following a program can check: say exactly this, in capitals, three items, this JSON.

Source of the idea: IFEval (Zhou et al., 2023); the prompts are ours.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

from isthmus.evaluation.speaker import Speaker
from isthmus.messages import user
from isthmus.progress import SILENT, Progress
from isthmus.vlm.sequence import build

MAX_TOKENS = 48
BATCH = 8
_DASH, _NUMBER = re.compile(r"\s*[-–]\s*\S"), re.compile(r"\s*\d+[.)]\s+\S")
_HAN = re.compile(r"[\u4e00-\u9fff]")
_LATIN = re.compile(r"[A-Za-z]")


def follows(check: Mapping[str, Any], answer: str) -> bool:
    """Whether `answer` does what the check asks. White space around it never matters; an empty one follows nothing.

    Where words are compared, case and the marks around them do not matter.
    """
    text = answer.strip()
    if not text:
        return False
    match check:
        case {"kind": "is", "text": str(wanted)}:
            return _bare(text) == _bare(wanted)
        case {"kind": "one of", "texts": [*wanted]}:
            return _bare(text) in [_bare(each) for each in wanted]
        case {"kind": "upper"}:
            return text.isupper()
        case {"kind": "lower"}:
            return text.islower()
        case {"kind": "dashes", "count": int(count)}:
            return sum(_DASH.match(line) is not None for line in text.splitlines()) == count
        case {"kind": "numbered", "count": int(count)}:
            return sum(_NUMBER.match(line) is not None for line in text.splitlines()) == count
        case {"kind": "commas", "count": int(count)}:
            parts = [each.strip() for each in text.rstrip(".").split(",")]
            return "\n" not in text and len(parts) == count and all(1 <= len(each.split()) <= 3 for each in parts)
        case {"kind": "ends", "text": str(wanted)}:
            return _words(text)[-1:] == _words(wanted)
        case {"kind": "starts", "text": str(wanted)}:
            return _words(text)[:1] == _words(wanted)
        case {"kind": "has", "texts": [*wanted]}:
            return set(wanted) <= set(_words(text))
        case {"kind": "lacks", "texts": [*wanted]}:
            return not set(wanted) & set(_words(text)) and len(_words(text)) > 2
        case {"kind": "at most", "words": int(count)}:
            return 1 <= len(_words(text)) <= count
        case {"kind": "sentences", "count": int(count)}:
            return text[-1] in ".!?" and len(re.findall(r"[.!?]+(?=\s|$)", text)) == count
        case {"kind": "json", "keys": [*keys]}:
            return _json_keys(text) == set(keys)
        case {"kind": "quoted"}:
            return len(text) > 2 and text[0] in '"“' and text[-1] in '"”' and not set(text[1:-1]) & set('"“”')
        case {"kind": "chinese"}:
            return bool(_HAN.search(text)) and not _LATIN.search(text)
    raise ValueError(f"there is no check {check}")


def answers(speaker: Speaker, prompts: list[str], *, reporter: Progress = SILENT) -> list[str]:
    """The greedy answer to each prompt, at most MAX_TOKENS tokens. The speaker must have a template."""
    import torch

    template = speaker.template
    assert template is not None, "whoever asks has looked"
    said: list[str] = []
    ends = sorted({id_ for end in template.ends if (id_ := speaker.prompts.control(end)) is not None} | _saved(speaker))
    for start in range(0, len(prompts), BATCH):
        part = [
            build(template.pieces([user(prompt)], prompt=True), (), speaker.prompts).ids
            for prompt in prompts[start : start + BATCH]
        ]
        width = max(map(len, part))
        ids = torch.tensor([[0] * (width - len(each)) + list(each) for each in part], device=speaker.device)
        mask = torch.tensor([[0] * (width - len(each)) + [1] * len(each) for each in part], device=speaker.device)
        with torch.no_grad():
            out = speaker.model.generate(
                input_ids=ids,
                attention_mask=mask,
                max_new_tokens=MAX_TOKENS,
                do_sample=False,
                num_beams=1,
                eos_token_id=ends or None,
                pad_token_id=ends[0] if ends else 0,
            )
        for row in out[:, width:].tolist():
            end = next((at for at, id_ in enumerate(row) if id_ in ends), len(row))
            text = str(speaker.tokenizer.decode(row[:end], skip_special_tokens=True))
            said.append(_before_stops(text, template.ends, speaker))
        reporter.advance(len(part))
    return said


def _saved(speaker: Speaker) -> set[int]:
    """The end tokens that the model was saved with."""
    saved = getattr(speaker.model.generation_config, "eos_token_id", None)
    return set(saved) if isinstance(saved, list) else set() if saved is None else {saved}


def _before_stops(text: str, ends: tuple[str, ...], speaker: Speaker) -> str:
    """Up to the first of the template's ends that is a plain string."""
    for end in ends:
        if speaker.prompts.control(end) is None and end in text:
            text = text[: text.index(end)]
    return text


def _words(text: str) -> list[str]:
    return re.findall(r"[^\W_]+(?:['’][^\W_]+)*", text.lower())


def _bare(text: str) -> str:
    """One sentence or word without its case and the marks around it."""
    return text.strip().strip("\"'“”*.!").strip().lower()


def _json_keys(text: str) -> set[str] | None:
    """The keys of the JSON object that is the whole answer, or the whole of its one fenced block."""
    fenced = re.fullmatch(r"```(?:json)?\s*(.*?)\s*```", text, re.DOTALL)
    try:
        value = json.loads(fenced[1] if fenced else text)
    except ValueError:
        return None
    return set(value) if isinstance(value, dict) else None
