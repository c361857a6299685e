"""The shapes of answers, and from them their description."""

from typing import Literal, TypeAlias

from pydantic import BaseModel, Field

FinishReason: TypeAlias = Literal["stop", "length", "tool_calls"]


class Problem(BaseModel):
    """`code` is a stable word for programs, `param` the field at fault."""

    message: str
    type: str
    param: str | None
    code: str


class ProblemAnswer(BaseModel):
    """Every answer that is no success has this shape."""

    error: Problem


class ReceiptAnswer(BaseModel):
    """Where the time from the last byte of the request to the first text went, in seconds. The parts and
    `unattributed` add up to `total`."""

    parts: dict[str, float]
    unattributed: float
    total: float


class OursAnswer(BaseModel):
    """What the OpenAI API does not know."""

    receipt: ReceiptAnswer | None = None
    ended: Literal["stopping", "cancelled"] | None = Field(
        None, description="Why an answer was cut short other than by its length; its finish_reason is then `length`."
    )


class PromptDetails(BaseModel):
    """Each where the backend counts it. `cached_tokens` were read for an answer before."""

    image_tokens: int | None = None
    cached_tokens: int | None = None


class UsageAnswer(BaseModel):
    """`completion_tokens` counts the end token too."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: PromptDetails | None = None


class FunctionAnswer(BaseModel):
    name: str
    arguments: str


class CallAnswer(BaseModel):
    id: str
    type: Literal["function"] = "function"
    function: FunctionAnswer


class CallPiece(CallAnswer):
    index: int


class MessageAnswer(BaseModel):
    role: Literal["assistant"] = "assistant"
    content: str | None
    refusal: None = None
    tool_calls: list[CallAnswer] | None = None


class Choice(BaseModel):
    index: Literal[0] = 0
    message: MessageAnswer
    logprobs: None = None
    finish_reason: FinishReason


class Completion(BaseModel):
    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int
    model: str
    choices: list[Choice]
    usage: UsageAnswer | None = None
    system_fingerprint: None = None
    isthmus: OursAnswer | None = None


class DeltaAnswer(BaseModel):
    role: Literal["assistant"] | None = None
    content: str | None = None
    tool_calls: list[CallPiece] | None = None


class ChoicePiece(BaseModel):
    index: Literal[0] = 0
    delta: DeltaAnswer
    logprobs: None = None
    finish_reason: FinishReason | None = None


class Chunk(BaseModel):
    """`usage`: in a last chunk without choices, where it was asked for."""

    id: str
    object: Literal["chat.completion.chunk"] = "chat.completion.chunk"
    created: int
    model: str
    choices: list[ChoicePiece]
    usage: UsageAnswer | None = None
    system_fingerprint: None = None
    isthmus: OursAnswer | None = None


class Embedding(BaseModel):
    object: Literal["embedding"] = "embedding"
    index: int
    embedding: list[float] | str = Field(description="As base64: float32, little-endian.")


class EmbeddingsUsage(BaseModel):
    """Always 0: an embedder does not count tokens."""

    prompt_tokens: int = 0
    total_tokens: int = 0


class EmbeddingsAnswer(BaseModel):
    object: Literal["list"] = "list"
    model: str
    data: list[Embedding]
    usage: EmbeddingsUsage = EmbeddingsUsage()


class ModelAnswer(BaseModel):
    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: Literal["isthmus"] = "isthmus"


class ModelsAnswer(BaseModel):
    object: Literal["list"] = "list"
    data: list[ModelAnswer]


State: TypeAlias = Literal["loading", "ready", "busy", "stopping"]


class Health(BaseModel):
    """`busy`: all slots are taken, and who asks now waits. While loading and stopping, it comes with 503."""

    status: State
    answering: int
    slots: int
    waiting: int
    queue: int
