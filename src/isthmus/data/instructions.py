"""Captions and short questions put as instructions, in varied wordings.

A model that was asked for a caption in one wording answers that wording alone. What is asked fits what is said: for a
name ("an ankle boot") what this is, for a sentence a caption, for a paragraph a description. The wording of a record is
chosen by seed, place and epoch: the same after a resumption, another one in the next epoch. Sources of the two ideas:
LLaVA (Liu et al., 2023), appendix: lists of brief and detailed requests; LLaVA-1.5 (Liu et al., 2023), section 3.2: say
how short an answer is wanted. The sentences are our own.
"""

import re
from dataclasses import replace

from isthmus.data.chance import chance
from isthmus.data.example import Example
from isthmus.errors import InputError
from isthmus.messages import Message, TextPart, assistant

NAMING = (
    "What is this?",
    "What does this picture show?",
    "What is in the picture?",
    "What do you see?",
    "Name what is in this picture.",
    "What is shown here?",
    "Say in a word or two what this is.",
    "What is this a picture of?",
)
BRIEF = (
    "What does this picture show?",
    "Describe this picture briefly.",
    "Write a caption for this picture.",
    "What is to be seen here?",
    "Say in a sentence what is in the picture.",
    "Give a short description of the image.",
    "Sum up what you see.",
    "What is happening in this image?",
    "How would you caption this photo?",
    "Tell me shortly what this is a picture of.",
    "In a few words, what is here?",
    "Provide a one-sentence description of the image.",
    "Caption this.",
    "What am I looking at?",
)
DETAILED = (
    "Describe this picture in detail.",
    "What can be seen in this image? Leave nothing out.",
    "Write a detailed description of the picture.",
    "Explain at length what this picture shows.",
    "Tell me everything you see here.",
    "Describe the image for someone who cannot see it.",
    "Give a thorough account of what is in the photo.",
    "Walk me through this picture.",
    "Look closely: what is in the image?",
    "Describe what is there, where it is and what it looks like.",
    "Provide a full description of this image.",
    "What are all the things in this picture, and how are they arranged?",
)
NAMING_CHINESE = (
    "这是什么？",
    "图中是什么？",
    "图片里是什么？",
    "你看到了什么？",
    "这张照片拍的是什么？",
    "请说出图中是什么。",
    "用一个词说说这是什么。",
    "这里展示的是什么？",
)
BRIEF_CHINESE = (
    "这张图片里有什么？",
    "请简要描述这张图片。",
    "给这张图片写一句说明。",
    "图中是什么？",
    "用一句话说说你看到了什么。",
    "请概括图片的内容。",
    "这张照片拍的是什么？",
    "这幅图展示了什么？",
    "为这张照片配一句话。",
    "简单介绍一下这张图。",
    "请用几个词说明图中的内容。",
    "你在图里看到了什么？",
)
DETAILED_CHINESE = (
    "请详细描述这张图片。",
    "图中有哪些内容？请尽量说全。",
    "请为看不见的人描述这张图片。",
    "仔细看看，图里都有什么？",
    "请详细说明这张照片的内容。",
    "请把你看到的一切都告诉我。",
    "请写一段关于这张图片的详细描述。",
    "图中有什么，分别在哪里，是什么样子？",
    "请完整地介绍这幅图。",
    "请逐一说明图中的事物。",
    "请从整体到细节描述这张图片。",
    "请充分描述画面的内容。",
)
SHORT = (
    "Answer in a word or a short phrase.",
    "Reply with a word or two.",
    "Give the answer alone, as short as can be.",
    "A single word or a short phrase is enough.",
)
"""Hints behind a question whose answer is short. The first is the one to judge with."""
SHORT_CHINESE = ("请用一个词或短语回答。", "请简短作答。", "只需回答一个词或短语。", "请直接给出简短的答案。")

LONG = 30
"""Words (of Chinese: half as many again in characters) from which a caption is a detailed one."""
FEW = 5
"""Words up to which an answer is short, and a caption a name; Chinese: characters, twice as many."""

CHINESE = re.compile(r"[\u3400-\u9fff]")


def instruct(example: Example, *, seed: int, epoch: int = 0) -> Example:
    """A caption as an answer to a request for one; a short question with a hint at how short the answer is to be.

    Of several captions one, and over as many epochs each once. Conversations and texts stay as they are.
    """
    match example.messages:
        case (Message(role="user", content=content), Message(role="assistant")) if example.answers:
            text = example.messages[0].text
        case _:
            return example
    key = (seed, example.place, epoch)
    if not text.strip():
        answer = _turned(example, seed, epoch)
        wordings = _requests(answer)
        asked = wordings[chance(*key, "wording") % len(wordings)]
    else:
        answer = example.messages[1].text
        if not _is_short(answer):
            return example
        hints = SHORT_CHINESE if CHINESE.search(text) else SHORT
        asked = f"{text}\n{hints[chance(*key, 'hint') % len(hints)]}"
    parts = tuple(part for part in content if not isinstance(part, TextPart))
    return replace(example, messages=(Message("user", (*parts, TextPart(asked))), assistant(answer)))


def caption_of(example: Example, *, seed: int, epoch: int = 0) -> str:
    """Of a picture's captions the epoch's. Raises InputError where the record is no picture with captions."""
    said = example.messages[0]
    if not (example.answers and len(said.pictures) == 1 and len(example.messages) == 2 and not said.text.strip()):
        raise InputError("this is no picture with a caption", todo="give one picture and what is said of it")
    return _turned(example, seed, epoch)


def _turned(example: Example, seed: int, epoch: int) -> str:
    turn = chance(seed, example.place, "caption") + epoch
    return example.answers[turn % len(example.answers)]


def _requests(caption: str) -> tuple[str, ...]:
    chinese = CHINESE.search(caption) is not None
    if len(caption) >= LONG * 3 // 2 if chinese else len(caption.split()) >= LONG:
        return DETAILED_CHINESE if chinese else DETAILED
    if _is_short(caption):
        return NAMING_CHINESE if chinese else NAMING
    return BRIEF_CHINESE if chinese else BRIEF


def _is_short(answer: str) -> bool:
    return len(answer) <= 2 * FEW if CHINESE.search(answer) else len(answer.split()) <= FEW
