"""What went wrong, in the OpenAI API's shape: {"error": {"message", "type", "param", "code"}}."""

from starlette.responses import JSONResponse, Response

from isthmus.errors import InputError, PictureError

TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}
CODES = {404: "not_found", 405: "method_not_allowed"}
"""Of the router's own refusals."""


class Refused(Exception):
    """An answer that is no success. `param` is the field at fault, `code` a stable word for programs."""

    def __init__(
        self, status: int, message: str, *, param: str | None = None, code: str, retry_after: int | None = None
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.param, self.code = status, message, param, code
        self.retry_after = retry_after

    def body(self) -> dict[str, dict[str, str | None]]:
        kind = TYPES.get(self.status, "server_error" if self.status >= 500 else "invalid_request_error")
        return {"error": {"message": self.message, "type": kind, "param": self.param, "code": self.code}}

    def response(self) -> Response:
        headers = {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}
        if self.status == 401:
            headers["WWW-Authenticate"] = "Bearer"
        return JSONResponse(self.body(), self.status, headers)


def invalid(message: str, param: str | None, code: str = "invalid_value") -> Refused:
    return Refused(400, message, param=param, code=code)


def of_input(error: InputError, param: str | None = None) -> Refused:
    """What a backend or a picture's file has to say against a request."""
    if isinstance(error, PictureError):
        code = "image_too_large" if error.reason == "too large" else "invalid_image"
        return invalid(str(error), "messages" if param is None else param, code)
    return invalid(str(error), param)


def mistake(request_id: str) -> Refused:
    """Ours. What it was is in the log beside the same id, and nowhere else."""
    return Refused(500, f"the request failed; the server's log says why at {request_id}", code="internal_error")


def stopping() -> Refused:
    return Refused(503, "the server is shutting down", code="shutting_down", retry_after=5)


def loading() -> Refused:
    return Refused(503, "the model is being loaded", code="loading", retry_after=2)


def queue_full(waiting: int) -> Refused:
    return Refused(429, f"{waiting} requests are waiting already; ask again later", code="queue_full", retry_after=2)
