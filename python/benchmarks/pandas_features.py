"""The 25 features of feature_store_v1 by pandas, as one would write them without dbt.

It reads the same box scores and gives the same values on every played game. It does
less than the tables: it takes each row as right and final, forgets upcoming games,
and takes no composite factors from the user.
"""

from __future__ import annotations

import sys
import time
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd

ZONES = {"paint": "paint", "mid_range": "mid_range", "three": "three_pt"}
ZONE_COUNTS = [f"{zone}_{what}" for zone in ZONES for what in ("makes", "attempts")]
# the league's share of makes where its last 30 days hold fewer than 1,000 attempts
LEAGUE_DEFAULTS = {"paint": 0.580, "mid_range": 0.410, "three": 0.355}
OPTIONAL = ["is_active", "usage_rate", "assisted_fg_makes", "unassisted_fg_makes"]
OPTIONAL += [name for name in ZONE_COUNTS if not name.startswith("three")]
OUTCOME = ["season_type", "prior_games", "points"]
KEYS = ["game_id", "player_lookup", "game_date"]


def build(raw: Path, as_of: date) -> pd.DataFrame:
    """Keys, outcome and features of every played game before `as_of`."""
    games = _read(raw, as_of)
    teams = _team_games(games)
    games["usage_rate"] = _usage(games, teams)
    frame = games[KEYS + OUTCOME].join([_form(games), _rest(games), _shots(games)])
    frame["is_home"] = (games["game_id"].str[13:] == games["team_abbr"]).astype(int)

    team_form = _team_form(teams)
    own, opponent = (
        games[["game_id", name]]
        .rename(columns={name: "team_abbr"})
        .merge(team_form, "left", on=["game_id", "team_abbr"])
        for name in ("team_abbr", "opponent_team_abbr")
    )
    frame["team_pace_last_10"] = own["pace_last_10"]
    frame["team_off_rating_last_10"] = own["off_rating_last_10"]
    frame["opponent_def_rating"] = opponent["def_rating_last_15"]
    frame["opponent_pace"] = opponent["pace_last_15"]
    gap = own["pace_last_10"] - opponent["pace_last_10"]
    frame["pace_score"] = (gap / 2).clip(-3, 3)
    league = games[["game_date"]].merge(_league_zones(teams), "left", on="game_date")
    frame["shot_zone_mismatch_score"] = _mismatch(frame, opponent, league)
    return frame


def _read(raw: Path, as_of: date) -> pd.DataFrame:
    games = pd.read_parquet(raw / "player_game_summary.parquet")
    games["game_date"] = pd.to_datetime(games["game_date"])
    games = games.reindex(columns=games.columns.union(OPTIONAL))
    active = games["is_active"].fillna(True).astype(bool)
    played = active & (games["minutes_played"] > 0)
    games = games[played & (games["game_date"] < pd.Timestamp(as_of))]
    games = games.sort_values(["player_lookup", "game_date"], ignore_index=True)
    threes = games.get("three_attempts_pbp", games["three_pt_attempts"])
    games["three_attempts"], games["three_makes"] = threes, games["three_pt_makes"]
    zones = games["paint_attempts"] + games["mid_range_attempts"] + threes
    games["has_zones"] = (zones - games["fg_attempts"]).abs() <= 1
    return _numbered(games, "player_lookup")


def _numbered(rows: pd.DataFrame, entity: str) -> pd.DataFrame:
    """With the number of window games (regular season) before each row."""
    rows["is_window_game"] = rows["season_type"] == "regular"
    seen = rows.groupby(entity)["is_window_game"].cumsum()
    rows["prior_games"] = seen - rows["is_window_game"]
    return rows


def _last_games(
    rows: pd.DataFrame, entity: str, windows: dict[str, tuple[str, int, str]]
) -> pd.DataFrame:
    """Per name (column, games, aggregate): over the last window games before a row."""
    window = rows[rows["is_window_game"]]
    groups = window.groupby(entity)
    after = window[[entity]].assign(prior_games=window["prior_games"] + 1)
    for name, (column, games, how) in windows.items():
        rolling = groups[column].rolling(games, min_periods=1)
        after[name] = rolling.agg(how).droplevel(0)
    key = [entity, "prior_games"]
    return rows[key].merge(after, "left", on=key).drop(columns=key)


def _last_days(
    games: pd.DataFrame, column: str, days: int, by: list[str]
) -> tuple[pd.Series, pd.Series]:
    """Mean and count over the window games of the days before each row."""
    rows = games[[*by, "game_date"]].assign(
        value=games[column].where(games["is_window_game"])
    )
    rolling = rows.groupby(by).rolling(f"{days}D", on="game_date", closed="left")
    levels = list(range(len(by)))
    mean, count = (
        result["value"].droplevel(levels).reindex(games.index)
        for result in (rolling.mean(), rolling.count())
    )
    return mean, count.fillna(0)


def _this_season(games: pd.DataFrame, column: str) -> pd.Series:
    """Mean over the window games of the season before each row."""
    by = [games["player_lookup"], games["season_year"]]
    value = games[column].where(games["is_window_game"])
    total, count = value.fillna(0), value.notna().astype(int)
    total_before = total.groupby(by).cumsum() - total
    return total_before / (count.groupby(by).cumsum() - count)


def _team_games(games: pd.DataFrame) -> pd.DataFrame:
    """One row per team and game, with what its opponent did to it."""
    counts = ["points", "minutes_played", "fg_attempts", "ft_attempts", "turnovers"]
    zones = games[ZONE_COUNTS].astype("float64").where(games["has_zones"])
    keys = ["game_id", "team_abbr", "opponent_team_abbr", "game_date", "season_type"]
    own = games[[*keys, *counts, "offensive_rebounds"]].join(zones)
    own = own.groupby(keys).sum(min_count=1).reset_index()
    plays = own["fg_attempts"] + 0.44 * own["ft_attempts"] + own["turnovers"]
    own["possessions"] = plays - own["offensive_rebounds"]
    other = own[["game_id", "team_abbr", "points", "possessions", *ZONE_COUNTS]]
    other = other.rename(columns={"team_abbr": "opponent_team_abbr"})
    teams = own.drop(columns=ZONE_COUNTS).merge(
        other, on=["game_id", "opponent_team_abbr"], suffixes=("", "_allowed")
    )
    overtimes = ((teams["minutes_played"] - 240) / 25).round().clip(lower=0)
    teams["pace"] = teams["possessions"] * 48 / (48 + 5 * overtimes)
    teams["off_rating"] = 100 * teams["points"] / teams["possessions"]
    teams["def_rating"] = 100 * teams["points_allowed"] / teams["possessions_allowed"]
    measured = ["pace", "off_rating", "def_rating"]
    # halves go up, as in SQL; round() would take them to the even digit
    teams[measured] = np.floor(teams[measured] * 1e4 + 0.5) / 1e4
    teams = teams.sort_values(["team_abbr", "game_date"], ignore_index=True)
    return _numbered(teams, "team_abbr")


def _usage(games: pd.DataFrame, teams: pd.DataFrame) -> pd.Series:
    """As the source has it, else by the box score; above 100 is no value."""
    counts = ["fg_attempts", "ft_attempts", "turnovers"]
    keys = ["game_id", "team_abbr"]
    regular = teams.loc[teams["is_window_game"], [*keys, *counts]]
    team = games[keys].merge(regular, "left", on=keys)
    own, of_team = (
        one["fg_attempts"] + 0.44 * one["ft_attempts"] + one["turnovers"]
        for one in (games, team)
    )
    formula = (100 * 48 * own / (games["minutes_played"] * of_team)).round(4)
    usage = games["usage_rate"].where(games["usage_rate"] <= 100).fillna(formula)
    return usage.where(usage <= 100)


def _form(games: pd.DataFrame) -> pd.DataFrame:
    windows = {
        "points_avg_last_5": ("points", 5, "mean"),
        "points_avg_last_10": ("points", 10, "mean"),
        "points_std_last_10": ("points", 10, "std"),
        "points": ("points", 10, "sum"),
        "minutes": ("minutes_played", 10, "sum"),
        "minutes_avg_last_10": ("minutes_played", 10, "mean"),
        "usage_rate_last_10": ("usage_rate", 10, "mean"),
        "usage_rate_last_5": ("usage_rate", 5, "mean"),
    }
    form = _last_games(games, "player_lookup", windows)
    season = form["points_avg_season"] = _this_season(games, "points")
    minutes, points = form.pop("minutes").round(4), form.pop("points")
    form["points_per_minute_last_10"] = (points / minutes).where(minutes >= 20)
    form["momentum_score"] = form["points_avg_last_5"] - season
    spike = form.pop("usage_rate_last_5") - _this_season(games, "usage_rate")
    form["usage_spike_score"] = (0.3 * spike).clip(-3, 3)
    mean, met = _last_days(
        games, "points", 1095, ["player_lookup", "opponent_team_abbr"]
    )
    matchup = (met / (met + 5) * (mean - season)).where(met > 0, 0)
    form["matchup_history_score"] = matchup.where(season.notna())
    return form


def _rest(games: pd.DataFrame) -> pd.DataFrame:
    player = games["player_lookup"]
    last = games["game_date"].where(games["is_window_game"]).groupby(player).ffill()
    days = (games["game_date"] - last.groupby(player).shift()).dt.days
    minutes, count = _last_days(games, "minutes_played", 7, ["player_lookup"])
    again = games.assign(again=(days == 1).astype(float))
    share, played = _last_days(again, "again", 14, ["player_lookup"])
    repeats = (share * played).round()
    fatigue = (
        100
        + np.select([days == 1, days >= 3], [-15, 5], 0)
        - np.where(count >= 4, 10, 0)
        - np.where((minutes * count).round(4) > 240, 10, 0)
        - np.where(minutes.round(6) > 35, 8, 0)
        - np.select([repeats >= 2, repeats == 1], [12, 5], 0)
    )
    rest = {
        "days_rest": days.clip(upper=10),
        "back_to_back": again["again"].where(days.notna()),
        "games_in_last_7_days": count,
        "fatigue_score": pd.Series(fatigue).clip(0, 100).where(days.notna()),
    }
    return pd.DataFrame(rest)


def _shots(games: pd.DataFrame) -> pd.DataFrame:
    """Zone rates over the last 10 games with complete zones among the last 40.

    Where the last 40 hold ten or more of them these are the last ten, else all.
    """
    player = games["player_lookup"]
    zones = games[[f"{zone}_attempts" for zone in ZONES]].set_axis(list(ZONES), axis=1)
    zones = zones.astype("float64").where(games["has_zones"] & games["is_window_game"])
    last_10 = zones.dropna().groupby(player).rolling(10).sum().droplevel(0)
    last_10 = last_10.reindex(games.index).groupby(player).ffill()
    last_10 = last_10.groupby(player).shift()
    made = games["assisted_fg_makes"] + games["unassisted_fg_makes"]
    assisted = games["assisted_fg_makes"].where(made.notna())
    rows = games[["player_lookup", "prior_games", "is_window_game"]].join(zones)
    windows = {zone: (zone, 40, "sum") for zone in ZONES}
    windows |= {"games": ("paint", 40, "count"), "made": ("made", 10, "sum")}
    windows |= {"assisted": ("assisted", 10, "sum")}
    last = _last_games(
        rows.assign(made=made, assisted=assisted), "player_lookup", windows
    )
    attempts = last_10.where(last["games"] >= 10, last[list(ZONES)])
    total = attempts.sum(axis=1)
    total = total.where((last["games"] >= 5) & (total > 0))
    shots = {f"{ZONES[z]}_rate_last_10": 100 * attempts[z] / total for z in ZONES}
    share = 100 * last["assisted"] / last["made"].where(last["made"] > 0)
    return pd.DataFrame(shots | {"assisted_rate_last_10": share})


def _team_form(teams: pd.DataFrame) -> pd.DataFrame:
    windows = {
        "pace_last_10": ("pace", 10, "mean"),
        "pace_last_15": ("pace", 15, "mean"),
        "off_rating_last_10": ("off_rating", 10, "mean"),
        "def_rating_last_15": ("def_rating", 15, "mean"),
        "games": ("paint_attempts", 15, "count"),
    } | {column: (column, 15, "sum") for column in ZONE_COUNTS}
    form = _last_games(teams, "team_abbr", windows)
    for zone in ZONES:
        allowed = form[f"{zone}_makes"] / form[f"{zone}_attempts"]
        form[zone] = allowed.where(form["games"] >= 5)
    return teams[["game_id", "team_abbr"]].join(form)


def _league_zones(teams: pd.DataFrame) -> pd.DataFrame:
    zones = teams[ZONE_COUNTS].where(teams["is_window_game"])
    days = zones.groupby(teams["game_date"]).sum()
    sums = days.rolling("30D", closed="left").sum().round()
    league = {}
    for zone, default in LEAGUE_DEFAULTS.items():
        attempts = sums[f"{zone}_attempts"]
        share = sums[f"{zone}_makes"] / attempts
        league[zone] = share.where(attempts >= 1000).fillna(default)
    return pd.DataFrame(league).reset_index()


def _mismatch(
    frame: pd.DataFrame, opponent: pd.DataFrame, league: pd.DataFrame
) -> pd.Series:
    rates = {zone: frame[f"{name}_rate_last_10"] for zone, name in ZONES.items()}
    advantage = {
        zone: 100 * (opponent[zone] - league[zone]) * rate.clip(upper=50) / 50
        for zone, rate in rates.items()
    }
    primary = [rates["paint"] >= 40, rates["three"] >= 40, rates["mid_range"] >= 35]
    of_zone = [advantage[zone] for zone in ("paint", "three", "mid_range")]
    score = pd.Series(np.select(primary, of_zone, advantage["paint"]))
    return score.where(score.abs() <= 5, 1.2 * score).clip(-10, 10)


if __name__ == "__main__":
    started = time.perf_counter()
    build(Path(sys.argv[1]), date.fromisoformat(sys.argv[2])).to_parquet(sys.argv[3])
    print(time.perf_counter() - started)
