"""The user's own files: reading, checking against the contracts, publishing."""

from __future__ import annotations

import csv
import hashlib
import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pandas as pd
import pyarrow
import pyarrow.csv
import pyarrow.parquet

from nba_ml import contracts
from nba_ml.contracts import Table, Violation
from nba_ml.settings import UserError, clock

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
MINUTES_TEXT = "[0-9]{1,3}:[0-5][0-9]"
OFFSET = ":[0-9.]+ ?[+-][0-9:]+$"
SQL_TYPES = {
    "string": "varchar",
    "date": "date",
    "int64": "bigint",
    "float64": "double",
    "bool": "boolean",
    "timestamp": "timestamp",
}


@dataclass(frozen=True)
class Imported:
    """One published table: rows, files that it came from, columns left out."""

    table: str
    rows: int
    files: tuple[str, ...]
    dropped: tuple[str, ...]


@dataclass(frozen=True)
class ColumnShare:
    """A share in [0, 1] or a constant value of one column in one season."""

    column: str
    season_year: int | None
    value: float | str


@dataclass(frozen=True)
class Inspection:
    """What `check` sees of one table; `null_rates` count played rows only."""

    table: str
    required: bool
    files: tuple[str, ...] = ()
    rows: int = 0
    bytes: int = 0
    first_date: str | None = None
    last_date: str | None = None
    found: tuple[str, ...] = ()
    missing_required: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()
    duplicate_keys: int = 0
    null_rates: tuple[ColumnShare, ...] = ()
    constants: tuple[ColumnShare, ...] = ()
    violations: tuple[Violation, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether the table can be imported, or may be absent."""
        return not self.violations and bool(self.files or not self.required)


def find(
    paths: Iterable[Path], table: str | None = None
) -> tuple[dict[str, list[Path]], list[Path]]:
    """Files by table name, and the files of folders that were ignored.

    A file belongs to the table that its name begins with, or to `table`.
    Raises UserError for a path that is not there or fits no table.
    """
    known = contracts.tables()
    found: dict[str, list[Path]] = {}
    ignored = []
    for path in paths:
        if not path.exists():
            raise UserError(f"{path} does not exist. Give a folder or a file.")
        for file in sorted(path.iterdir()) if path.is_dir() else [path]:
            name = (None if path.is_dir() else table) or next(
                (one for one in known if file.name.startswith(one)), None
            )
            if name and not (table and name != table):
                if file.suffix not in (".parquet", ".csv"):
                    raise UserError(
                        f"{file} ends in {file.suffix or 'nothing'!r}, which is not "
                        "read. Convert it to .parquet or .csv, or move it away."
                    )
                found.setdefault(name, []).append(file)
            elif path.is_dir():
                ignored.append(file)
            else:
                raise UserError(
                    f"{file.name} begins with no known table name. Say which table "
                    f"it is: --table {'|'.join(known)}."
                )
    if not found:
        raise UserError(
            f"{', '.join(map(str, paths))} holds no file of a known table "
            f"(ignored: {', '.join(file.name for file in ignored) or 'nothing'}). "
            f"Name the files {table or ', '.join(known)}, with .parquet or .csv."
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
            f"{path} cannot be read as {path.suffix[1:]}: {reason}. Copy or export "
            "it again; if text looks wrong, name its --encoding, such as latin-1."
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
) -> tuple[list[Imported], list[Path]] | None:
    """Check the files and publish them in `raw`; None when they are there already.

    Returns what was published and which files were ignored. All tables or
    none: raises UserError, with every kind of violation, before `raw` changes.
    """
    found, ignored = find(paths, table)
    inputs = [
        (str(file.resolve()), file.stat().st_size, file.stat().st_mtime_ns)
        for files in found.values()
        for file in files
    ]
    asked = json.dumps([inputs, table, minutes, encoding, frozen_clock])
    fingerprint = hashlib.sha256(asked.encode()).hexdigest()
    before = origin(raw)
    if before.get("fingerprint") == fingerprint and all(
        (raw / f"{name}.parquet").exists() for name in found
    ):
        return None

    kept_tables = before.get("origin") == "imported"
    for name, contract in contracts.tables().items():
        there = kept_tables and (raw / f"{name}.parquet").exists()
        if contract.required and name not in found and not there:
            raise UserError(
                f"{name} is neither among the files nor imported before, and nothing "
                "works without it. Give its file, too."
            )
    now = _now() if frozen_clock else clock()
    loaded = {}
    problems: list[Violation] = []
    for name, files in found.items():
        contract = contracts.tables()[name]
        loaded[name], bad = _load(contract, files, encoding, minutes)
        frame = _frame(loaded[name], contract)
        problems += [*bad, *contracts.violations(frame, contract, now)]
    if problems:
        lines = "\n".join(f"  {one}" for one in problems)
        raise UserError(f"nothing was imported; the data break the contract:\n{lines}")

    as_of = _last_noon(loaded) if frozen_clock else None
    discard_leftovers(raw)
    done = []
    for name, data in loaded.items():
        kept = [c.name for c in contracts.tables()[name].columns]
        kept = [c for c in kept if c in data.column_names]
        pyarrow.parquet.write_table(
            data.select(kept), new(raw, f"{name}.parquet"), compression="zstd"
        )
        files = tuple(file.name for file in found[name])
        dropped = tuple(c for c in data.column_names if c not in kept)
        done.append(Imported(name, data.num_rows, files, dropped))
    written = [f"{name}.parquet" for name in loaded]
    if as_of:
        new(raw, "as_of").write_text(as_of + "\n")
        written.append("as_of")
    stale = ["true_expectation.parquet", "as_of"]
    if not kept_tables:
        # A simulated schedule beside real box scores would be nonsense.
        stale += [f"{name}.parquet" for name in contracts.tables()]
    publish(raw, written, stale, {"origin": "imported", "fingerprint": fingerprint})
    return done, ignored


def inspect(path: Path, encoding: str = "utf-8") -> tuple[list[Inspection], list[Path]]:
    """What a folder or file holds, by table, and the files that were ignored.

    Reads only. Raises UserError for a file that cannot be read at all.
    """
    found, ignored = find([path])
    # Data with a clock of their own are history: the real clock judges them.
    now = _now() if (path / "as_of").exists() else clock()
    seen = []
    for name, contract in contracts.tables().items():
        if name in found:
            seen.append(_inspect(contract, found[name], encoding, now))
        else:
            seen.append(Inspection(name, contract.required))
    return seen, ignored


def origin(raw: Path) -> dict[str, object]:
    """Who wrote the files in `raw`: the content of origin.json, {} without it."""
    try:
        return json.loads((raw / "origin.json").read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return {}


def new(raw: Path, name: str) -> Path:
    """Where to write the file that `publish` will put in place as `name`."""
    return raw / f".new-{name}"


def discard_leftovers(raw: Path) -> None:
    """Make `raw` and remove what a killed run left in it."""
    raw.mkdir(parents=True, exist_ok=True)
    for leftover in raw.glob(".new-*"):
        leftover.unlink()


def publish(
    raw: Path, written: Iterable[str], stale: Iterable[str], source: dict[str, object]
) -> None:
    """Put the files written at `new` in place, remove `stale` others, sign.

    Each file is replaced whole. Whoever is killed in between leaves no
    fingerprint in origin.json, so that the next run does its work again.
    """
    written = list(written)
    _sign(raw, {"origin": source["origin"], "unfinished": True})
    for name in written:
        os.replace(new(raw, name), raw / name)
    for name in set(stale) - set(written):
        (raw / name).unlink(missing_ok=True)
    _sign(raw, source)


def _now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)


def _sign(raw: Path, source: dict[str, object]) -> None:
    new(raw, "origin.json").write_text(json.dumps(source) + "\n")
    os.replace(new(raw, "origin.json"), raw / "origin.json")


def _read_csv(path: Path, encoding: str) -> pyarrow.Table:
    with path.open("rb") as start:
        marked = start.read(3) == BYTE_ORDER_MARK
    if marked and encoding.lower().replace("_", "-") != "utf-8-sig":
        raise UserError(
            f"{path} begins with a byte-order mark, which would become part of its "
            "first column name. Repeat with --encoding utf-8-sig."
        )
    with path.open(newline="", encoding=encoding) as lines:
        header = next(csv.reader(lines), [])
    return pyarrow.csv.read_csv(
        path,
        read_options=pyarrow.csv.ReadOptions(encoding=encoding),
        # As text, so that a wrong value can be shown as it stands in the file.
        convert_options=pyarrow.csv.ConvertOptions(
            column_types=dict.fromkeys(header, pyarrow.string()),
            strings_can_be_null=True,
            null_values=["", "NULL", "null", "NaN", "nan"],
        ),
    )


def _load(
    contract: Table, files: list[Path], encoding: str, minutes: str
) -> tuple[pyarrow.Table, list[Violation]]:
    """The files united by column name, contract columns typed, others as they are.

    Values of a wrong type become NULL and a violation.
    """
    with duckdb.connect() as connection:
        for number, file in enumerate(files):
            connection.register(f"file_{number}", read(file, encoding))
        connection.execute(
            "create table given as "
            + " union all by name ".join(
                f"from file_{number}" for number in range(len(files))
            )
        )
        described = connection.sql("describe given").fetchall()
        given = {name: kind for name, kind, *_ in described}
        types = {c.name: c.type for c in contract.columns if c.name in given}
        # Outside the contract, yet it tells whether game_id is the right way round.
        flag = {"home_flag": "bool"} if "home_flag" in given else {}
        typed = {
            name: _cast(name, given[name], kind, minutes)
            for name, kind in (types | flag).items()
        }
        problems = []
        key = [
            f"coalesce(cast({name} as varchar), '')"
            for name in contract.key
            if name in given
        ]
        for name, kind in types.items():
            ((count, where, value),) = connection.sql(
                f"""select count(*), first(concat_ws(' ', {", ".join(key) or "''"})),
                    first(cast("{name}" as varchar)) from given
                where "{name}" is not null and ({typed[name]}) is null
                    and cast("{name}" as varchar) <> 'nan'"""
            ).fetchall()
            if count:
                shown = f"{where}: {name} = {value!r}"
                rule, step = f"not {kind}", contracts.REPAIR
                if name == "minutes_played" and ":" in value:
                    rule, step = "text MM:SS", "Repeat with --minutes mm:ss."
                problems.append(
                    Violation(contract.name, rule, name, count, shown, step)
                )
        chosen = ", ".join(
            f'{typed.get(n, chr(34) + n + chr(34))} as "{n}"' for n in given
        )
        united = connection.sql(f"select {chosen} from given").to_arrow_table()
        return united, problems


def _cast(name: str, given: str, kind: str, minutes: str) -> str:
    """SQL that is NULL where the column does not hold the type of the contract."""
    column = f'"{name}"'
    if given in ("FLOAT", "DOUBLE"):
        # pandas writes a missing number as NaN
        column = f"case when not isnan({column}) then {column} end"
    if name == "minutes_played" and minutes == "mm:ss":
        return (
            f"case when regexp_full_match({column}, '{MINUTES_TEXT}') then "
            f"cast(split_part({column}, ':', 1) as double) "
            f"+ cast(split_part({column}, ':', 2) as double) / 60 end"
        )
    cast = f"try_cast({column} as {SQL_TYPES[kind]})"
    if kind == "int64":
        # a cast alone would round 12.5 to 13
        return f"case when try_cast({column} as double) = {cast} then {cast} end"
    if kind == "timestamp":
        # DuckDB would drop an offset without a word
        text = f"cast({column} as varchar)"
        return (
            f"case when not regexp_matches({text}, '{OFFSET}') "
            f"or regexp_matches({text}, '[+-]00(:?00)?$') then {cast} end"
        )
    return cast


def _frame(data: pyarrow.Table, contract: Table) -> pd.DataFrame:
    names = [c.name for c in contract.columns] + ["home_flag"]
    chosen = data.select([name for name in data.column_names if name in names])
    return chosen.to_pandas(types_mapper=pd.ArrowDtype)


def _last_noon(loaded: dict[str, pyarrow.Table]) -> str:
    """Noon of the last date with a regular-season box score."""
    data = loaded.get("player_game_summary")
    if data is None:
        raise UserError(
            "--frozen-clock takes the date from player_game_summary, which is not "
            "among the files. Add it, or leave --frozen-clock out."
        )
    regular = (
        "where coalesce(season_type, 'regular') = 'regular'"
        if "season_type" in data.column_names
        else ""
    )
    last = duckdb.sql(f"select max(game_date) from data {regular}").fetchall()[0][0]
    if last is None:
        raise UserError(
            "--frozen-clock needs a regular-season game, and season_type is playoffs "
            "on every row. Add the regular season, or leave --frozen-clock out."
        )
    return f"{last}T12:00:00"


def _inspect(
    contract: Table, files: list[Path], encoding: str, now: datetime
) -> Inspection:
    data, problems = _load(contract, files, encoding, "decimal")
    frame = _frame(data, contract)
    broken = [*problems, *contracts.violations(frame, contract, now)]
    names = data.column_names
    absent = [c for c in contract.columns if c.name not in names]
    known = {c.name for c in contract.columns}
    dates = frame["game_date"].dropna() if "game_date" in frame else frame.iloc[:0, 0]
    key = [name for name in contract.key if name in frame]
    nulls, constants = _shares(data)
    return Inspection(
        table=contract.name,
        required=contract.required,
        files=tuple(file.name for file in files),
        rows=data.num_rows,
        bytes=sum(file.stat().st_size for file in files),
        first_date=str(dates.min()) if len(dates) else None,
        last_date=str(dates.max()) if len(dates) else None,
        found=tuple(name for name in names if name in known),
        missing_required=tuple(c.name for c in absent if c.required),
        missing=tuple(c.name for c in absent),
        extra=tuple(name for name in names if name not in known),
        duplicate_keys=int(frame.duplicated(key).sum()) if key else 0,
        null_rates=nulls,
        constants=constants,
        violations=tuple(broken),
    )


def _shares(
    data: pyarrow.Table,
) -> tuple[tuple[ColumnShare, ...], tuple[ColumnShare, ...]]:
    """Null rates on played rows, and columns with a single value, per season."""
    names = [name for name in data.column_names if name != "season_year"]
    season = "season_year" if "season_year" in data.column_names else "null"
    played = "minutes_played > 0" if "minutes_played" in names else "true"
    measures = ", ".join(
        f"""avg(cast("{name}" is null as int)) filter ({played}),
        case when count("{name}") > 1
            and min(cast("{name}" as varchar)) = max(cast("{name}" as varchar))
        then min(cast("{name}" as varchar)) end"""
        for name in names
    )
    rows = duckdb.sql(f"select {season}, {measures} from data group by 1 order by 1")
    nulls, constants = [], []
    for year, *values in rows.fetchall():
        for name, rate, only in zip(names, values[::2], values[1::2], strict=True):
            if rate:
                nulls.append(ColumnShare(name, year, round(rate, 4)))
            if only is not None:
                constants.append(ColumnShare(name, year, only))
    return tuple(nulls), tuple(constants)
