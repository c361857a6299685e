"""The API's OpenAPI description. Bodies are read by us, not by FastAPI, so their shapes are put in here."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel

from isthmus.server.answers import Chunk
from isthmus.server.asked import ChatAsked, EmbeddingsAsked, SessionAsked

REF = "#/components/schemas/{model}"
SHAPES: tuple[type[BaseModel], ...] = (ChatAsked, EmbeddingsAsked, SessionAsked, Chunk)
OPEN = (("/health", "get"), ("/api/session", "post"))
"""Asked without the token."""

STREAM: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The answer; with `stream`, events whose data are chunks, the last one `[DONE]`.",
        "content": {"text/event-stream": {"schema": {"type": "string"}}},
    }
}


def body_of(shape: type[BaseModel]) -> dict[str, Any]:
    """For a route: its body has that shape."""
    schema = {"$ref": REF.format(model=shape.__name__)}
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


def describe(app: FastAPI) -> None:
    def described() -> dict[str, Any]:
        if app.openapi_schema is None:
            schema = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
            schemas = schema["components"]["schemas"]
            for shape in SHAPES:
                own = shape.model_json_schema(ref_template=REF)
                schemas |= own.pop("$defs", {})
                schemas[shape.__name__] = own
            schema["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
            schema["security"] = [{"token": []}]
            for path, method in OPEN:
                schema["paths"][path][method]["security"] = []
            app.openapi_schema = schema
        return app.openapi_schema

    app.openapi = described  # type: ignore[method-assign]
