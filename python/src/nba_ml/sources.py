"""The user's own files: reading, checking against the contracts, publishing."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pandas as pd
import pyarrow
import pyarrow.compute
import pyarrow.csv
import pyarrow.parquet

from nba_ml import contracts
from nba_ml.contracts import Table, Violation
from nba_ml.files import write_atomically
from nba_ml.settings import UserError, clock, present

if TYPE_CHECKING:
    from nba_ml.bigquery import BigQuery


@dataclass(frozen=True)
class Inspection:
    """What the files of one table hold, or the table itself.

    `null_rates` (shares in 0..1 of the played rows) and `constants` (the only value
    of a column) are by column and season_year.
    """

    table: str
    required: bool
    files: Sequence[str] = ()
    rows: int = 0
    bytes: int = 0
    first_date: date | None = None
    last_date: date | None = None
    found: Sequence[str] = ()
    missing_required: Sequence[str] = ()
    missing: Sequence[str] = ()
    extra: Sequence[str] = ()
    duplicate_keys: int = 0
    null_rates: Sequence[dict[str, Any]] = ()
    constants: Sequence[dict[str, Any]] = ()
    violations: tuple[Violation, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether the table can be imported, or may be absent."""
        return not self.violations and bool(self.files or not self.required)


def find(
    paths: Iterable[Path], table: str | None = None
) -> tuple[dict[str, list[Path]], list[Path]]:
    """Files by table name, and the files that were ignored.

    A file belongs to the table that its name begins with; one that is named itself,
    to `table` if given. Raises UserError for a missing path and when nothing fits.
    """
    known = contracts.tables()
    found, ignored = defaultdict(list), []
    for path in paths:
        if not path.exists():
            raise UserError(
                f"{path} does not exist. Give a folder or a file that does; "
                "without any, nba-ml simulate makes a league."
            )
        for file in sorted(path.iterdir()) if path.is_dir() else [path]:
            begins = [name for name in known if file.name.startswith(name)]
            names = [table] if table and file == path else begins
            if not names:
                ignored.append(file)
            elif file.suffix in (".parquet", ".csv"):
                found[names[0]].append(file)
            else:
                raise UserError(
                    f"{file} ends in {file.suffix or 'nothing'!r}, which is not read. "
                    "Convert it to .parquet or .csv, or move it away."
                )
    if not found:
        raise UserError(
            f"{', '.join(map(str, paths))} holds no file of a known table "
            f"(ignored: {', '.join(file.name for file in ignored) or 'nothing'}). "
            f"Name the files {', '.join(known)}; nba-ml import FILE --table takes "
            "one of another name."
        )
    return found, ignored


def read(path: Path, encoding: str = "utf-8") -> pyarrow.Table:
    """One file as it is; the columns of a CSV are text, empty cells NULL.

    Column names come out in lower case. Raises UserError for a file that is
    empty, damaged or in another encoding.
    """
    if path.stat().st_size == 0:
        raise UserError(f"{path} is empty (0 bytes). Export it again.")
    try:
        if path.suffix == ".parquet":
            data = pyarrow.parquet.read_table(path, partitioning=None)
        else:
            data = _read_csv(path, encoding)
    except (pyarrow.ArrowInvalid, OSError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(
            f"{path} cannot be read as {path.suffix[1:]}: {reason}. Copy or "
            "export it again."
        ) from None
    except (UnicodeError, LookupError) as error:
        raise UserError(
            f"{path} is not text in the encoding {encoding!r}: {error}. "
            "Repeat with the right one, for example --encoding latin-1."
        ) from None
    if data.num_rows == 0:
        raise UserError(f"{path} has no rows (0 rows). Export it again.")
    names = [name.strip().lower() for name in data.column_names]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise UserError(f"{path} has two columns {twice}. Remove or rename one.")
    return data.rename_columns(names)


def import_files(
    raw: Path,
    paths: tuple[Path, ...],
    table: str | None = None,
    minutes: str = "decimal",
    encoding: str = "utf-8",
    frozen_clock: bool = False,
    warehouse: BigQuery | None = None,
) -> tuple[list[Inspection], list[Path]] | None:
    """Check the files and publish them in `raw`; None when they are there already.

    With `warehouse` they become its source tables instead. Returns what was
    published and which files were ignored. Raises UserError, with every kind of
    violation in all tables, before anything changes.
    """
    found, ignored = find(paths, table)
    if warehouse and frozen_clock:
        raise UserError(
            "--frozen-clock keeps a clock beside files, and on BigQuery there are "
            "none. Leave it out; NBA_ML_AS_OF sets the clock of data that stand still."
        )
    files = [
        [str(file.resolve()), file.stat().st_size, file.stat().st_mtime_ns]
        for files in found.values()
        for file in files
    ]
    options = [table, minutes, encoding, frozen_clock]
    source = {"origin": "imported", "files": files, "options": options}
    before, known = origin(raw), contracts.tables()
    kept: set[str] = set()
    if warehouse:
        kept = {name for name in known if warehouse.columns(known[name].relation)}
    elif before.get("origin") == "imported":
        kept = {name for name in known if (raw / f"{name}.parquet").exists()}
        if before == source and kept.issuperset(found):
            return None
    for name, contract in known.items():
        if contract.required and name not in {*found, *kept}:
            raise UserError(
                f"{name} is neither among the files nor imported before, and nothing "
                "works without it. Give its file, too."
            )
    # Data that stand still are history: the real clock judges them.
    now = present() if frozen_clock else clock()
    seen, tables = [], {}
    for name, files in found.items():
        one, data = _inspect_files(known[name], files, encoding, now, minutes)
        seen.append(one)
        tables[name] = data.select(one.found)
    if problems := [f"  {broken}" for one in seen for broken in one.violations]:
        title = "nothing was imported; the data break the contract:"
        raise UserError("\n".join([title, *problems]))
    if warehouse:
        for name in tables:
            warehouse.claim(known[name].relation)
        for name, data in tables.items():
            warehouse.load(known[name].relation, data)
    else:
        as_of = _last_noon(tables) if frozen_clock else None
        # A simulated schedule beside real box scores would be nonsense.
        publish(raw, tables, as_of, source, is_kept=bool(kept))
    return seen, ignored


def inspect(
    path: Path, encoding: str = "utf-8", minutes: str = "decimal"
) -> tuple[list[Inspection], list[Path]]:
    """What a folder or file holds, by table, and the files that were ignored.

    Reads only. Raises UserError for a file that cannot be read at all.
    """
    found, ignored = find([path])
    now = present() if (path / "as_of").exists() else clock()
    seen = [
        _inspect_files(contract, found[name], encoding, now, minutes)[0]
        if name in found
        else Inspection(name, contract.required)
        for name, contract in contracts.tables().items()
    ]
    return seen, ignored


def inspect_tables(warehouse: BigQuery, minutes: str = "decimal") -> list[Inspection]:
    """What the source tables of BigQuery hold; `bytes` is what a build reads of them.

    Reads the columns of the contract, whole: the cost of one build's first step.
    """
    seen = []
    for contract in contracts.tables().values():
        names = warehouse.columns(contract.relation)
        known = [name for name in names if name in contract.types]
        if not known:
            seen.append(Inspection(contract.name, contract.required))
            continue
        sql = f"select {', '.join(known)} from {contract.relation}"
        size, rows = warehouse.bytes_of(sql), warehouse.read_arrow(sql)
        one, _ = _inspect(contract, [rows], clock(), minutes)
        extra = [name for name in names if name not in one.found]
        seen.append(replace(one, files=[contract.relation], bytes=size, extra=extra))
    return seen


def origin(raw: Path) -> dict[str, object]:
    """Who wrote the files in `raw`: the content of origin.json, {} without it."""
    try:
        return json.loads((raw / "origin.json").read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return {}


def publish(
    raw: Path,
    tables: dict[str, pyarrow.Table],
    as_of: str | None,
    source: dict[str, object],
    is_kept: bool = False,
) -> None:
    """Write tables, clock and origin.json; remove what does not belong to them.

    Tables of an earlier import stay if `is_kept`. Each file is replaced whole.
    Whoever is killed in between leaves no fingerprint in origin.json, so that the
    next run does its work again.
    """
    content = {"as_of": f"{as_of}\n".encode()} if as_of else {}
    for name, table in tables.items():
        sink = pyarrow.BufferOutputStream()
        pyarrow.parquet.write_table(table, sink, compression="zstd")
        content[f"{name}.parquet"] = sink.getvalue().to_pybytes()
    stale = {"true_expectation.parquet"}
    if not is_kept:
        stale |= {"as_of", *(f"{name}.parquet" for name in contracts.tables())}
    if "player_game_summary" in tables:  # new box scores, new clock
        stale.add("as_of")
    for leftover in raw.glob(".*.tmp"):
        leftover.unlink()
    unfinished = {"origin": source["origin"], "unfinished": True}
    write_atomically(raw / "origin.json", json.dumps(unfinished).encode())
    for name, data in content.items():
        write_atomically(raw / name, data)
    for name in stale - content.keys():
        (raw / name).unlink(missing_ok=True)
    write_atomically(raw / "origin.json", json.dumps(source).encode())


def _read_csv(path: Path, encoding: str) -> pyarrow.Table:
    text = path.read_bytes().decode(encoding)
    if text.startswith("\ufeff"):
        raise UserError(
            f"{path} begins with a byte-order mark, which would become part of its "
            "first column name. Repeat with --encoding utf-8-sig."
        )
    return pyarrow.csv.read_csv(
        pyarrow.py_buffer(text.encode()),
        # As text, so that a wrong value can be shown as it stands in the file.
        convert_options=pyarrow.csv.ConvertOptions(
            default_column_type=pyarrow.string(),
            strings_can_be_null=True,
            null_values=["", "NULL", "null", "NaN", "nan"],
        ),
    )


def _load(
    contract: Table, parts: list[pyarrow.Table], minutes: str
) -> tuple[pyarrow.Table, list[Violation]]:
    """The parts united by column name, contract columns typed, others as they are.

    Values of a wrong type become NULL and a violation.
    """
    with duckdb.connect() as connection:
        connection.execute("set timezone = 'UTC'")
        names = [f"part_{number}" for number in range(len(parts))]
        for name, part in zip(names, parts, strict=True):
            connection.register(name, part)
        given = connection.sql(" union all by name ".join(f"from {n}" for n in names))
        for name, kind in zip(given.columns, given.types, strict=True):
            if kind in ("FLOAT", "DOUBLE"):
                # pandas writes a missing number as NaN
                number = f'nullif("{name}", \'nan\') as "{name}"'
                given = given.project(f"* replace ({number})")
        columns = {name: f'"{name}"' for name in given.columns}
        kinds = {name: kind for name, kind in contract.types.items() if name in columns}
        typed = {name: _cast(name, kind, minutes) for name, kind in kinds.items()}
        key = ", ' ', ".join([name for name in contract.key if name in kinds] or ["''"])
        problems = []
        for name, kind in kinds.items():
            unfit = given.filter(f"{name} is not null and {typed[name]} is null")
            [[count, where, value]] = unfit.aggregate(
                f"count(*), first(concat({key})), first({name}::varchar)"
            ).fetchall()
            if count and name not in contract.beside:
                rule, step = f"not {kind}", contracts.REPAIR
                if name == "minutes_played" and ":" in value:
                    rule, step = "text MM:SS", "Repeat with --minutes mm:ss."
                shown = f"{where}: {name} = {value!r}"
                problems.append(
                    Violation(contract.name, rule, name, count, shown, step)
                )
        chosen = (f'{sql} as "{name}"' for name, sql in (columns | typed).items())
        return given.project(", ".join(chosen)).to_arrow_table(), problems


def _cast(name: str, kind: str, minutes: str) -> str:
    """SQL that is NULL where the column does not hold the type of the contract."""
    if name == "minutes_played" and minutes == "mm:ss":
        part = f"try_cast(split_part({name}::varchar, ':', {{}}) as usmallint)"
        whole, seconds = part.format(1), part.format(2)
        return f"case when {seconds} < 60 then {whole} + {seconds} / 60 end"
    if kind == "int64":
        # a cast alone would round 12.5 to 13
        whole = f"try_cast({name} as bigint)"
        return f"case when try_cast({name} as double) = {whole} then {whole} end"
    if kind == "timestamp":
        # by way of UTC: DuckDB would drop the offset of a text without a word
        return f"cast(try_cast({name} as timestamptz) as timestamp)"
    return f"try_cast({name} as {'double' if kind == 'float64' else kind})"


def _last_noon(tables: dict[str, pyarrow.Table]) -> str:
    """Noon of the last date with a regular-season box score."""
    data = tables.get("player_game_summary")
    if data is not None and "season_type" in data.column_names:
        kind = pyarrow.compute.field("season_type")
        data = data.filter((kind == "regular") | kind.is_null())
    if not data:
        raise UserError(
            "--frozen-clock needs a regular-season game of player_game_summary, and "
            "the files hold none. Add its file, or leave --frozen-clock out."
        )
    return f"{pyarrow.compute.max(data['game_date'])}T12:00:00"


def _inspect_files(
    contract: Table, files: list[Path], encoding: str, now: datetime, minutes: str
) -> tuple[Inspection, pyarrow.Table]:
    parts = [read(file, encoding) for file in files]
    one, data = _inspect(contract, parts, now, minutes)
    size = sum(file.stat().st_size for file in files)
    return replace(one, files=[file.name for file in files], bytes=size), data


def _inspect(
    contract: Table, parts: list[pyarrow.Table], now: datetime, minutes: str
) -> tuple[Inspection, pyarrow.Table]:
    """What the parts of one table hold, and their rows."""
    data, unfit = _load(contract, parts, minutes)
    names = data.column_names
    judged = data.select([name for name in names if name in contract.types])
    frame = judged.to_pandas(types_mapper=pd.ArrowDtype)
    found = [c.name for c in contract.columns if c.name in names]
    absent = [c for c in contract.columns if c.name not in names]
    key = [name for name in contract.key if name in names]
    dates = data["game_date"] if "game_date" in names else pyarrow.array([], "date32")
    span = pyarrow.compute.min_max(dates).as_py()
    nulls, constants = _shares(data)
    seen = Inspection(
        table=contract.name,
        required=contract.required,
        rows=data.num_rows,
        first_date=span["min"],
        last_date=span["max"],
        found=found,
        missing_required=[column.name for column in absent if column.required],
        missing=[column.name for column in absent],
        extra=[name for name in names if name not in found],
        duplicate_keys=int(frame.duplicated(key).sum()) if key else 0,
        null_rates=nulls,
        constants=constants,
        violations=(*unfit, *contracts.violations(frame, contract, now)),
    )
    return seen, data


def _shares(data: pyarrow.Table) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Null rates on played rows, and columns with a single value, per season."""
    season = "season_year" if "season_year" in data.column_names else "null"
    played = "minutes_played > 0" if "minutes_played" in data.column_names else "true"
    rows = duckdb.sql(
        f"""with cells as (
            select {season} as _season, {played} as _played,
                cast(columns(*) as varchar)
            from data
        )
        select _column, _season,
            round(avg(cast(_value is null as int)) filter (_played), 4) as null_rate,
            case when count(_value) > 1 and min(_value) = max(_value)
                then min(_value) end as constant
        from cells unpivot include nulls (
            _value for _column in (* exclude (_season, _played))
        )
        where _column <> 'season_year' group by all order by all"""
    ).fetchall()

    def share(column: str, season: int | None, value: Any) -> dict[str, Any]:
        return {"column": column, "season_year": season, "value": value}

    nulls = [share(*where, rate) for *where, rate, _ in rows if rate]
    constants = [share(*where, only) for *where, _, only in rows if only is not None]
    return nulls, constants
