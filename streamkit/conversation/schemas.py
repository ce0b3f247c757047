"""JSON Schemas of a function's arguments, and what validates against them.

A checker takes the JSON text of the arguments, which is known to be an object, and returns the keyword arguments of the
call, or raises ValueError or TypeError, whose text is for the model.
"""

from __future__ import annotations

import functools
import inspect
import json
from collections.abc import Callable, Mapping
from typing import Any

from streamkit.errors import UsageError

__all__ = ["Checker", "by_hand", "typed"]

Checker = Callable[[str], dict[str, Any]]


def typed(call: Callable[..., Any], name: str) -> tuple[dict[str, Any], Checker]:
    """Return the schema of a typed function's parameters, and its checker; pydantic makes both.

    A default is not in the schema: the parameter is one that need not be given, and strict modes of APIs refuse the
    keyword. An argument that the function does not have is refused, and nothing is converted: "5" is no number.

    Raises:
        UsageError: a parameter has no type, or one that pydantic makes no schema of; or there are `*` parameters.
    """
    from pydantic import ConfigDict, Field, ValidationError, create_model
    from pydantic.errors import PydanticUserError
    from pydantic.json_schema import GenerateJsonSchema

    class Plain(GenerateJsonSchema):
        def field_title_should_be_set(self, schema: Any) -> bool:
            return False

        def default_schema(self, schema: Any) -> Any:
            return self.generate_inner(schema["schema"])

    fields: dict[str, Any] = {}
    names: dict[str, str] = {}
    for number, parameter in enumerate(_parameters(call, name)):
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD, parameter.POSITIONAL_ONLY):
            raise UsageError(f"{name}: the model gives arguments by name, and {parameter} takes none: give parameters=")
        if parameter.annotation is parameter.empty:
            raise UsageError(f"{name}: the parameter {parameter.name!r} has no type: annotate it, or give parameters=")
        # Under a name of ours, for a model's own attributes are in the way of theirs.
        default = ... if parameter.default is parameter.empty else parameter.default
        fields[f"p{number}"] = (parameter.annotation, Field(default, alias=parameter.name))
        names[f"p{number}"] = parameter.name
    try:
        model = create_model("Arguments", __config__=ConfigDict(extra="forbid"), **fields)
        schema = model.model_json_schema(schema_generator=Plain)
    except (PydanticUserError, TypeError, NameError) as error:
        raise UsageError(f"{name}: there is no JSON Schema of its parameters: {error}; give parameters=") from error
    schema.pop("title", None)
    schema.pop("additionalProperties", None)  # as a definition by hand has it; the checker refuses them

    def check(arguments: str) -> dict[str, Any]:
        try:
            made = model.model_validate_json(arguments, strict=True)
        except ValidationError as error:
            problems = error.errors(include_url=False, include_context=False, include_input=False)
            raise ValueError("; ".join(f"{_place(one['loc'])}: {one['msg']}" for one in problems)) from None
        return {names[field]: getattr(made, field) for field in names if field in made.model_fields_set}

    return schema, check


def by_hand(call: Callable[..., Any], name: str, parameters: Mapping[str, Any]) -> tuple[dict[str, Any], Checker]:
    """Return a schema that was written by hand, and its checker; jsonschema validates.

    Nothing that the schema refers to is fetched.

    Raises:
        UsageError: it is no JSON Schema of an object, or jsonschema is missing.
    """
    try:
        import jsonschema
        from referencing import Registry
        from referencing.exceptions import Unresolvable
    except ModuleNotFoundError:
        raise UsageError(
            f"{name}: a schema by hand needs jsonschema: pip install 'pytest-streamkit[conversation]'"
        ) from None
    try:
        schema: dict[str, Any] = json.loads(json.dumps(dict(parameters)))
    except (TypeError, ValueError) as error:
        raise UsageError(f"{name}: the parameters are no JSON Schema: {error}") from None
    if schema.get("type") != "object":
        raise UsageError(f"{name}: the parameters are a JSON Schema with 'type': 'object'")
    kind = jsonschema.validators.validator_for(schema, default=jsonschema.Draft202012Validator)
    try:
        kind.check_schema(schema)
    except jsonschema.SchemaError as error:
        raise UsageError(f"{name}: the parameters are no JSON Schema: {error.message}") from None
    validator = kind(schema, registry=Registry())
    try:
        signature = inspect.signature(call)
    except ValueError:  # of some that are written in C
        signature = None

    def check(arguments: str) -> dict[str, Any]:
        value: dict[str, Any] = json.loads(arguments)
        try:
            found = sorted(validator.iter_errors(value), key=lambda error: error.json_path)
        except Unresolvable as error:
            raise ValueError(f"the schema refers to what is not there: {error}") from None
        if found:
            raise ValueError("; ".join(f"{_place(list(one.absolute_path))}: {one.message}" for one in found))
        if signature is not None:
            signature.bind(**value)  # what the schema allows and the function does not have
        return value

    return schema, check


def _parameters(call: Callable[..., Any], name: str) -> list[inspect.Parameter]:
    bound = call.keywords if isinstance(call, functools.partial) else {}  # which a caller could still replace
    try:
        parameters = inspect.signature(call, eval_str=True).parameters
        return [one for one in parameters.values() if one.name not in bound]
    except (NameError, TypeError, ValueError, SyntaxError) as error:
        raise UsageError(f"{name}: its parameters cannot be read: {error}; give parameters=") from error


def _place(path: Any) -> str:
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else str(step)
    return text or "the arguments"
