"""Errors as OpenAI's clients expect them: `{"error": {"message", "type", "param", "code"}}` with a fitting status."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from workbench.domain.errors import BadInput, Conflict, NotFound, WorkbenchError

_TYPES = {
    401: "authentication_error",
    429: "rate_limit_error",
    500: "server_error",
    503: "service_unavailable",
}


class ErrorBody(BaseModel):
    """What went wrong: a sentence, its class, the field that it is about and a word for programs."""

    message: str
    type: str
    param: str | None = None
    code: str | None = None


class ErrorReply(BaseModel):
    """Every answer that isn't a success."""

    error: ErrorBody


class Refused(Exception):
    """A request that is answered with an error."""

    def __init__(
        self, status: int, message: str, *, param: str | None = None, code: str | None = None, retry: int = 0
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.param, self.code, self.retry = status, message, param, code, retry

    @classmethod
    def of(cls, error: WorkbenchError) -> Refused:
        """Any of the house's errors: what was asked can't be done (400), isn't there (404), or the server is to blame."""
        message = f"{error.what} {error.hint}".strip()
        if isinstance(error, BadInput):
            return cls(400, message, code="invalid_value")
        if isinstance(error, NotFound):
            return cls(404, message, code="not_found")
        if isinstance(error, Conflict):
            return cls(503, message, code="overloaded", retry=5)
        return cls(500, message, code="decoding_failed")

    def document(self) -> dict[str, Any]:
        """The body."""
        return {
            "error": {
                "message": sound(self.message),
                "type": _TYPES.get(self.status, "invalid_request_error"),
                "param": None if self.param is None else sound(self.param),
                "code": self.code,
            }
        }

    def reply(self) -> JSONResponse:
        """The answer, with what a client should do about it in the headers."""
        headers = {}
        if self.status == 401:
            headers["WWW-Authenticate"] = "Bearer"
        if self.retry:
            headers["Retry-After"] = str(self.retry)
        return JSONResponse(self.document(), self.status, headers)


def sound(text: str) -> str:
    """The text as UTF-8 can write it: halves of surrogate pairs are spelled out."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def install(app: FastAPI) -> None:
    """Give an application these answers for everything that can go wrong in it."""

    async def refused(_request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, Refused)
        return error.reply()

    async def invalid(_request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)
        return explained(list(error.errors())).reply()

    async def mistake(_request: Request, _error: Exception) -> JSONResponse:
        return Refused(500, "The server made a mistake; its log has the details.", code="mistake").reply()

    async def http(_request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)
        if error.status_code == 404:
            return Refused(404, "There is nothing at this address.", code="unknown_url").reply()
        if error.status_code == 405:
            reply = Refused(405, "This address doesn't know that method.", code="method_not_allowed").reply()
            reply.headers.update(error.headers or {})
            return reply
        return Refused(error.status_code, str(error.detail), code="bad_request").reply()

    app.add_exception_handler(Refused, refused)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(HTTPException, http)
    app.add_exception_handler(Exception, mistake)


def explained(problems: list[dict[str, Any]], names: dict[str, str] | None = None) -> Refused:
    """What pydantic found wrong, as the first problem's field and a sentence for each field."""
    first = problems[0]
    if first["type"] == "json_invalid":
        return Refused(
            400, f"The body is no JSON: {first.get('ctx', {}).get('error', first['msg'])}.", code="invalid_json"
        )
    sentences: dict[str, str] = {}
    for problem in problems:
        place = _place(problem, names or {})
        if any(place == p or place.startswith(f"{p}.") for p in sentences) or len(sentences) == 5:
            continue
        if problem["type"] == "extra_forbidden":
            sentences[place] = f"There is no field {place}."
        elif problem["type"] == "missing" and not place:
            sentences[place] = "The body is missing or no JSON; send it with the content type application/json."
        elif problem["type"] == "missing":
            sentences[place] = f"{place} is missing."
        else:
            sentences[place] = f"{place or 'The body'}: {problem['msg'][:1].lower()}{problem['msg'][1:]}."
    unknown = first["type"] == "extra_forbidden"
    return Refused(
        400,
        " ".join(sentences.values()),
        param=_place(first, names or {}) or None,
        code="unknown_parameter" if unknown else "invalid_value",
    )


def _place(problem: dict[str, Any], names: dict[str, str]) -> str:
    """The field, as the client wrote it, without the types that were tried."""
    parts = [str(part) for part in problem["loc"] if part != "body"]
    if problem["type"] != "extra_forbidden":
        parts = [part for part in parts if part not in {"str", "int"} and "[" not in part and "-" not in part]
    return ".".join(names.get(part, part) for part in parts)
