"""Stand-in for dbt's exceptions: lint renders the good case only."""


def raise_compiler_error(message: str) -> str:
    return message
