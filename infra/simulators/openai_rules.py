"""What OpenAI's Chat Completions refuse, in their own shapes and words: fields nobody knows, histories whose tool calls
are not answered, schemas that strict mode cannot keep. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

FIELDS = frozenset(
    {"audio", "frequency_penalty", "function_call", "functions", "logit_bias", "logprobs", "max_completion_tokens"}
    | {"max_tokens", "messages", "metadata", "modalities", "model", "moderation", "n", "parallel_tool_calls"}
    | {"prediction", "presence_penalty", "prompt_cache_key", "prompt_cache_options", "prompt_cache_retention"}
    | {"reasoning_effort", "response_format", "safety_identifier", "seed", "service_tier", "stop", "store", "stream"}
    | {"stream_options", "temperature", "tool_choice", "tools", "top_logprobs", "top_p", "user", "verbosity"}
    | {"web_search_options"}
)
EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
VERBOSITIES = ("low", "medium", "high")
ROLES = ("system", "developer", "user", "assistant", "tool")
_ALLOWED = {
    "system": {"role", "content", "name"},
    "developer": {"role", "content", "name"},
    "user": {"role", "content", "name"},
    "assistant": {"role", "content", "name", "tool_calls", "refusal", "audio", "function_call"},
    "tool": {"role", "content", "tool_call_id"},
}
_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_NOT_STRICT = frozenset(
    {"default", "minLength", "maxLength", "allOf", "oneOf", "not", "if", "then", "else", "patternProperties"}
    | {"dependentRequired", "dependentSchemas", "unevaluatedProperties", "propertyNames", "minProperties"}
    | {"maxProperties", "unevaluatedItems", "contains", "minContains", "maxContains", "uniqueItems"}
)
MOST_TOOLS = 128
MOST_ID = 40


class Refusal(Exception):
    """An answer that is not 200. `body` is what is sent."""

    def __init__(
        self, message: str, param: str | None = None, code: str | None = None, status: int = 400, type_: str = ""
    ) -> None:
        super().__init__(message)
        self.status = status
        kind = type_ or ("invalid_request_error" if status < 500 else "server_error")
        self.body = {"error": {"message": message, "type": kind, "param": param, "code": code}}


def check(body: object, models: Sequence[str]) -> Mapping[str, Any]:
    """The request, if OpenAI would take it. Raises Refusal."""
    if not isinstance(body, Mapping):
        raise Refusal("We could not parse the JSON body of your request.")
    for name in body:
        if name not in FIELDS:
            raise Refusal(f"Unknown parameter: '{name}'.", name, "unknown_parameter")
    model = body.get("model")
    if not isinstance(model, str) or not model:
        raise Refusal("you must provide a model parameter")
    if model not in models:
        message = f"The model `{model}` does not exist or you do not have access to it."
        raise Refusal(message, None, "model_not_found", 404)
    _messages(body.get("messages"))
    _tools(body)
    _options(body)
    return body


def _wrong_type(path: str, wanted: str) -> Refusal:
    return Refusal(f"Invalid type for '{path}': expected {wanted}.", path, "invalid_type")


def _messages(messages: object) -> None:
    if not isinstance(messages, list):
        raise Refusal("Missing required parameter: 'messages'.", "messages", "missing_required_parameter")
    if not messages:
        raise Refusal("Invalid 'messages': empty array.", "messages", "empty_array")
    waiting: list[str] = []
    for number, message in enumerate(messages):
        path = f"messages[{number}]"
        if not isinstance(message, Mapping):
            raise _wrong_type(path, "an object")
        role = message.get("role")
        if role not in ROLES:
            raise Refusal(f"Invalid value: '{role}'. Supported values are: {ROLES}.", f"{path}.role", "invalid_value")
        for name in message:
            if name not in _ALLOWED[role]:
                raise Refusal(f"Unknown parameter: '{path}.{name}'.", f"{path}.{name}", "unknown_parameter")
        if role == "tool":
            call_id = message.get("tool_call_id")
            if call_id not in waiting:
                told = "messages with role 'tool' must be a response to a preceeding message with 'tool_calls'."
                raise Refusal(f"Invalid parameter: {told}", f"{path}.role")
            waiting.remove(str(call_id))
        elif waiting:
            raise _unanswered(waiting, path)
        _content(message, path)
        if "tool_calls" in message:
            waiting = _calls(message["tool_calls"], path)
    if waiting:
        raise _unanswered(waiting, f"messages[{len(messages)}]")


def _unanswered(waiting: Sequence[str], path: str) -> Refusal:
    return Refusal(
        "An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'. "
        f"The following tool_call_ids did not have response messages: {', '.join(waiting)}",
        f"{path}.role",
    )


def _content(message: Mapping[str, Any], path: str) -> None:
    content = message.get("content")
    if content is None and message["role"] == "assistant" and message.get("tool_calls"):
        return
    if isinstance(content, list) and content:
        for number, part in enumerate(content):
            if not isinstance(part, Mapping) or part.get("type") not in ("text", "image_url", "input_audio", "refusal"):
                raise _wrong_type(f"{path}.content[{number}]", "a content part")
        return
    if not isinstance(content, str):
        raise Refusal(
            f"Invalid value for 'content': expected a string, got {'null' if content is None else 'something else'}.",
            f"{path}.content",
        )


def _calls(calls: object, path: str) -> list[str]:
    if not isinstance(calls, list) or not calls:
        raise Refusal(f"Invalid '{path}.tool_calls': empty array.", f"{path}.tool_calls", "empty_array")
    ids: list[str] = []
    for number, call in enumerate(calls):
        at = f"{path}.tool_calls[{number}]"
        function = call.get("function") if isinstance(call, Mapping) else None
        if (
            not isinstance(function, Mapping)
            or call.get("type") != "function"
            or set(call) - {"id", "type", "function"}
        ):
            raise _wrong_type(at, "a function call")
        if not isinstance(call.get("id"), str) or not 0 < len(call["id"]) <= MOST_ID or call["id"] in ids:
            raise Refusal(f"Invalid '{at}.id': string too long, missing or used twice.", f"{at}.id")
        _named(function.get("name"), f"{at}.function.name")
        if not isinstance(function.get("arguments"), str):
            raise _wrong_type(f"{at}.function.arguments", "a string")
        ids.append(call["id"])
    return ids


def _named(name: object, path: str) -> None:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise Refusal(f"Invalid '{path}': string does not match '^[a-zA-Z0-9_-]+$'.", path, "invalid_value")


def _tools(body: Mapping[str, Any]) -> None:
    tools = body.get("tools")
    if tools is None:
        for name in ("tool_choice", "parallel_tool_calls"):
            if name in body:
                raise Refusal(f"'{name}' is only allowed when 'tools' are specified.", name)
        return
    if not isinstance(tools, list) or not 0 < len(tools) <= MOST_TOOLS:
        raise Refusal(f"Invalid 'tools': an array of 1 to {MOST_TOOLS} is expected.", "tools", "empty_array")
    for number, tool in enumerate(tools):
        path = f"tools[{number}]"
        function = tool.get("function") if isinstance(tool, Mapping) else None
        if not isinstance(function, Mapping) or tool.get("type") != "function":
            raise Refusal(f"Missing required parameter: '{path}.function'.", path, "missing_required_parameter")
        if set(function) - {"name", "description", "parameters", "strict"}:
            raise Refusal(f"Unknown parameter in '{path}.function'.", f"{path}.function", "unknown_parameter")
        _named(function.get("name"), f"{path}.function.name")
        schema = function.get("parameters", {"type": "object", "properties": {}, "additionalProperties": False})
        if not isinstance(schema, Mapping) or schema.get("type") != "object":
            raise _bad_schema(function["name"], "()", "schema must be of type 'object'")
        if function.get("strict"):
            for where, problem in not_strict(schema, ()):
                raise _bad_schema(function["name"], str(where), problem)


def _bad_schema(name: str, where: str, problem: str) -> Refusal:
    message = f"Invalid schema for function '{name}': In context={where}, {problem}."
    return Refusal(message, "tools[0].function.parameters", "invalid_function_parameters")


def not_strict(schema: object, where: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
    """What strict mode cannot keep, and where."""
    if not isinstance(schema, Mapping):
        yield where, "a schema must be an object"
        return
    for name in sorted(_NOT_STRICT & schema.keys()):
        yield where, f"'{name}' is not permitted"
    if "$ref" in schema and len(schema) > 1:
        yield where, f"$ref cannot have keywords {sorted(set(schema) - {'$ref'})}"
    if not schema.keys() & {"type", "anyOf", "$ref", "enum", "const"}:
        yield where, "schema must have a 'type' key"
    if schema.get("type") == "object" or "properties" in schema:
        if schema.get("additionalProperties") is not False:
            yield where, "'additionalProperties' is required to be supplied and to be false"
        properties = schema.get("properties", {})
        missing = sorted(set(properties) ^ set(schema.get("required", ())))
        if missing:
            told = "'required' is required to be supplied and to be an array including every key in properties"
            yield where, f"{told}. Missing or extra '{missing[0]}'"
        for name, one in properties.items():
            yield from not_strict(one, (*where, "properties", name))
    if schema.get("type") == "array":
        yield from not_strict(schema.get("items"), (*where, "items"))
    for number, one in enumerate(schema.get("anyOf", ())):
        yield from not_strict(one, (*where, "anyOf", str(number)))
    for name, one in schema.get("$defs", {}).items():
        yield from not_strict(one, (*where, "$defs", name))


def _options(body: Mapping[str, Any]) -> None:
    if body.get("stream_options") is not None and not body.get("stream"):
        raise Refusal("The 'stream_options' parameter is only allowed when 'stream' is enabled.", "stream_options")
    if "max_tokens" in body:
        told = "is not supported with this model. Use 'max_completion_tokens' instead."
        raise Refusal(f"Unsupported parameter: 'max_tokens' {told}", "max_tokens", "unsupported_parameter")
    most = body.get("max_completion_tokens")
    if most is not None and (not isinstance(most, int) or most < 1):
        raise Refusal("Invalid 'max_completion_tokens': integer below minimum value.", "max_completion_tokens")
    for name in ("temperature", "top_p"):
        if body.get(name) not in (None, 1) and body.get("reasoning_effort") != "none":
            told = "Only the default (1) value is supported."
            raise Refusal(f"Unsupported value: '{name}' with this model. {told}", name, "unsupported_value")
    for name, values in (("reasoning_effort", EFFORTS), ("verbosity", VERBOSITIES)):
        if body.get(name) is not None and body[name] not in values:
            told = f"Supported values are: {', '.join(values)}."
            raise Refusal(f"Invalid value: '{body[name]}'. {told}", name, "invalid_value")
    _format(body)


def _format(body: Mapping[str, Any]) -> None:
    wanted = body.get("response_format")
    if wanted is None or wanted == {"type": "text"}:
        return
    kind = wanted.get("type") if isinstance(wanted, Mapping) else None
    if kind == "json_object":
        if "json" not in str(body["messages"]).lower():
            raise Refusal("'messages' must contain the word 'json' in some form, to use 'json_object'.", "messages")
        return
    given = wanted.get("json_schema") if kind == "json_schema" else None
    if not isinstance(given, Mapping):
        raise Refusal("Invalid value for 'response_format'.", "response_format", "invalid_value")
    _named(given.get("name"), "response_format.json_schema.name")
    schema = given.get("schema")
    if not isinstance(schema, Mapping) or schema.get("type") != "object":
        raise Refusal("Invalid schema for response_format: schema must be of type 'object'.", "response_format")
    if given.get("strict"):
        for where, problem in not_strict(schema, ()):
            message = f"Invalid schema for response_format '{given['name']}': In context={where}, {problem}."
            raise Refusal(message, "response_format", "invalid_json_schema")
