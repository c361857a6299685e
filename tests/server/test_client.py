"""The official client, on a real socket, gets what it gets of OpenAI."""

import json

import numpy as np
import openai
import pytest

from isthmus.backends.backend import Options, complete
from isthmus.messages import data_uri, user
from tests.backends.conformance import picture
from tests.backends.scripted import Scripted

from .embedder import NAME as EMBEDDER
from .serving import NAME, Held, Served, served

HELLO = [{"role": "user", "content": "hello"}]


def seen(seed: int = 0, text: str = "what is this?") -> list[dict]:
    url = data_uri(picture(seed), "image/png")
    return [
        {"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}, {"type": "text", "text": text}]}
    ]


def test_a_whole_answer_is_the_backend_s(scripted: Served) -> None:
    answer = scripted.client().chat.completions.create(model=NAME, messages=seen(3), max_tokens=20)
    expected = complete(Scripted(), [user(picture(3), "what is this?")], Options(max_tokens=20))
    (choice,) = answer.choices
    assert choice.message.role == "assistant"
    assert choice.message.content == expected.text
    assert choice.message.tool_calls is None
    assert choice.finish_reason == "length"
    assert answer.object == "chat.completion"
    assert answer.model == NAME
    assert answer.id.startswith("chatcmpl-")
    assert answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens, answer.usage.total_tokens) == (20, 20, 40)
    assert answer.usage.prompt_tokens_details is not None
    assert answer.usage.prompt_tokens_details.image_tokens == 7  # type: ignore[attr-defined]


def test_a_stream_joined_is_the_whole_answer(scripted: Served) -> None:
    client = scripted.client()
    whole = client.chat.completions.create(model=NAME, messages=HELLO)
    chunks = list(client.chat.completions.create(model=NAME, messages=HELLO, stream=True))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == whole.choices[0].message.content
    assert chunks[0].choices[0].delta.role == "assistant"
    assert [chunk.choices[0].finish_reason for chunk in chunks[-2:]] == [None, "length"]
    assert {(chunk.id, chunk.model, chunk.object) for chunk in chunks} == {
        (chunks[0].id, NAME, "chat.completion.chunk")
    }
    assert all(chunk.usage is None for chunk in chunks)


def test_usage_comes_in_a_chunk_of_its_own_where_it_is_asked_for(scripted: Served) -> None:
    stream = scripted.client().chat.completions.create(
        model=NAME, messages=HELLO, stream=True, stream_options={"include_usage": True}, max_completion_tokens=7
    )
    *chunks, last = stream
    assert last.choices == []
    assert last.usage is not None
    assert (last.usage.prompt_tokens, last.usage.completion_tokens, last.usage.total_tokens) == (5, 7, 12)
    assert all(chunk.usage is None and chunk.choices for chunk in chunks)


def test_options_reach_the_backend(scripted: Served) -> None:
    client = scripted.client()

    def said(**options: object) -> str:
        answer = client.chat.completions.create(model=NAME, messages=HELLO, **options)  # type: ignore[call-overload]
        content: str = answer.choices[0].message.content
        return content

    whole = said(max_tokens=40)
    assert said(max_tokens=40, stop=whole[5:7]) == whole[: whole.find(whole[5:7])]
    assert said(max_tokens=40, stop=["never said by it", whole[5:7]]) == whole[: whole.find(whole[5:7])]
    assert said(temperature=1, seed=3) == said(temperature=1, seed=3) != said(temperature=1, seed=4)
    assert len(said()) == 50  # the server's own max_tokens


def test_fields_that_change_nothing_are_taken(scripted: Served) -> None:
    answer = scripted.client().chat.completions.create(
        model="default", messages=HELLO, max_tokens=1, user="ana", metadata={"a": "b"}, store=False, n=1,
        logprobs=False, logit_bias={}, presence_penalty=0, frequency_penalty=0.0, service_tier="auto", top_p=1,
        modalities=["text"], parallel_tool_calls=True, response_format={"type": "text"}, tool_choice="auto",
    )  # fmt: skip
    assert answer.choices[0].finish_reason == "length"


def test_the_conversation_is_passed_on_whole() -> None:
    backend = Held()
    backend.permit(1)
    with served(backend) as here:
        call = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
        messages = [
            {"role": "developer", "content": "be brief"},
            *seen(1),
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "c1", "content": "a cat"},
        ]
        here.client().chat.completions.create(model=NAME, messages=messages, max_tokens=1)  # type: ignore[arg-type]
    (asked,) = backend.asked
    assert [message.role for message in asked] == ["system", "user", "assistant", "tool"]
    assert asked[1].pictures[0].source == picture(1)
    assert asked[2].tool_calls[0].name == "look"
    assert asked[3].tool_call_id == "c1"


TOOLS = [
    {"type": "function", "function": {"name": "weather", "description": "of a city", "parameters": {"type": "object"}}},
    {"type": "function", "function": {"name": "time", "strict": True}},
]


def test_tools_are_called() -> None:
    with served(Held()) as here:
        client = here.client()
        answer = client.chat.completions.create(model=NAME, messages=HELLO, tools=TOOLS)  # type: ignore[call-overload]
        message = answer.choices[0].message
        assert answer.choices[0].finish_reason == "tool_calls"
        assert message.content == "Let me see."
        assert [(call.id, call.function.name) for call in message.tool_calls] == [
            ("call_1", "weather"),
            ("call_2", "time"),
        ]
        assert json.loads(message.tool_calls[0].function.arguments) == {"city": "Ulm"}
        assert answer.usage.prompt_tokens_details is None  # this backend does not tell
        with client.chat.completions.stream(model=NAME, messages=HELLO, tools=TOOLS[:1]) as stream:  # type: ignore[arg-type]
            final = stream.get_final_completion()
        calls = final.choices[0].message.tool_calls
        assert calls is not None
        assert [call.function.name for call in calls] == ["weather", "weather"]


def test_tools_are_not_offered_where_none_is_to_be_called(held: tuple[Served, Held]) -> None:
    here, backend = held
    backend.permit(1)
    client = here.client()
    answer = client.chat.completions.create(  # type: ignore[call-overload]
        model=NAME, messages=HELLO, tools=TOOLS, tool_choice="none", max_tokens=1
    )
    assert answer.choices[0].message.tool_calls is None


def test_a_format_is_the_backend_s_to_keep(held: tuple[Served, Held]) -> None:
    here, backend = held
    backend.permit(3)
    schema = {"type": "object", "properties": {"colour": {"type": "string"}}}
    for number, wanted in enumerate(
        (
            {"type": "json_object"},
            {"type": "json_schema", "json_schema": {"name": "c", "strict": True, "schema": schema}},
        )
    ):
        messages = [{"role": "user", "content": f"question {number}"}]
        here.client().chat.completions.create(  # type: ignore[call-overload]
            model=NAME, messages=messages, response_format=wanted, max_tokens=1
        )
    assert [options.json for options in backend.options] == [True, schema]


@pytest.mark.parametrize(
    ("status", "kind", "change"),
    [
        (400, openai.BadRequestError, {"messages": []}),
        (400, openai.BadRequestError, {"n": 2}),
        (404, openai.NotFoundError, {"model": "gpt-9"}),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_refusals_are_the_client_s_exceptions(
    scripted: Served, status: int, kind: type[openai.APIStatusError], change: dict, stream: bool
) -> None:
    with pytest.raises(kind) as caught:
        scripted.client().chat.completions.create(**{"model": NAME, "messages": HELLO, "stream": stream} | change)
    assert caught.value.status_code == status
    assert caught.value.request_id is not None
    assert caught.value.request_id.startswith("req_")
    assert caught.value.param == next(iter(change))


def test_a_wrong_token_is_an_authentication_error(scripted: Served) -> None:
    client = openai.OpenAI(base_url=f"{scripted.address}v1", api_key="wrong", max_retries=0)
    with pytest.raises(openai.AuthenticationError):
        client.models.list()


def test_models_are_listed_and_found_by_any_name(scripted: Served) -> None:
    client = scripted.client()
    assert [each.id for each in client.models.list()] == [NAME, EMBEDDER]
    for name in (NAME, "alias", "default", EMBEDDER):
        assert client.models.retrieve(name).id == name
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("other/model")


def test_texts_and_pictures_become_vectors_in_their_order(scripted: Served) -> None:
    client = scripted.client()
    part = seen()[0]["content"][0]
    mixed = client.embeddings.create(model=EMBEDDER, input=["aab", part, "dd", part])  # type: ignore[list-item]
    assert [each.index for each in mixed.data] == [0, 1, 2, 3]
    vectors = np.asarray([each.embedding for each in mixed.data])
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1)
    assert np.allclose(vectors[1], vectors[3])
    alone = client.embeddings.create(model="default", input="aab", encoding_format="float", dimensions=4)
    assert np.allclose(alone.data[0].embedding, vectors[0])
    many = client.embeddings.create(model=EMBEDDER, input=["a" * (1 + at % 3) for at in range(50)])
    assert np.allclose(many.data[49].embedding, many.data[1].embedding)
    with pytest.raises(openai.BadRequestError, match="4 dimensions"):
        client.embeddings.create(model=EMBEDDER, input="a", dimensions=8)
    with pytest.raises(openai.NotFoundError):
        client.embeddings.create(model=NAME, input="a")
