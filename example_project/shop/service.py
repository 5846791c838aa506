"""What makes a FastAPI application one of the shop's services."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute
from pydantic.alias_generators import to_camel

from shop.background import BackgroundJobs
from shop.correlation import CorrelationMiddleware, hand_on
from shop.database import Database
from shop.faults import Fault, Faults, SchemaBreaker
from shop.problem import answer_with_problems, unprocessable
from shop.schemas import Health
from shop.settings import Settings


@dataclass(frozen=True, slots=True)
class Tools:
    """What every service works with."""

    settings: Settings
    faults: Faults
    database: Database
    jobs: BackgroundJobs
    http: httpx.AsyncClient

    async def work(self, milliseconds: int) -> None:
        """Take the time that the work of this service takes."""
        slow = Fault.SLOW_SETTLING in self.faults
        await asyncio.sleep((self.settings.slow_settling_ms if slow else milliseconds) / 1000)


def create_service(
    name: str,
    *,
    settings: Settings,
    router: APIRouter,
    schema: Path,
    opening: Callable[[Tools], AbstractAsyncContextManager[object]],
) -> FastAPI:
    """Build a service: its operations, and what ``opening`` gives, which does the work as ``app.state.domain``."""
    faults = Faults(name, settings.misbehave)
    ddl = schema.read_text(encoding="utf-8")

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with (
            Database(settings.database_url).opened(ddl) as database,
            httpx.AsyncClient(trust_env=False, event_hooks={"request": [hand_on]}) as client,
            BackgroundJobs().opened() as jobs,
            opening(Tools(settings, faults, database, jobs, client)) as domain,
        ):
            app.state.domain = domain
            yield

    app = FastAPI(
        title=f"Shop: {name}",
        version="1.0.0",
        lifespan=lifespan,
        generate_unique_id_function=_operation_id,
        docs_url=None,
        redoc_url=None,
    )
    app.add_middleware(SchemaBreaker, faults=faults)
    app.add_middleware(CorrelationMiddleware)
    answer_with_problems(app)
    app.include_router(router)

    @app.get("/health", tags=["operation"])
    async def get_health() -> Health:
        return Health(status="UP", service=name)

    @app.put("/_faults", include_in_schema=False)
    async def choose_faults(active: str = "") -> list[Fault]:
        try:
            faults.choose(active)
        except ValueError as error:
            raise unprocessable(str(error)) from error
        return sorted(faults.active)

    return app


def _operation_id(route: APIRoute) -> str:
    return to_camel(route.name)
