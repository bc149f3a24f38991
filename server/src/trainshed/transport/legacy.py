"""The dialects of old versions, as the present one: the only place that knows them.

Below 2.9 a task's hyperparameters are `execution.parameters` and its configurations `execution.model_desc`. Below 2.3 system
tags are among the tags.
"""

from typing import Any

Version = tuple[int, int]
Json = dict[str, Any]

_HYPERPARAMS: Version = (2, 9)
_SYSTEM_TAGS: Version = (2, 3)
_SYSTEM = {
    "tasks": frozenset({"archived", "development", "hidden"}),
    "models": frozenset({"archived", "hidden"}),
    "projects": frozenset({"archived", "hidden", "public"}),
}
# The one section that the old name of a parameter begins with; every other parameter is one of Args.
_TF_DEFINE = "TF_DEFINE"
_ARGS = "Args"
_EXECUTIONS = ("execution", "execution_overrides")


def upgraded(name: str, asked: Version, arguments: Json) -> Json:
    """The arguments of a call as the present version has them."""
    service = name.partition(".")[0]
    if asked < _HYPERPARAMS and service == "tasks":
        arguments = _with_hyperparams(arguments)
    if asked < _SYSTEM_TAGS and service in _SYSTEM:
        arguments = _with_system_tags(arguments, _SYSTEM[service])
    return arguments


def downgraded(name: str, asked: Version, data: Any) -> Any:
    """The data of a reply as the asked version has them."""
    service = name.partition(".")[0]
    if asked >= _HYPERPARAMS or service not in _SYSTEM or not isinstance(data, dict):
        return data
    singular = service[:-1]
    shown = dict(data)
    if isinstance(data.get(service), list):
        shown[service] = [_old(service, asked, d) if isinstance(d, dict) else d for d in data[service]]
    if isinstance(data.get(singular), dict):
        shown[singular] = _old(service, asked, data[singular])
    return shown


# arguments


def _with_hyperparams(arguments: Json) -> Json:
    changed = dict(arguments)
    for name in _EXECUTIONS:
        if not isinstance(arguments.get(name), dict):
            continue
        prefix = "new_task_" if name == "execution_overrides" else ""
        execution = dict(arguments[name])
        if isinstance(execution.get("parameters"), dict):
            changed.setdefault(f"{prefix}hyperparams", _hyperparams(execution.pop("parameters")))
        if isinstance(execution.get("model_desc"), dict):
            changed.setdefault(f"{prefix}configuration", _configuration(execution.pop("model_desc")))
        changed[name] = execution
    names = arguments.get("only_fields")
    if isinstance(names, list) and any(isinstance(n, str) and n.startswith("execution") for n in names):
        changed["only_fields"] = [*names, "hyperparams", "configuration"]
    return changed


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
    return value if isinstance(value, str) else "" if value is None else str(value)


def _with_system_tags(arguments: Json, known: frozenset[str]) -> Json:
    tags = arguments.get("tags")
    if not isinstance(tags, list) or "system_tags" in arguments:
        return arguments
    system = [tag for tag in tags if isinstance(tag, str) and tag.removeprefix("-") in known]
    if not system:
        return arguments
    return {**arguments, "tags": [tag for tag in tags if tag not in system], "system_tags": system}


# replies


def _old(service: str, asked: Version, document: Json) -> Json:
    old = dict(document)
    if service == "tasks" and isinstance(old.get("execution"), dict):
        execution = old["execution"] = dict(old["execution"])
        if old.get("hyperparams"):
            execution["parameters"] = _parameters(old["hyperparams"])
        if old.get("configuration"):
            execution["model_desc"] = {name: item.get("value", "") for name, item in old["configuration"].items()}
    if asked < _SYSTEM_TAGS and "system_tags" in old:
        old["tags"] = [*old.get("tags", []), *old.pop("system_tags")]
    return old


def _parameters(hyperparams: Json) -> Json:
    return {
        name if section == _ARGS else f"{section}/{name}": item.get("value", "")
        for section, items in hyperparams.items()
        for name, item in items.items()
    }
