"""Every setting of a run, with its default, what it may be and what it is, from the models that a run reads."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, get_args, get_origin

import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from spacetime_tps.settings import Settings

PAGE = "reference/settings.md"
HEAD = """# Every setting

What `--set KEY=VALUE` takes, what `Settings(...)` takes in Python as nested dictionaries, and what `config.yaml` of a run folder lists.
This page is made from the code.

    spacetime-tps run butane --out runs/butane --set windows.count=32 --set unbiased.longest=50000

A change makes anew what is made from that setting, and no more: [restart and interruption](../how_to/restart.md).
"""
BOUNDS = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below", "min_length": "as many as"}
KINDS = {int: "whole", float: "number", str: "text", type(None): "or nothing"}


@dataclass(frozen=True)
class Setting:
    """One line of the page."""

    key: str
    default: Any
    allowed: str
    description: str


def settings_page() -> str:
    """In Markdown: a section for each group of settings."""
    groups: dict[str, list[Setting]] = {}
    for setting in settings_of(Settings):
        groups.setdefault(setting.key.rpartition(".")[0], []).append(setting)
    return HEAD + "".join(_section(name, found) for name, found in groups.items())


def settings_of(model: type[BaseModel], prefix: str = "") -> Iterator[Setting]:
    """All of them, those of the model itself first."""
    nested = {name: kind for name, field in model.model_fields.items() if (kind := _model(field))}
    for name, field in model.model_fields.items():
        if name not in nested:
            yield Setting(prefix + name, field.get_default(), _allowed(field), field.description or "")
    for name, kind in nested.items():
        yield from settings_of(kind, f"{prefix}{name}.")


def _model(field: FieldInfo) -> type[BaseModel] | None:
    kind = field.annotation
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None


def _allowed(field: FieldInfo) -> str:
    kinds = [KINDS[kind] for kind in _parts(field.annotation) if kind in KINDS]
    several = ["list"] if get_origin(field.annotation) is tuple else []
    bounds = [
        f"{words} {_number(value)}"
        for item in field.metadata
        for key, words in BOUNDS.items()
        if (value := getattr(item, key, None)) is not None
    ]
    return ", ".join([*several, *kinds, *bounds])


def _parts(annotation: Any) -> list[Any]:
    """The types that an annotation is made of."""
    inner = get_args(annotation)
    return [part for kind in inner for part in _parts(kind)] if inner else [annotation]


def _number(value: float) -> str:
    return f"2^{value.bit_length() - 1}" if isinstance(value, int) and value > 10**9 else f"{value:g}"


def _section(name: str, settings: list[Setting]) -> str:
    title, told = (f"`{name}`", _model_of(name).__doc__ or "") if name else ("Of the whole run", "")
    rows = [f'| <a id="{s.key}"></a>`{s.key}` | `{_value(s.default)}` | {s.allowed} | {s.description} |' for s in settings]
    return "\n".join([f"\n## {title}\n", told, "", "| setting | default | may be | what |", "|---|---|---|---|", *rows, ""])


def _model_of(name: str) -> type[BaseModel]:
    found = _model(Settings.model_fields[name])
    assert found is not None
    return found


def _value(default: Any) -> str:
    plain = list(default) if isinstance(default, tuple) else default
    return yaml.safe_dump(plain, default_flow_style=True).removesuffix("\n").removesuffix("...").strip()
