"""Stand-in for dbt's adapter: every dispatched macro is some expression."""

from collections.abc import Callable


def dispatch(name: str, package: str) -> Callable[..., str]:
    return lambda *arguments: f"{name}({arguments[0]})" if arguments else ""


def get_columns_in_relation(relation: object) -> list:
    return []
