"""The proof of no leakage.

1. Future invariance. For chosen dates D the feature store is built from all inputs,
   and again from inputs that differ only in what nobody knows on the morning of D.
   Every feature of every game up to D is the same, bit for bit, and every player
   who was to be expected on D is there. What follows from who plays on D is the same
   where a report named exactly those who then played, and NULL without a report.
2. Independent oracle. dbt tests recompute sampled games by as-of joins.
3. Mutation. Leaks that others have shipped are planted in a copy of the project,
   and the guard named beside each one has to catch it.

The first two run on a small made-up league, or on real data:

    NBA_ML_PROVE_DATA=<folder> pytest python/tests/test_leakage.py -v

where <folder> holds player_game_summary*.parquet. The schedule is derived from it;
availability reports and composite factors, which real data may lack, are made up
for a part of the players, since only their moment matters here.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from pathlib import Path

import duckdb
import numpy as np
import pytest

import small_league
from dbt_project import STORE, DbtProject

PROVE = os.environ.get("NBA_ML_PROVE_DATA")
MOMENTS = ("mid_season", "season_opener", "after_the_break", "last_date")
CHANGES = ("removed", "nonsense", "later_altered")

ORACLE = "assert_feature_store_v1__agrees_with_as_of_oracle"
TEAM_ORACLE = "assert_feature_store_v1__agrees_with_as_of_oracle_of_teams"
ORACLE_2 = "assert_feature_store_v2__agrees_with_as_of_oracle"
ROTATIONS = f"{ORACLE_2}_of_rotations"
CHANGES_OF_LOAD = f"{ORACLE_2}_of_changes"
LINE_UPS = f"{ORACLE_2}_of_line_ups"
ORACLES = {
    "v1": (ORACLE, TEAM_ORACLE),
    "v2": (ORACLE_2, ROTATIONS, CHANGES_OF_LOAD, LINE_UPS),
}
SHARED = "assert_feature_store__versions_share_values"
POST_GAME = "no_post_game_column_feature_store_v1_"
POST_GAME_2 = "no_post_game_column_feature_store_v2_"
LAST_5 = "assert_training_set__last_5_is_no_outcome"
FUTURE = "future invariance"


# ---------------------------------------------------------------- inputs


def write_inputs(raw: Path, with_reports: bool, is_real: bool) -> None:
    """All sources of one history, complete to its end."""
    raw.mkdir(parents=True)
    connection = duckdb.connect()
    if is_real:
        files = f"{PROVE}/player_game_summary*.parquet"
        connection.execute(
            "create view box_scores as"
            f" select * from read_parquet('{files}', union_by_name = true)"
        )
    else:
        connection.register("box_scores", small_league.box_scores())
    tables = {
        "player_game_summary": "select * from box_scores",
        # a schedule is published long before the season
        "game_schedule": """
            select
                game_id,
                min(game_date) as game_date,
                substr(game_id, 14, 3) as home_team_abbr,
                substr(game_id, 10, 3) as away_team_abbr,
                min(season_year) as season_year,
                min(season_type) as season_type
            from box_scores
            group by game_id
        """,
    }
    if with_reports:
        tables |= REPORTS
    for name, query in tables.items():
        connection.execute(f"copy ({query}) to '{raw / name}.parquet'")
    connection.close()


REPORTS = {
    "player_composite_factors": """
        select
            player_lookup,
            game_id,
            game_date,
            35 + hash(game_id, player_lookup) % 66 as fatigue_score,
            hash(player_lookup, game_id) % 200 / 10.0 - 10
                as shot_zone_mismatch_score,
            hash(game_id, 'pace') % 60 / 10.0 - 3 as pace_score,
            hash(game_date, player_lookup) % 60 / 10.0 - 3 as usage_spike_score
        from box_scores
        where hash(player_lookup, game_date) % 5 = 0
    """,
    # a third of the teams publish full lists, a third absences only; doubts are
    # settled on the day, and the truth is printed once more the day after
    "player_availability": """
        select
            box_scores.game_id,
            box_scores.player_lookup,
            box_scores.team_abbr,
            case
                when days.later < 0 then 'questionable'
                when box_scores.minutes_played > 0 then 'expected'
                else 'out'
            end as status,
            box_scores.game_date + interval 10 hour
            + days.later * interval 24 hour as known_at
        from box_scores
        cross join (values (-1), (0), (1)) as days(later)
        where
            hash(box_scores.team_abbr) % 3 = 0
            or (
                hash(box_scores.team_abbr) % 3 = 1
                and not coalesce(box_scores.minutes_played > 0, false)
            )
    """,
}


def _drawn(salt: str, low: int, count: int) -> str:
    """SQL for a whole number that depends on nothing but the row's key."""
    return f"{low} + hash(game_id, player_lookup, '{salt}') % {count}"


MAKES, THREES = _drawn("makes", 20, 20), _drawn("threes", 0, 10)
FREE, ATTEMPTS = _drawn("free", 0, 8), _drawn("attempts", 50, 15)
# Absurd numbers that no check of the contract would refuse.
ABSURD_OUTCOMES = {
    "minutes_played": _drawn("minutes", 1, 70),
    "points": f"2 * ({MAKES}) + ({THREES}) + ({FREE})",
    "offensive_rebounds": _drawn("rebounds", 0, 30),
    "turnovers": _drawn("turnovers", 0, 20),
    "fg_attempts": ATTEMPTS,
    "fg_makes": MAKES,
    "three_pt_attempts": "12",
    "three_pt_makes": THREES,
    "ft_attempts": "10",
    "ft_makes": FREE,
    "paint_attempts": f"({ATTEMPTS}) - 17",
    "paint_makes": _drawn("paint", 0, 30),
    "mid_range_attempts": "5",
    "mid_range_makes": _drawn("mid", 0, 5),
    "assisted_fg_makes": _drawn("assisted", 0, 15),
    "unassisted_fg_makes": _drawn("alone", 0, 15),
    "usage_rate": _drawn("usage", 0, 100),
}
# Where nothing has to stay, benched players play, playoffs count as the regular
# season, and players change sides.
SIDE = "hash(player_lookup, game_id, 'side') % 2 = 0"
ABSURD_FUTURE = ABSURD_OUTCOMES | {
    "is_active": "true",
    "season_type": "'regular'",
    "team_abbr": f"case when {SIDE} then opponent_team_abbr else team_abbr end",
    "opponent_team_abbr": (
        f"case when {SIDE} then team_abbr else opponent_team_abbr end"
    ),
}
ABSURD_FACTORS = {
    "fatigue_score": "36",
    "shot_zone_mismatch_score": "9.5",
    "pace_score": "2.5",
    "usage_spike_score": "-2.5",
}
ABSURD_REPORTS = {"status": "case status when 'out' then 'expected' else 'out' end"}


def write_changed(raw: Path, target: Path, change: str, day: date) -> None:
    """The inputs of `raw` with what is unknown on the morning of `day` changed.

    removed: box scores from `day` on are gone; nonsense: they are absurd;
    later_altered: those after `day` are, and on `day` the outcomes of who played.
    Reports and factors of `day` stay: they are known at tip-off. What came later is
    gone or absurd too.
    """
    target.mkdir(parents=True)
    connection = duckdb.connect()

    def write(name: str, *edits: tuple[str, dict[str, str]], where: str = "true"):
        source = raw / f"{name}.parquet"
        if not source.exists():
            return
        query = f"select * from read_parquet('{source}') where {where}"
        for condition, values in edits:
            types = dict(
                row[:2] for row in connection.execute(f"describe {query}").fetchall()
            )
            replaced = ", ".join(
                f"case when {condition} then cast({value} as {types[column]})"
                f" else {column} end as {column}"
                for column, value in values.items()
                if column in types
            )
            query = f"select * replace ({replaced}) from ({query})"
        connection.execute(f"copy ({query}) to '{target / name}.parquet'")

    today, later = f"game_date = date '{day}'", f"game_date > date '{day}'"
    reported_later = f"cast(known_at as date) > date '{day}'"
    write("game_schedule")
    if change == "removed":
        write("player_game_summary", where=f"game_date < date '{day}'")
        write("player_composite_factors", where=f"not {later}")
        write("player_availability", where=f"not {reported_later}")
    else:
        today_too = (
            (today, ABSURD_FUTURE)
            if change == "nonsense"
            else (f"{today} and minutes_played > 0", ABSURD_OUTCOMES)
        )
        write("player_game_summary", today_too, (later, ABSURD_FUTURE))
        write("player_composite_factors", (later, ABSURD_FACTORS))
        write("player_availability", (reported_later, ABSURD_REPORTS))
    connection.close()


def moments(raw: Path) -> dict[str, date]:
    """The dates to cut at: three in the newest season, one in the middle one."""
    days: dict[int, list[date]] = {}
    for season, day in duckdb.execute(
        f"select distinct season_year, game_date from '{raw}/game_schedule.parquet'"
        " where season_type = 'regular' order by 1, 2"
    ).fetchall():
        days.setdefault(season, []).append(day)
    newest, middle = days[max(days)], days[sorted(days)[len(days) // 2]]
    pauses = np.diff(np.array(newest, dtype="datetime64[D]"))
    chosen = {
        "mid_season": middle[len(middle) // 2],
        "season_opener": newest[0],
        "after_the_break": newest[int(pauses.argmax()) + 1],
        "last_date": newest[-1],
    }
    assert len(set(chosen.values())) == len(MOMENTS)
    return chosen


def noon(day: date) -> str:
    return datetime.combine(day, time(12)).isoformat()


# ---------------------------------------------------------------- comparison


@dataclass(frozen=True)
class Comparison:
    """What two feature stores hold on the games up to one date."""

    rows: int
    rows_of_the_day: int
    lost: int
    added: int
    differing: dict[str, int]

    @property
    def is_equal(self) -> bool:
        return not (self.lost or self.added or self.differing)


@dataclass(frozen=True)
class Words:
    """Game and team of the reports that named exactly those who then played, and of
    those that did not: an absences-only list knows no newcomer."""

    true: set[tuple[str, str]]
    wrong: set[tuple[str, str]]


@dataclass
class Laboratory:
    """One history, its changed versions, and the feature stores built from them."""

    project: DbtProject
    root: Path
    with_reports: bool = True
    is_real: bool = bool(PROVE)
    stores: dict[tuple[str, date], Path] = field(default_factory=dict)

    def __post_init__(self) -> None:
        write_inputs(self.raw, self.with_reports, self.is_real)
        self.moments = moments(self.raw)
        games = self.raw / "game_schedule.parquet"
        (last,) = duckdb.execute(f"select max(game_date) from '{games}'").fetchone()
        self.end = last + timedelta(days=30)

    @property
    def raw(self) -> Path:
        return self.root / "complete" / "raw"

    def complete(self) -> Path:
        """The home built from everything, with the clock after all of it."""
        return self.built("complete", self.end)

    def changed(self, change: str, day: date) -> Path:
        """The home built from changed inputs."""
        return self.built(change, day)

    def is_ahead(self, change: str) -> bool:
        """Whether the games of the date are still to come."""
        return change in ("removed", "nonsense")

    def clock(self, change: str, day: date) -> str:
        return noon(day if self.is_ahead(change) else self.end)

    def built(self, change: str, day: date) -> Path:
        if (change, day) not in self.stores:
            home = self.root / (f"{change}_{day}" if change in CHANGES else change)
            if change in CHANGES:
                write_changed(self.raw, home / "raw", change, day)
            self.project.build(home, self.clock(change, day))
            self.stores[change, day] = home
        return self.stores[change, day]

    def expected(self, day: date) -> set[tuple[str, str, str]]:
        """Game, team and player of everybody who is to be expected on `day`.

        Written apart from the models: the last report of the day or before, and
        where the team has no list, who last played for it in its last 10 games.
        """
        query = f"""
            with games as (
                select
                    game_id,
                    unnest([home_team_abbr, away_team_abbr]) as team_abbr
                from '{self.raw}/game_schedule.parquet'
                where game_date = date '{day}'
            ),
            reports as (
                select game_id, player_lookup, arg_max(status, known_at) as status,
                    any_value(team_abbr) as team_abbr
                from ({self._reports(day)})
                group by all
            ),
            lists as (
                select distinct game_id, team_abbr from reports
                where status = 'expected'
            ),
            played as (
                select * from '{self.raw}/player_game_summary.parquet'
                where minutes_played > 0 and game_date < date '{day}'
            ),
            team_days as (
                select team_abbr, list(distinct game_date order by game_date desc)
                    [:10] as days
                from played group by team_abbr
            ),
            last_days as (
                select player_lookup, max(game_date) as last_day,
                    arg_max(team_abbr, game_date) as team_abbr
                from played group by player_lookup
            )
            select game_id, team_abbr, player_lookup
            from games join reports using (game_id, team_abbr)
            where status <> 'out'
            union
            select games.game_id, team_abbr, last_days.player_lookup
            from games
            join last_days using (team_abbr)
            join team_days using (team_abbr)
            where list_contains(days, last_day)
                and (game_id, team_abbr) not in (from lists)
                and (game_id, player_lookup) not in (
                    select (game_id, player_lookup) from reports
                )
        """
        return set(duckdb.execute(query).fetchall())

    def _reports(self, day: date) -> str:
        """SQL of what the reports said until `day`."""
        if self.with_reports:
            reports = f"select * from '{self.raw}/player_availability.parquet'"
            return f"{reports} where cast(known_at as date) <= date '{day}'"
        columns = ("game_id", "player_lookup", "team_abbr", "status", "known_at")
        return f"select {', '.join(f'null as {c}' for c in columns)} where false"

    def played(self, day: date) -> set[tuple[str, str, str]]:
        """Game, team and player of everybody who played on `day`."""
        return set(
            duckdb.execute(
                "select game_id, team_abbr, player_lookup"
                f" from '{self.raw}/*summary.parquet'"
                f" where game_date = date '{day}' and minutes_played > 0"
            ).fetchall()
        )

    def words(self, day: date) -> Words:
        """What the reports were worth on `day`."""
        reported = set(
            duckdb.execute(
                f"select distinct game_id, team_abbr from ({self._reports(day)})"
                f" where starts_with(game_id, '{day:%Y%m%d}')"
            ).fetchall()
        )
        wrong = {row[:2] for row in self.expected(day) ^ self.played(day)}
        return Words(true=reported - wrong, wrong=reported & wrong)


def held(home: Path, day: date) -> list[tuple[str, str, str]]:
    """Game, team and player of the store's rows of one date."""
    with duckdb.connect(str(home / "warehouse.duckdb"), read_only=True) as connection:
        return connection.execute(
            "select game_id, team_abbr, player_lookup from nba_ml.feature_store_v1"
            " where game_date = ?",
            [day],
        ).fetchall()


def sources(home: Path, day: date) -> dict[tuple[str, str], str]:
    """From where the store knows who plays, by game and team, on one date."""
    with duckdb.connect(str(home / "warehouse.duckdb"), read_only=True) as connection:
        rows = connection.execute(
            "select distinct game_id, team_abbr, availability_source"
            " from nba_ml.feature_store_v2 where game_date = ?",
            [day],
        ).fetchall()
    assert len(rows) == len({row[:2] for row in rows})
    return {(game, team): source for game, team, source in rows}


def refused(home: Path) -> int:
    """How many box scores break the contract, those after the clock too."""
    with duckdb.connect(str(home / "warehouse.duckdb"), read_only=True) as connection:
        return connection.execute(
            "select count(rejection_reason) from nba_ml.base_player_game_summary"
        ).fetchone()[0]


def compare(
    one: Path, other: Path, until: date, project: DbtProject, words: Words | None = None
) -> Comparison:
    """Compare two builds of the stores on all games up to a date, its own included.

    Rows of the date itself may lack on either side: who is expected is not always who
    plays. Values are compared by their bits, not by their size.

    `words` says what the reports were worth where the date's games are still to come
    in `other`. Then what follows from who plays has to be NULL there for a team that no
    report covers, and the same for one whose report named exactly those who then
    played. Of a team whose report was wrong, those features alone are not compared.
    """
    features, available = project.features(), project.features("availability")
    versions = sorted({name.split(".")[0] for name in features})
    others = ("games_played_prior", "composite_source", "team_abbr")
    names = [*features, *(f"v1.{name}" for name in others)]
    # the versions side by side; a row that one of them lacks is missing from all
    store = " join ".join(
        f"{{0}}_file.nba_ml.feature_store_{version} as {version}"
        + ("" if version == "v1" else " using (game_id, player_lookup)")
        for version in versions
    )
    columns = ", ".join(f'{name} as "{name}"' for name in names)
    connection = duckdb.connect()
    for alias, home in (("one", one), ("other", other)):
        connection.execute(
            f"attach '{home / 'warehouse.duckdb'}' as {alias}_file (read_only);"
            f"create view {alias} as select game_id, player_lookup, v1.game_date,"
            f" {columns} from {store.format(alias)}"
            f" where v1.game_date <= date '{until}'"
        )
    common = "from one join other using (game_id, player_lookup)"
    sides = [
        connection.execute(
            "select " + ", ".join(f'{alias}."{name}"' for name in names) + f" {common}"
            " order by game_id, player_lookup"
        ).fetchnumpy()
        for alias in ("one", "other")
    ]
    teams = connection.execute(
        f"select game_id, other.\"v1.team_abbr\", one.game_date = date '{until}'"
        f" {common} order by game_id, player_lookup"
    ).fetchall()
    before = f"game_date < date '{until}'"
    key = "game_id, player_lookup"
    lost, added = (
        connection.execute(
            f"select count(*) from (select {key} from {a} where {before}"
            f" except all select {key} from {b} where {before})"
        ).fetchone()[0]
        for a, b in (("one", "other"), ("other", "one"))
    )
    connection.close()
    is_of_the_day = np.array([today for *_, today in teams])
    if words:
        told = np.array([(game, team) in words.true for game, team, _ in teams])
        wrong = np.array([(game, team) in words.wrong for game, team, _ in teams])
        silent = is_of_the_day & ~told & ~wrong
        for name in available:
            # nothing is known: NULL is what is right, whatever came of the game
            sides[0][name] = np.ma.array(sides[0][name], copy=True)
            sides[0][name][silent] = np.ma.masked
            sides[0][name], sides[1][name] = (s[name][~wrong] for s in sides)
    counts = {name: _differing(sides[0][name], sides[1][name]) for name in names}
    return Comparison(
        rows=len(teams),
        rows_of_the_day=int(is_of_the_day.sum()),
        lost=lost,
        added=added,
        differing={name: count for name, count in counts.items() if count},
    )


def _differing(one: np.ndarray, other: np.ndarray) -> int:
    assert one.dtype == other.dtype, (one.dtype, other.dtype)
    is_null = np.ma.getmaskarray(one), np.ma.getmaskarray(other)
    values = [np.ma.getdata(one), np.ma.getdata(other)]
    if one.dtype.kind == "f":
        values = [np.ascontiguousarray(column).view(np.int64) for column in values]
    unequal = (values[0] != values[1]) & ~is_null[0] & ~is_null[1]
    return int(np.count_nonzero(unequal | (is_null[0] != is_null[1])))


# ---------------------------------------------------------------- fixtures


@pytest.fixture(scope="module")
def laboratory(
    project: DbtProject, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Laboratory]:
    root = tmp_path_factory.mktemp("laboratory")
    yield Laboratory(project, root)
    shutil.rmtree(root)


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str]):
    """Print through pytest when the proof was asked for; stay silent in the suite."""

    def print_it(text: str) -> None:
        if PROVE:
            with capsys.disabled():
                print(f"\n    {text}", end=" ")

    return print_it


# ---------------------------------------------------------------- the proof


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("moment", MOMENTS)
def test_the_future_changes_no_feature(
    laboratory: Laboratory, moment: str, change: str, say
) -> None:
    project, day = laboratory.project, laboratory.moments[moment]
    complete, changed = laboratory.complete(), laboratory.changed(change, day)
    words = laboratory.words(day) if laboratory.is_ahead(change) else None

    found = compare(complete, changed, day, project, words)
    assert sum(name.startswith("v1.") for name in project.features()) == 25
    assert found.rows > found.rows_of_the_day > 20
    assert found.is_equal, found
    # what the contract refuses would not be there to leak
    assert refused(changed) == refused(complete)
    say(f"{day}: {found.rows:,} rows, {found.rows_of_the_day} of the day, equal")
    if words:
        known = sources(changed, day)
        reported = {team for team, source in known.items() if source == "report"}
        assert reported == words.true | words.wrong
        assert set(known.values()) <= {"report", "none"}
        assert set(sources(complete, day).values()) == {"box_score"}
        silent = len(known) - len(reported)
        say(f"reports: {len(words.true)} true, {len(words.wrong)} wrong, {silent} none")


def test_some_reports_are_true_and_some_teams_have_none(
    laboratory: Laboratory,
) -> None:
    """Else nothing that follows from who plays would have been compared."""
    days = [laboratory.moments[moment] for moment in MOMENTS]
    words = [laboratory.words(day) for day in days]
    teams = {row[:2] for day in days for row in laboratory.played(day)}
    true = {team for one in words for team in one.true}
    wrong = {team for one in words for team in one.wrong}
    assert len(true) > 3
    assert len(teams - true - wrong) > 3


def test_what_was_altered_shows_later(laboratory: Laboratory) -> None:
    """The comparison sees the alterations as soon as they are allowed to count."""
    day = laboratory.moments["mid_season"]
    week = day + timedelta(days=7)
    altered = laboratory.changed("later_altered", day)
    found = compare(laboratory.complete(), altered, week, laboratory.project)
    blind = {name for name in laboratory.project.features() if "is_home" in name}
    assert set(laboratory.project.features()) - set(found.differing) <= blind


@pytest.mark.parametrize("moment", MOMENTS)
def test_every_expected_player_is_there(
    laboratory: Laboratory, moment: str, say
) -> None:
    day = laboratory.moments[moment]
    expected, played = laboratory.expected(day), laboratory.played(day)
    say(
        f"{day}: {len(expected)} expected, {len(played)} played,"
        f" {len(played & expected)} of them expected"
    )
    # the unexpected who played are newcomers, whom no report names
    assert len(played & expected) > 0.5 * len(played) > 10
    for change in ("removed", "nonsense"):
        rows = held(laboratory.changed(change, day), day)
        assert len(rows) == len(set(rows))
        assert set(rows) == expected


def test_with_box_scores_alone(project: DbtProject, tmp_path: Path, say) -> None:
    """Without reports and factors of the user everything comes from box scores."""
    bare = Laboratory(project, tmp_path, with_reports=False)
    day = bare.moments["mid_season"]
    cut = bare.changed("removed", day)
    found = compare(bare.complete(), cut, day, project, bare.words(day))
    assert found.rows > found.rows_of_the_day > 20
    assert found.is_equal, found
    assert set(held(cut, day)) == bare.expected(day)
    say(f"{day}: {found.rows:,} rows, {found.rows_of_the_day} of the day, equal")


def test_the_tests_of_the_project_agree(laboratory: Laboratory) -> None:
    for change, day in (
        ("complete", laboratory.end),
        ("nonsense", laboratory.moments["mid_season"]),
    ):
        home = laboratory.built(change, day)
        clock = laboratory.clock(change, day)
        assert not laboratory.project.failed_tests(home, clock, *GUARDS)


def test_the_oracle_knows_every_feature(project: DbtProject) -> None:
    """Once in its version's oracle, or by the one before it, whose value it shares."""
    known: set[str] = set()
    for version, oracles in ORACLES.items():
        texts = [
            (project.root / f"tests/features/{o}.sql").read_text() for o in oracles
        ]
        listed = "".join(text.split("oracle_differences([")[1] for text in texts)
        names = [name for name in project.features() if name.startswith(f"{version}.")]
        names = {name.split(".")[1] for name in names}
        assert {name: listed.count(f"'{name}'") for name in names - known} == (
            dict.fromkeys(names - known, 1)
        )
        known |= names
    assert len(known) == 25 + 52


def test_an_oracle_without_a_sample_fails(laboratory: Laboratory) -> None:
    nothing = ("macros/oracle_sample.sql", "drawn.place\n        <= case", "0 > case")
    oracles = [name for names in ORACLES.values() for name in names]
    home = laboratory.complete()
    clock = noon(laboratory.end)
    with laboratory.project.planted(nothing):
        caught = laboratory.project.failed_tests(home, clock, *oracles)
    assert caught == set(oracles)


# ---------------------------------------------------------------- planted leaks


@dataclass(frozen=True)
class Leak:
    """One mistake, as (file, old text, new text), and the guards that catch it."""

    changes: tuple[tuple[str, str, str], ...]
    caught_by: frozenset[str]
    store: str

    @property
    def select(self) -> list[str]:
        """What the changes can alter, as a selection for dbt."""
        files = [Path(name) for name, _, _ in self.changes]
        if any("macros" in file.parts for file in files):
            return [self.store]
        models = dict.fromkeys(file.stem for file in files if file.suffix == ".sql")
        return [f"{model}+,{self.store}" for model in models]


FEATURES = "models/features"
FORM = f"{FEATURES}/int_player_form.sql"
GAMES = f"{FEATURES}/int_player_games.sql"
TEAM_FORM = f"{FEATURES}/int_team_form.sql"
ROLES = f"{FEATURES}/int_player_roles.sql"
GUARDS = (*ORACLES["v1"], *ORACLES["v2"], SHARED, POST_GAME, POST_GAME_2, LAST_5)


def leak(
    *changes: tuple[str, str, str], caught_by: tuple[str, ...], store: str = STORE
) -> Leak:
    return Leak(changes, frozenset(caught_by), store)


LEAKS = {
    "window_ends_at_the_current_row": leak(
        (
            "macros/prior_frame.sql",
            "preceding and 1 preceding",
            "preceding and current row",
        ),
        caught_by=(*ORACLES["v1"], *ORACLES["v2"], LAST_5, FUTURE),
    ),
    "prior_games_counted_with_the_game_itself": leak(
        (
            GAMES,
            "over ({{ prior_days('unbounded') }}) as games_played_prior",
            "over (partition by player_lookup order by game_day) as games_played_prior",
        ),
        caught_by=(ORACLE, *ORACLES["v2"], FUTURE),
    ),
    "season_mean_without_a_frame": leak(
        (
            FORM,
            "avg(points) over ({{ prior_games_this_season() }})",
            "avg(points) over (partition by player_lookup, season_year)",
        ),
        caught_by=(ORACLE, FUTURE),
    ),
    "season_mean_of_usage_without_a_frame": leak(
        (
            FORM,
            "mean_over('usage_rate', prior_games_this_season())",
            "mean_over('usage_rate', 'partition by player_lookup, season_year')",
        ),
        caught_by=(ORACLE, ORACLE_2, FUTURE),
    ),
    "last_10_ranked_once_from_the_end": leak(
        (
            FORM,
            "select * from {{ ref('int_player_games') }}",
            "select *, row_number() over (partition by player_lookup"
            " order by points is null, game_day desc) as recency"
            " from {{ ref('int_player_games') }}",
        ),
        (
            FORM,
            "avg(points) over ({{ prior_games(10) }})",
            "avg(case when recency <= 10 then points end)"
            " over (partition by player_lookup)",
        ),
        caught_by=(ORACLE, FUTURE),
    ),
    "opponent_rating_of_the_whole_season": leak(
        (
            TEAM_FORM,
            "mean_over('defensive_rating', prior_games(15, entity=['team_abbr']))",
            "mean_over('defensive_rating', 'partition by team_abbr, season_year')",
        ),
        caught_by=(TEAM_ORACLE, FUTURE),
    ),
    "team_rating_of_the_game_itself": leak(
        (
            TEAM_FORM,
            "mean_over('offensive_rating', prior_games(10, entity=['team_abbr']))",
            "mean_over('offensive_rating', 'partition by team_abbr, game_id')",
        ),
        caught_by=(TEAM_ORACLE, FUTURE),
    ),
    "zone_games_with_the_game_itself": leak(
        (
            f"{FEATURES}/int_player_shot_profile.sql",
            "over ({{ prior_zone_games(10) }})",
            "over (partition by player_lookup order by zone_games_prior"
            " range between 9 preceding and current row)",
        ),
        caught_by=(ORACLE, FUTURE),
    ),
    "league_zones_of_the_day_itself": leak(
        (
            f"{FEATURES}/int_league_zones.sql",
            "{{ prior_days(30, entity=none) }}",
            "order by game_day range between 30 preceding and current row",
        ),
        caught_by=(TEAM_ORACLE, FUTURE),
    ),
    "matchups_of_later_games": leak(
        (
            FORM,
            "{{ prior_days(1095, entity=['player_lookup', 'opponent_team_abbr']) }}",
            "partition by player_lookup, opponent_team_abbr",
        ),
        caught_by=(ORACLE, FUTURE),
    ),
    "staging_reads_the_day_of_the_clock": leak(
        (
            "models/staging/stg_player_game_summary.sql",
            "and game_date < {{ as_of_date() }}",
            "and game_date <= {{ as_of_date() }}",
        ),
        # who is played and expected at once is doubled by each of the models that the
        # store joins: by so many in version 2 that its rows would fill the memory
        store="+training_set.v1",
        caught_by=(FUTURE,),
    ),
    "reports_after_tip_off_count": leak(
        (
            "models/staging/stg_player_availability.sql",
            "reports.known_at <= games.tip_off_at\n        or (",
            "true\n        or (",
        ),
        caught_by=(FUTURE,),
    ),
    # not the future, but rows that do not belong: only the oracle can tell
    "playoff_games_enter_windows": leak(
        (
            GAMES,
            "box_scores.season_type = 'regular'\n        and not box_scores.is_partial",
            "not box_scores.is_partial",
        ),
        caught_by=(ORACLE, *ORACLES["v2"]),
    ),
    "games_that_are_not_final_enter_windows": leak(
        (
            GAMES,
            "box_scores.season_type = 'regular'\n        and not box_scores.is_partial",
            "box_scores.season_type = 'regular'",
        ),
        caught_by=(ORACLE, ORACLE_2, ROTATIONS, LINE_UPS),
    ),
    "did_not_play_rows_enter_windows": leak(
        (GAMES, "where box_scores.is_played", "where true"),
        caught_by=(ORACLE, *ORACLES["v2"]),
    ),
    "minutes_of_the_game_are_a_column": leak(
        (
            f"{FEATURES}/feature_store_v1.sql",
            "        player_games.games_played_prior,\n",
            "        player_games.games_played_prior,\n"
            "        player_games.minutes_played,\n",
        ),
        (
            f"{FEATURES}/feature_store_v1.sql",
            "        composite_source,\n\n        ---------- features\n",
            "        composite_source,\n"
            "        cast(minutes_played as double) as minutes_played,\n",
        ),
        (
            f"{FEATURES}/_feature_store__models.yml",
            "Does not change any more, by a bit.\n",
            "Changes.\n        columns:\n          - include: all\n"
            "          - {name: minutes_played, data_type: *float}\n",
        ),
        caught_by=(POST_GAME,),
    ),
    "minutes_of_the_game_are_a_column_of_version_2": leak(
        (
            f"{FEATURES}/feature_store_v2.sql",
            "        player_games.games_played_prior,\n",
            "        player_games.games_played_prior,\n"
            "        player_games.minutes_played,\n",
        ),
        (
            f"{FEATURES}/feature_store_v2.sql",
            "        availability_source,\n\n        ---------- features\n",
            "        availability_source,\n"
            "        cast(minutes_played as double) as minutes_played,\n",
        ),
        (
            f"{FEATURES}/_feature_store__models.yml",
            "          - name: availability_source\n",
            "          - {name: minutes_played, data_type: *float}\n"
            "          - name: availability_source\n",
        ),
        caught_by=(POST_GAME_2,),
    ),
    "a_shared_feature_is_another_in_version_2": leak(
        (
            f"{FEATURES}/feature_store_v2.sql",
            "form.points_avg_last_5,",
            "coalesce(player_games.points, form.points_avg_last_5)"
            " as points_avg_last_5,",
        ),
        caught_by=(SHARED, LAST_5, FUTURE),
    ),
    "pairs_with_the_game_itself": leak(
        (
            "macros/is_prior_game.sql",
            "{{ target }}.games_played_prior - 1",
            "{{ target }}.games_played_prior",
        ),
        caught_by=(LINE_UPS, FUTURE),
    ),
    "pairs_with_games_that_do_not_count": leak(
        ("macros/is_prior_game.sql", "{{ earlier }}.is_window_game\n    and ", ""),
        caught_by=(ROTATIONS, LINE_UPS),
    ),
    "exponential_average_of_the_game_itself": leak(
        (
            "macros/exponential_mean.sql",
            "{%- set frame = prior_games(block, entity=entity) -%}",
            "{%- set frame = 'partition by ' ~ entity | join(', ')"
            " ~ ' order by games_played_prior range between '"
            " ~ block ~ ' preceding and current row' -%}",
        ),
        caught_by=(*ORACLES["v2"], FUTURE),
    ),
    "net_rating_of_the_whole_season": leak(
        (
            TEAM_FORM,
            "{{ exponential_mean(\n            "
            "'(offensive_rating - defensive_rating)', 20, entity=['team_abbr']\n"
            "        ) }}",
            "{{ mean_over('(offensive_rating - defensive_rating)',"
            " 'partition by team_abbr, season_year') }}",
        ),
        caught_by=(ORACLE_2, FUTURE),
    ),
    "games_missed_until_the_end_of_the_season": leak(
        (
            f"{FEATURES}/int_player_team_history.sql",
            "prior_games_this_season(entity=['player_lookup', 'team_abbr'])",
            "'partition by player_lookup, team_abbr, season_year'",
        ),
        caught_by=(ORACLE_2, FUTURE),
    ),
    "games_with_the_team_to_come": leak(
        (
            f"{FEATURES}/int_player_team_history.sql",
            "{{ prior_games('unbounded', entity=['player_lookup', 'team_abbr']) }}",
            "partition by player_lookup, team_abbr",
        ),
        caught_by=(ORACLE_2, FUTURE),
    ),
    "loads_of_tonights_minutes": leak(
        (
            f"{FEATURES}/int_rotations.sql",
            "{{ exact('averages.minutes_ewma_5') }}",
            "{{ exact('coalesce(player_games.minutes_played,"
            " averages.minutes_ewma_5)') }}",
        ),
        caught_by=(ROTATIONS, CHANGES_OF_LOAD, LINE_UPS, FUTURE),
    ),
    "loads_of_the_absent_from_later_games": leak(
        (
            f"{FEATURES}/int_rotations.sql",
            "from {{ ref('int_team_game_pairs') }} as pairs",
            """from (
        select
            target.game_id,
            target.team_abbr,
            other.game_id as earlier_game_id,
            abs(target.games_played_prior - other.games_played_prior) as games_back,
            target.season_year = other.season_year as is_same_season
        from {{ ref('int_team_games') }} as target
        inner join {{ ref('int_team_games') }} as other
            on target.team_abbr = other.team_abbr
        where other.is_window_game
    ) as pairs""",
        ),
        caught_by=(ROTATIONS, LINE_UPS, FUTURE),
    ),
    "last_line_up_is_tonights": leak(
        (
            f"{FEATURES}/int_player_last_lineup.sql",
            "last_games.earlier_game_id = rotations.game_id",
            "last_games.game_id = rotations.game_id",
        ),
        caught_by=(ROTATIONS, FUTURE),
    ),
    "form_with_the_last_line_up_counts_tonight": leak(
        (
            f"{FEATURES}/int_last_lineup_distances.sql",
            "        last_game_id as earlier_game_id,\n        1 as",
            "        game_id as earlier_game_id,\n        1 as",
        ),
        caught_by=(LINE_UPS, FUTURE),
    ),
    "change_of_load_from_the_whole_career": leak(
        (
            ROLES,
            "{{ exponential_mean(\n            'case when is_window_game then"
            " minutes_above end',\n            8,"
            " entity=['player_lookup', 'team_abbr']\n        ) }}",
            "avg(case when is_window_game then minutes_above end)"
            " over (partition by player_lookup, team_abbr)",
        ),
        caught_by=(CHANGES_OF_LOAD, FUTURE),
    ),
    "similar_line_ups_weigh_tonights_points": leak(
        (
            "macros/lineup_sums.sql",
            "sum(pairs.likeness * earlier.points)",
            "sum(pairs.likeness * coalesce(player_games.points, earlier.points))",
        ),
        caught_by=(LINE_UPS, FUTURE),
    ),
    "who_plays_is_known_without_a_report": leak(
        (
            f"{FEATURES}/int_availability_sources.sql",
            "when reported.game_id is not null then",
            "when true then",
        ),
        caught_by=(FUTURE,),
    ),
    # who of the bench plays is decided during the game: the report cannot tell
    "the_bench_counts": leak(
        (
            f"{FEATURES}/int_rotations.sql",
            "select * from present\n    where minutes_load"
            " >= {{ var('rotation_minutes') }}",
            "select * from present",
        ),
        caught_by=(ROTATIONS, CHANGES_OF_LOAD, LINE_UPS),
    ),
}


@pytest.fixture(scope="module")
def small_laboratory(
    laboratory: Laboratory, tmp_path_factory: pytest.TempPathFactory
) -> Laboratory:
    """The made-up league: planted leaks need no real data to be seen."""
    if not PROVE:
        return laboratory
    root = tmp_path_factory.mktemp("small_laboratory")
    return Laboratory(laboratory.project, root, is_real=False)


@pytest.mark.parametrize("name", LEAKS)
def test_a_planted_leak_is_caught(
    small_laboratory: Laboratory, tmp_path: Path, name: str, say
) -> None:
    planted, project = LEAKS[name], small_laboratory.project
    day = small_laboratory.moments["mid_season"]
    clocks = {"complete": small_laboratory.end, "nonsense": day}
    homes = {}
    for change, clock in clocks.items():
        homes[change] = tmp_path / change
        shutil.copytree(small_laboratory.built(change, clock), homes[change])
    with project.planted(*planted.changes):
        for change, home in homes.items():
            # the rest is in the copied warehouse
            project.build(home, noon(clocks[change]), select=planted.select)
        caught = project.failed_tests(
            homes["complete"], noon(clocks["complete"]), *GUARDS
        )
    words = small_laboratory.words(day)
    found = compare(homes["complete"], homes["nonsense"], day, project, words)
    rows = held(homes["nonsense"], day)
    if not found.is_equal or sorted(rows) != sorted(small_laboratory.expected(day)):
        caught.add(FUTURE)
    say(f"caught by {', '.join(sorted(caught))}")
    assert caught == planted.caught_by
