"""Stand-ins for dbt's own macros, so that sqlfluff renders the SQL offline."""


def type_float() -> str:
    return "float64"


def type_timestamp() -> str:
    return "timestamp"


def safe_cast(field: str, type: str) -> str:
    return f"cast({field} as {type})"


def split_part(text: str, delimiter: str, part: int) -> str:
    return f"split_part({text}, {delimiter}, {part})"


def datediff(first: str, second: str, part: str) -> str:
    return f"date_diff({second}, {first}, {part})"


def string_literal(text: str) -> str:
    return f"'{text}'"


def escape_single_quotes(text: str) -> str:
    return text.replace("'", "''")


def dateadd(part: str, interval: int, date: str) -> str:
    return f"date_add({date}, {interval})"


def date_trunc(part: str, date: str) -> str:
    return f"date_trunc({date}, {part})"


def array_construct(inputs: list, type: str) -> str:
    return f"cast(null as {type})"


def hash(field: str) -> str:
    return f"to_hex(md5({field}))"
