"""The dialects of old versions, as the present one: the only place that knows them.

Below 2.14 the metadata of models and queues is a list. Below 2.13 a task has one input and one output model,
`execution.model` and `output.model`, and its container is a command line, `execution.docker_cmd`. Below 2.9 its hyperparameters
are `execution.parameters` and its configurations `execution.model_desc`; these two may still be written, and named in
filters and orders, in any version. Below 2.3 system tags are among the tags.
"""

import re
from collections.abc import Callable
from typing import Any

import msgspec

Version = tuple[int, int]
Json = dict[str, Any]

_METADATA_MAP: Version = (2, 14)
_MODELS_AND_CONTAINER: Version = (2, 13)
_HYPERPARAMS: Version = (2, 9)
_SYSTEM_TAGS: Version = (2, 3)
_SYSTEM = {
    "tasks": frozenset({"archived", "development", "hidden", "pipeline", "dataset", "reports"}),
    "models": frozenset({"archived", "hidden"}),
    "projects": frozenset({"archived", "hidden", "public", "pipeline", "dataset", "reports"}),
}
_WITH_METADATA = frozenset({"models", "queues"})
# The one section that the old name of a parameter begins with; every other parameter is one of Args.
_TF_DEFINE = "TF_DEFINE"
_ARGS = "Args"
_OLD_PATH = "execution.parameters."
_PARAMETER = re.compile(rf"(-?){re.escape(_OLD_PATH)}(?:({_TF_DEFINE})/)?(.+)")
_NAMES = ("order_by", "only_fields", "projection")
_CONDITIONS = ("_any_", "_all_", "_or_")


def upgraded(name: str, asked: Version, arguments: Json) -> Json:
    """The arguments of a call as the present version has them."""
    service, _, action = name.partition(".")
    if service in ("tasks", "reports"):
        arguments = _with_paths(arguments, asked)
    if service == "tasks":
        arguments = _with_parts(arguments, asked)
    if asked < _METADATA_MAP and service == "queues" and action in ("create", "update"):
        arguments = _with_metadata_map(arguments)
    if asked < _SYSTEM_TAGS and service in _SYSTEM:
        arguments = _with_system_tags(arguments, _SYSTEM[service], writing=not action.startswith("get_"))
    return arguments


def downgraded(name: str, asked: Version, data: Any) -> Any:
    """The data of a reply as the asked version has them."""
    service = name.partition(".")[0]
    if asked >= _METADATA_MAP or service not in {*_SYSTEM, *_WITH_METADATA} or not isinstance(data, dict):
        return data
    singular = service[:-1]
    shown = dict(data)
    if isinstance(data.get(service), list):
        shown[service] = [_old(service, asked, d) if isinstance(d, dict) else d for d in data[service]]
    if isinstance(data.get(singular), dict):
        shown[singular] = _old(service, asked, data[singular])
    return shown


# arguments


def _with_paths(arguments: Json, asked: Version) -> Json:
    """Parameters by their present paths, and beside old parts, where they are asked for, what they are made of."""
    changed = {_value_path(name): value for name, value in arguments.items()}
    for name in _NAMES:
        if name in changed:
            changed[name] = _each(changed[name], _path)
    for name in _CONDITIONS:
        if isinstance(condition := changed.get(name), dict):
            changed[name] = {**condition, "fields": _each(condition.get("fields"), _value_path)}
    if isinstance(changed.get("filters"), dict):
        changed["filters"] = {_value_path(name): value for name, value in changed["filters"].items()}
    if asked < _MODELS_AND_CONTAINER:
        for name in ("only_fields", "projection"):
            names = changed.get(name)
            listed = [names] if isinstance(names, str) else names
            if isinstance(listed, list) and any(isinstance(n, str) and n.startswith(_OLD_PARTS) for n in listed):
                changed[name] = [*listed, "hyperparams", "configuration", "container", "models"]
    return changed


_OLD_PARTS = ("execution", "output")


def _each(names: Any, change: Callable[[str], str]) -> Any:
    if isinstance(names, list):
        return [change(name) if isinstance(name, str) else name for name in names]
    return change(names) if isinstance(names, str) else names


def _path(name: str) -> str:
    found = _PARAMETER.fullmatch(name) if _OLD_PATH in name else None
    return f"{found[1]}hyperparams.{found[2] or _ARGS}.{found[3]}" if found else name


def _value_path(name: str) -> str:
    path = _path(name)
    return path if path is name else f"{path}.value"


def _with_parts(arguments: Json, asked: Version) -> Json:
    for name, prefix in (("execution", ""), ("execution_overrides", "new_task_")):
        if isinstance(arguments.get(name), dict):
            execution = dict(arguments[name])
            parts = {f"{prefix}{part}": value for part, value in _parts(execution, asked).items()}
            if prefix and "new_task_models" in parts:
                parts["new_task_input_models"] = parts.pop("new_task_models")["input"]
            arguments = {**parts, **arguments, name: execution}
    return arguments


def _parts(execution: Json, asked: Version) -> Json:
    """The present parts that the old fields of an execution mean; they are taken out of it."""
    parts: Json = {}
    for old, part, made in (
        ("parameters", "hyperparams", _hyperparams),
        ("model_desc", "configuration", _configuration),
    ):
        # Nothing of what an old version knows is there; a new one says nothing of it.
        if isinstance(execution.get(old), dict) and (execution[old] or asked < _HYPERPARAMS):
            parts[part] = made(execution.pop(old))
    if asked < _MODELS_AND_CONTAINER:
        if isinstance(execution.get("model"), str):
            parts["models"] = {"input": _one_model("Input Model", execution.pop("model"))}
        if isinstance(execution.get("docker_cmd"), str):
            parts["container"] = _container(execution.pop("docker_cmd"))
    return parts


def _hyperparams(parameters: Json) -> Json:
    sections: Json = {}
    for key, value in parameters.items():
        section, _, rest = key.partition("/")
        section, name = (section, rest) if section == _TF_DEFINE and rest else (_ARGS, key)
        item = {"section": section, "name": name, "value": _text(value), "type": "legacy"}
        sections.setdefault(section, {})[name] = item
    return sections


def _configuration(model_desc: Json) -> Json:
    return {name: {"name": name, "value": _text(value), "type": "legacy"} for name, value in model_desc.items()}


def _text(value: Any) -> str:
    if isinstance(value, dict | list):
        return msgspec.json.encode(value).decode()
    return value if isinstance(value, str) else "" if value is None else str(value)


def _one_model(name: str, model: str) -> list[Json]:
    return [{"name": name, "model": model}] if model else []


def _container(command: str) -> Json:
    image, _, arguments = command.strip().partition(" ")
    return {"image": image, "arguments": arguments.strip(), "setup_shell_script": ""}


def _with_metadata_map(arguments: Json) -> Json:
    items = arguments.get("metadata")
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        return arguments
    return {**arguments, "metadata": {str(item.get("key")): item for item in items}}


def _with_system_tags(arguments: Json, known: frozenset[str], *, writing: bool) -> Json:
    names = arguments.get("only_fields")
    if isinstance(names, list) and "tags" in names:
        arguments = {**arguments, "only_fields": [*names, "system_tags"]}
    for prefix in ("", "new_task_"):
        tags = arguments.get(f"{prefix}tags")
        if not isinstance(tags, list) or f"{prefix}system_tags" in arguments:
            continue
        system = [tag for tag in tags if isinstance(tag, str) and tag.removeprefix("-") in known]
        if system or writing:  # who writes the tags writes all of them
            plain = [tag for tag in tags if tag not in system]
            arguments = {**arguments, f"{prefix}tags": plain, f"{prefix}system_tags": system}
    return arguments


# replies


def _old(service: str, asked: Version, document: Json) -> Json:
    old = dict(document)
    if service in _WITH_METADATA and isinstance(old.get("metadata"), dict):
        old["metadata"] = list(old["metadata"].values())
    if service == "tasks" and asked < _MODELS_AND_CONTAINER:
        _add_old_parts(old, asked)
    if asked < _SYSTEM_TAGS and "system_tags" in old:
        old["tags"] = [*old.get("tags", []), *old.pop("system_tags")]
    return old


def _add_old_parts(task: Json, asked: Version) -> None:
    models, container = task.get("models") or {}, task.get("container") or {}
    execution: Json = {}
    if models.get("input"):
        execution["model"] = models["input"][0]["model"]
    if container.get("image"):
        execution["docker_cmd"] = f"{container['image']} {container.get('arguments') or ''}".rstrip()
    if asked < _HYPERPARAMS:
        if task.get("hyperparams"):
            execution["parameters"] = _parameters(task["hyperparams"])
        if task.get("configuration"):
            execution["model_desc"] = {name: item.get("value", "") for name, item in task["configuration"].items()}
    if execution:
        task["execution"] = {**task.get("execution", {}), **execution}
    if models.get("output"):
        task["output"] = {**task.get("output", {}), "model": models["output"][-1]["model"]}


def _parameters(hyperparams: Json) -> Json:
    return {
        name if section == _ARGS else f"{section}/{name}": item.get("value", "")
        for section, items in hyperparams.items()
        for name, item in items.items()
    }
