"""The simulated league keeps its own rules and looks like the real one."""

from __future__ import annotations

import hashlib
from pathlib import Path

import duckdb
import pytest

from nba_ml import contracts, sources
from nba_ml.settings import Home, UserError
from nba_simulator import league as simulator

FILES = [
    "game_schedule.parquet",
    "player_availability.parquet",
    "player_game_summary.parquet",
    "true_expectation.parquet",
]


@pytest.fixture(scope="module")
def db(simulated_home: Home) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    for name in FILES:
        connection.execute(
            f"create view {name.removesuffix('.parquet')} as "
            f"from '{simulated_home.raw / name}'"
        )
    connection.execute(
        "create view played as from player_game_summary where minutes_played > 0"
    )
    return connection


def one(db: duckdb.DuckDBPyConnection, query: str) -> tuple:
    ((*values,),) = db.sql(query).fetchall()
    return tuple(values)


def sums(folder: Path) -> dict[str, str]:
    return {
        file.name: hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(folder.iterdir())
    }


def test_same_arguments_give_the_same_bytes(tmp_path: Path) -> None:
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        simulator.simulate(tmp_path / name, seasons=1, seed=seed)
    a, b, c = (sums(tmp_path / name) for name in "abc")
    assert list(a) == sorted([*FILES, "as_of", "origin.json"])
    assert a == b
    assert all(a[name] != c[name] for name in FILES)


def test_volume_and_calendar(db: duckdb.DuckDBPyConnection) -> None:
    games, slate = one(
        db,
        """select count(distinct game_id), count(*) filter (game_date = '2025-04-13')
        from game_schedule""",
    )
    assert (games, slate) == (3690, 15)
    assert one(db, "select count(distinct game_id) from played") == (3675,)
    rows, sat_out = one(
        db,
        """select count(*) filter (is_active), count(*) filter (is_dnp)
        from player_game_summary""",
    )
    assert 75_000 < rows < 81_000 and sat_out > 3_000
    team_seasons = db.sql(
        """select team, season_year, count(*), sum(home) from (
            select home_team_abbr as team, 1 as home, season_year from game_schedule
            union all
            select away_team_abbr, 0, season_year from game_schedule
        ) group by all"""
    ).fetchall()
    assert len(team_seasons) == 90
    assert {(count, home) for _, _, count, home in team_seasons} == {(82, 41)}


def test_rest_is_realistic(db: duckdb.DuckDBPyConnection) -> None:
    db.execute(
        """create or replace view team_dates as
        select distinct team_abbr, season_year, game_date, game_id
        from player_game_summary"""
    )
    least, share = one(
        db,
        """select min(rest), avg(cast(rest = 1 as int)) from (
            select game_date - lag(game_date)
                over (partition by team_abbr, season_year order by game_date) as rest
            from team_dates)""",
    )
    assert least == 1 and 0.13 < share < 0.20
    (busiest,) = one(
        db,
        """select max(games) from (select count(*) over (
            partition by team_abbr order by game_date
            range between interval 5 days preceding and current row) as games
            from team_dates)""",
    )
    assert busiest == 4


def test_keys_are_unique(db: duckdb.DuckDBPyConnection) -> None:
    for table, key in (
        ("player_game_summary", "game_id, player_lookup"),
        ("true_expectation", "game_id, player_lookup"),
        ("game_schedule", "game_id"),
        ("player_availability", "game_id, player_lookup, known_at"),
    ):
        rows, keys = one(db, f"select count(*), count(distinct ({key})) from {table}")
        assert rows == keys, table
    assert one(
        db,
        """select count(distinct player_lookup) - count(distinct player_full_name)
        from player_game_summary""",
    ) == (0,)


def test_contract_holds(simulated_home: Home) -> None:
    seen, ignored = sources.inspect(simulated_home.raw)
    assert [table.violations for table in seen] == [()] * len(seen)
    assert all(table.ok and not table.extra for table in seen)
    # all but the columns that nothing uses
    unused = {"ts_pct", "efg_pct", "starter_flag", "win_flag", "points_line"}
    assert set(seen[0].missing) <= unused | {"opening_line", "line_movement"}
    assert "true_expectation.parquet" in {file.name for file in ignored}


@pytest.mark.parametrize(
    "broken",
    [
        "points <> 2 * (fg_makes - three_pt_makes) + 3 * three_pt_makes + ft_makes",
        "paint_attempts + mid_range_attempts + three_pt_attempts <> fg_attempts",
        "paint_makes + mid_range_makes + three_pt_makes <> fg_makes",
        "assisted_fg_makes + unassisted_fg_makes <> fg_makes",
        "three_attempts_pbp <> three_pt_attempts",
        "three_makes_pbp <> three_pt_makes",
        "minutes_played > 63 or not is_active or is_dnp or usage_rate is null",
    ],
)
def test_played_rows_agree_with_themselves(
    db: duckdb.DuckDBPyConnection, broken: str
) -> None:
    assert one(db, f"select count(*) from played where {broken}") == (0,)


def test_who_sat_out_has_no_box_score(db: duckdb.DuckDBPyConnection) -> None:
    counts = [
        c.name
        for c in contracts.tables()["player_game_summary"].columns
        if c.nullable == "played" or c.name in ("assists", "usage_rate", "plus_minus")
    ]
    filled = " or ".join(f"{name} is not null" for name in counts)
    assert one(
        db,
        f"""select count(*) from player_game_summary
        where not is_active and (minutes_played <> 0 or {filled})""",
    ) == (0,)


def test_team_minutes_and_level(db: duckdb.DuckDBPyConnection) -> None:
    db.execute(
        """create or replace view team_games as
        select game_id, team_abbr, sum(minutes_played) as minutes,
            sum(points) as points,
            sum(fg_attempts + 0.44 * ft_attempts - offensive_rebounds + turnovers)
                as possessions,
            count(*) as players
        from played group by all"""
    )
    odd, overtime = one(
        db,
        """select count(*) filter (
                abs((minutes - 240) / 25 - round((minutes - 240) / 25)) > 1e-6
                or minutes < 239.99 or minutes > 290.01),
            avg(cast(minutes > 241 as int)) from team_games""",
    )
    assert odd == 0 and 0.03 < overtime < 0.08
    points, possessions, fewest = one(
        db, "select avg(points), avg(possessions), min(players) from team_games"
    )
    assert 111 < points < 115 and 97 < possessions < 102 and fewest >= 8
    level = one(
        db,
        """select count(*) from (select game_id, count(distinct points) as scores
        from team_games group by game_id) where scores = 1""",
    )
    assert level == (0,)
    assert (
        26
        < one(
            db,
            """select max(average) from (select avg(points) as average from played
        group by player_lookup, season_year having count(*) >= 40)""",
        )[0]
        < 36
    )


def test_effects_are_there(db: duckdb.DuckDBPyConnection) -> None:
    home, away = one(
        db,
        """select avg(points) filter (team_abbr = game_id[14:16]),
            avg(points) filter (team_abbr = game_id[10:12]) from played""",
    )
    assert home > away + 0.1
    (movers,) = one(
        db,
        """select count(*) from (select player_lookup from played
        group by player_lookup, season_year having count(distinct team_abbr) > 1)""",
    )
    (rookies,) = one(
        db,
        """select count(*) from (select player_lookup from played
        group by player_lookup having min(season_year) > 2022)""",
    )
    assert movers > 30 and rookies > 60
    with_star, without = one(
        db,
        """with stars as (
            select player_lookup, season_year, team_abbr from played
            group by all having avg(points) > 22 and count(*) > 30
        ), games as (
            select mates.game_id, mates.player_lookup, mates.points,
                bool_or(star.minutes_played > 0) as star_plays
            from played as mates
            inner join stars
                on mates.team_abbr = stars.team_abbr
                and mates.season_year = stars.season_year
                and mates.player_lookup <> stars.player_lookup
            left join played as star
                on star.game_id = mates.game_id
                and star.player_lookup = stars.player_lookup
            group by all
        )
        select avg(points) filter (star_plays), avg(points) filter (star_plays is null)
        from games""",
    )
    assert without > with_star + 0.5


def test_availability_is_early_and_true(db: duckdb.DuckDBPyConnection) -> None:
    late, early = one(
        db,
        """select count(*) filter (known_at >= tip_off_at),
            count(*) filter (known_at > timestamp '2025-04-13 12:00:00')
        from player_availability inner join game_schedule using (game_id)""",
    )
    assert (late, early) == (0, 0)
    # in the words that stood last before tip-off
    db.execute(
        """create or replace view last_word as
        select game_id, player_lookup, arg_max(status, known_at) as status
        from player_availability group by all"""
    )
    assert one(
        db,
        """select count(*) filter (status <> 'expected'), count(*) - (
            select count(*) from played)
        from last_word inner join played using (game_id, player_lookup)""",
    ) == (0, 0)
    slate = dict(
        db.sql(
            """select status, count(*) from last_word
            where game_id like '20250413%' group by status"""
        ).fetchall()
    )
    assert set(slate) == {"expected", "questionable", "out"}
    assert one(
        db, "select count(*) from true_expectation where game_id like '20250413%'"
    ) == (slate["expected"] + slate["questionable"],)


def test_truth_beats_the_last_ten_games(db: duckdb.DuckDBPyConnection) -> None:
    n, last_10, truth, bias, mean = one(
        db,
        """with form as (
            select game_id, player_lookup, points,
                avg(points) over (
                    partition by player_lookup order by game_date
                    rows between 10 preceding and 1 preceding
                ) as last_10,
                row_number() over (
                    partition by player_lookup order by game_date
                ) - 1 as games_before
            from played
        )
        select count(*), avg(abs(points - last_10)), avg(abs(points - expected_points)),
            avg(expected_points - points), avg(points)
        from form inner join true_expectation using (game_id, player_lookup)
        where games_before >= 10""",
    )
    print(
        f"N {n}: mean {mean:.2f}, last-10 MAE {last_10:.3f}, truth MAE {truth:.3f}, "
        f"truth bias {bias:+.3f}"
    )
    assert 10.2 < mean < 11.5
    assert 4.5 < last_10 < 4.9
    assert truth < last_10 - 0.3
    assert abs(bias) < 0.1


def test_leagues_do_not_meet(tmp_path: Path) -> None:
    simulator.simulate(tmp_path, seasons=1, scale=2)
    alone = simulator.simulate(tmp_path / "alone", seasons=1)
    rows, keys, years = duckdb.sql(
        f"""select count(*), count(distinct (game_id, player_lookup)),
            list(distinct season_year order by season_year)
        from '{tmp_path}/player_game_summary.parquet'"""
    ).fetchall()[0]
    assert rows == keys and years == [2023, 2024]
    shared, same_scores = duckdb.sql(
        f"""with players as (
            select player_lookup, count(distinct season_year) as leagues,
            from '{tmp_path}/player_game_summary.parquet' group by player_lookup
        ), scores as (
            select count(distinct total) as totals from (
                select season_year, sum(points) as total from (
                    select season_year, points, game_date
                        - min(game_date) over (partition by season_year) as day
                    from '{tmp_path}/player_game_summary.parquet')
                where day < 30 group by season_year)
        )
        select (select count(*) from players where leagues > 1), totals = 1
        from scores"""
    ).fetchall()[0]
    assert shared == 0 and not same_scores
    newest = duckdb.sql(
        f"""select count(*) from (
            from '{tmp_path}/player_game_summary.parquet' where season_year = 2024
            except from '{tmp_path}/alone/player_game_summary.parquet')"""
    ).fetchall()
    assert newest == [(0,)] and rows > 1.9 * alone["player_game_summary"]


def test_own_files_are_left_or_replaced_others_refused(tmp_path: Path) -> None:
    assert simulator.simulate(tmp_path, seasons=1)
    before = sums(tmp_path)
    assert simulator.simulate(tmp_path, seasons=1) is None
    assert sums(tmp_path) == before
    assert simulator.simulate(tmp_path, seasons=1, seed=8)
    assert sums(tmp_path) != before

    (tmp_path / "origin.json").write_text('{"origin": "imported"}')
    before = sums(tmp_path)
    with pytest.raises(UserError, match=r"player_game_summary\.parquet.*--force"):
        simulator.simulate(tmp_path, seasons=1)
    assert sums(tmp_path) == before
    assert simulator.simulate(tmp_path, seasons=1, force=True)
