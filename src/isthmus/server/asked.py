"""The shapes of requests, and from them their description. What they mean is `question`'s and `embedding`'s affair.

Fields that change nothing here are taken and ignored, as OpenAI's servers do with their own. Fields that would change
the answer and cannot be honoured may only have the value that asks for nothing. A field that nobody knows is refused:
a `temprature` that is ignored is a bug found late.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictBool, StringConstraints, WithJsonSchema

MOST_MESSAGES = 10_000
MOST_TOOLS = 128
MOST_STOPS = 4
MOST_INPUTS = 2048

Name = Annotated[str, StringConstraints(min_length=1, max_length=500)]
Stop = Annotated[str, StringConstraints(min_length=1, max_length=1000)]
Zero = Annotated[float, Field(ge=0, le=0)]

PICTURE_PART: dict[str, Any] = {
    "type": "object",
    "required": ["type", "image_url"],
    "properties": {
        "type": {"const": "image_url"},
        "image_url": {
            "type": "object",
            "required": ["url"],
            "properties": {"url": {"type": "string", "description": "data:image/...;base64,..."}},
        },
    },
}
TEXT_PART: dict[str, Any] = {
    "type": "object",
    "required": ["type", "text"],
    "properties": {"type": {"const": "text"}, "text": {"type": "string"}},
}
MESSAGE: dict[str, Any] = {
    "type": "object",
    "required": ["role"],
    "properties": {
        "role": {"enum": ["system", "developer", "user", "assistant", "tool"]},
        "content": {
            "anyOf": [
                {"type": "string"},
                {"type": "array", "items": {"anyOf": [TEXT_PART, PICTURE_PART]}},
                {"type": "null"},
            ]
        },
        "tool_calls": {"type": "array", "items": {"type": "object"}, "description": "Of an assistant's message."},
        "tool_call_id": {"type": "string", "description": "Of a tool's message."},
    },
}


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


class _Asked(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    model: Name = Field(description='A name of the model, or "default".')
    user: Any = Field(None, description="Ignored.")


class FunctionAsked(BaseModel):
    model_config = ConfigDict(strict=True)

    name: str = Field(pattern=r"^[a-zA-Z0-9_-]{1,64}$")
    description: str | None = None
    parameters: dict[str, Any] | None = Field(None, description="JSON schema of the arguments.")
    strict: bool | None = Field(None, description="Ignored: arguments come as the model wrote them.")


class ToolAsked(BaseModel):
    model_config = ConfigDict(strict=True)

    type: Literal["function"]
    function: FunctionAsked


class SchemaAsked(BaseModel):
    model_config = ConfigDict(strict=True)

    name: str | None = None
    description: str | None = None
    strict: bool | None = None
    schema_: dict[str, Any] = Field(alias="schema")


class FormatAsked(BaseModel):
    model_config = ConfigDict(strict=True)

    type: Literal["text", "json_object", "json_schema"]
    json_schema: SchemaAsked | None = None


class StreamAsked(BaseModel):
    model_config = ConfigDict(strict=True)

    include_usage: bool | None = Field(None, description="Usage in a last chunk of its own.")


class OursAsked(BaseModel):
    """What the OpenAI API does not know."""

    model_config = ConfigDict(extra="forbid", strict=True)

    receipt: StrictBool = Field(False, description="Tell where the time to the first text went.")


class ChatAsked(_Asked):
    messages: Annotated[
        list[Any],
        Field(min_length=1, max_length=MOST_MESSAGES),
        WithJsonSchema({"type": "array", "minItems": 1, "maxItems": MOST_MESSAGES, "items": MESSAGE}),
    ]
    stream: bool | None = None
    stream_options: StreamAsked | None = None
    max_tokens: int | None = Field(None, ge=1, le=2**31 - 1)
    max_completion_tokens: int | None = Field(None, ge=1, le=2**31 - 1, description="Instead of max_tokens.")
    temperature: float | None = Field(None, ge=0, le=2, description="0, the default here: the likeliest words.")
    top_p: float | None = Field(None, gt=0, le=1)
    stop: Annotated[
        list[Stop] | None,
        Field(max_length=MOST_STOPS),
        BeforeValidator(_as_list),
        WithJsonSchema(
            {
                "anyOf": [
                    {"type": "string", "minLength": 1, "maxLength": 1000},
                    {
                        "type": "array",
                        "maxItems": MOST_STOPS,
                        "items": {"type": "string", "minLength": 1, "maxLength": 1000},
                    },
                    {"type": "null"},
                ]
            }
        ),
    ] = None
    seed: int | None = Field(None, ge=-(2**63), le=2**63 - 1)
    response_format: FormatAsked | None = None
    tools: list[ToolAsked] | None = Field(None, max_length=MOST_TOOLS)
    tool_choice: Literal["auto", "none"] | None = Field(None, description="No tool can be made compulsory.")
    isthmus: OursAsked | None = None

    # They would change the answer: only what asks for nothing is taken.
    n: Literal[1] | None = None
    logprobs: Literal[False] | None = None
    top_logprobs: Literal[0] | None = None
    logit_bias: dict[str, float] | None = Field(None, max_length=0)
    presence_penalty: Zero | None = None
    frequency_penalty: Zero | None = None
    modalities: list[Literal["text"]] | None = None
    audio: None = None
    functions: None = None
    function_call: None = None
    reasoning_effort: None = None
    verbosity: None = None
    web_search_options: None = None
    parallel_tool_calls: Literal[True] | None = None

    # They change nothing here.
    metadata: Any = Field(None, description="Ignored.")
    store: Any = Field(None, description="Ignored.")
    service_tier: Any = Field(None, description="Ignored.")
    safety_identifier: Any = Field(None, description="Ignored.")
    prompt_cache_key: Any = Field(None, description="Ignored.")
    prompt_cache_retention: Any = Field(None, description="Ignored.")
    prediction: Any = Field(None, description="Ignored: it could only save time.")


NOT_HONOURED = frozenset({
    "n", "logprobs", "top_logprobs", "logit_bias", "presence_penalty", "frequency_penalty", "modalities", "audio",
    "functions", "function_call", "reasoning_effort", "verbosity", "web_search_options", "parallel_tool_calls",
    "tool_choice",
})  # fmt: skip


class EmbeddingsAsked(_Asked):
    input: Annotated[
        list[Any],
        Field(min_length=1, max_length=MOST_INPUTS),
        BeforeValidator(_as_list),
        WithJsonSchema(
            {
                "anyOf": [
                    {"type": "string", "minLength": 1},
                    {
                        "type": "array",
                        "minItems": 1,
                        "maxItems": MOST_INPUTS,
                        "items": {"anyOf": [{"type": "string", "minLength": 1}, PICTURE_PART]},
                    },
                ],
                "description": "A text, or a list of texts and pictures.",
            }
        ),
    ]
    encoding_format: Literal["float", "base64"] | None = None
    dimensions: int | None = Field(None, ge=1, description="Only the embedder's own number.")


class SessionAsked(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    token: str = Field(max_length=200)
