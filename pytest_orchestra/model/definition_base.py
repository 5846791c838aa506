"""The base of all that users write in files."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import BaseModel, ConfigDict, GetJsonSchemaHandler, StringConstraints
from pydantic.alias_generators import to_camel
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

__all__ = ["Alias", "Definition", "RefusedError"]

Alias = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
"""A name that templates can use: letters, digits and underscores."""


class RefusedError(ValueError):
    """What is wrong with several fields of a definition taken together, and with ``hint`` what to do about it."""

    def __init__(self, fact: str, hint: str) -> None:
        super().__init__(fact)
        self.hint = hint


class Definition(BaseModel):
    """The base of all that users write: frozen, no unknown fields, camelCase in files."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        use_attribute_docstrings=True,
    )

    short_form: ClassVar[str | None] = None
    """What a mere text stands for, where one may be written instead of the fields."""

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        schema = handler(core_schema)
        if cls.short_form is None:
            return schema
        return {"anyOf": [{"type": "string", "description": cls.short_form}, schema]}
