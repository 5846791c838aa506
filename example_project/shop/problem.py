"""What a service says when it refuses: one shape for every refusal."""

from __future__ import annotations

from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import Field

from shop.correlation import correlation_id
from shop.schemas import CorrelationId, Schema

_TITLES: Final = {404: "There is no such thing", 409: "Not in this state", 422: "The request cannot be fulfilled"}


class Problem(Schema):
    """Why a request was refused."""

    status: int = Field(ge=400, le=599)
    title: str
    detail: str
    correlation_id: CorrelationId


class RefusalError(Exception):
    """A request that cannot be fulfilled; becomes a Problem."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail


def refusals(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Describe the refusals of an operation for its specification."""
    return {status: {"model": Problem, "description": _TITLES[status]} for status in statuses}


def not_found(what: str) -> RefusalError:
    """Refuse because there is no such thing."""
    return RefusalError(404, f"there is no such {what}")


def conflict(detail: str) -> RefusalError:
    """Refuse because of the state of things."""
    return RefusalError(409, detail)


def unprocessable(detail: str) -> RefusalError:
    """Refuse because of what the request says."""
    return RefusalError(422, detail)


def answer_with_problems(app: FastAPI) -> None:
    """Make the service answer refusals and malformed requests with a Problem."""

    @app.exception_handler(RefusalError)
    async def refuse(_: Request, error: RefusalError) -> JSONResponse:
        return _reply(error.status, error.detail)

    @app.exception_handler(RequestValidationError)
    async def refuse_malformed(_: Request, error: RequestValidationError) -> JSONResponse:
        details = (f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors())
        return _reply(422, "; ".join(details))


def _reply(status: int, detail: str) -> JSONResponse:
    problem = Problem(status=status, title=_TITLES[status], detail=detail, correlation_id=correlation_id.get())
    return JSONResponse(problem.model_dump(mode="json", by_alias=True), status)
