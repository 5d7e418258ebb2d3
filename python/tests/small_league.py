"""A small league that holds whatever is awkward in the real one.

Eight teams, two seasons and the playoffs between them, with back-to-backs, a break,
trades, overtime, did-not-play rows, games without play-by-play, missing usage and a
box score that is not final. Nobody's numbers mean anything.
"""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pandas as pd

TEAMS = ("ATL", "BOS", "CHI", "DEN", "LAL", "MIA", "NYK", "PHX")
PLAYERS_PER_TEAM = 11
OPENERS = {2022: date(2022, 10, 18), 2023: date(2023, 10, 24)}
ROUNDS = {2022: 24, 2023: 30}
BREAK_AFTER_ROUND = 18
GAPS = (2, 1, 3, 2, 1, 2)
TRADES = {6: (3, 40), 15: (14, 70), 20: (25, 60)}
COUNTS = [
    *("points", "offensive_rebounds", "turnovers", "fg_attempts", "fg_makes"),
    *("three_pt_attempts", "three_pt_makes", "ft_attempts", "ft_makes"),
    *("paint_attempts", "paint_makes", "mid_range_attempts", "mid_range_makes"),
    *("assisted_fg_makes", "unassisted_fg_makes"),
]


def box_scores(seed: int = 11) -> pd.DataFrame:
    """Rows of player_game_summary, in the contract of the sources."""
    random = np.random.default_rng(seed)
    team_of = np.repeat(np.arange(len(TEAMS)), PLAYERS_PER_TEAM)
    weight = random.gamma(3, 1, team_of.size) + 0.3
    rows: list[dict[str, object]] = []
    for game_date, season, kind, number, home, away in _games(random):
        if kind == "regular" and season == 2023 and number in TRADES:
            one, other = TRADES[number]
            if team_of[one] == one // PLAYERS_PER_TEAM:
                team_of[one], team_of[other] = team_of[other], team_of[one]
        game_id = f"{game_date:%Y%m%d}_{TEAMS[away]}_{TEAMS[home]}"
        overtime = random.random() < 0.08
        has_zones = kind == "regular" and random.random() < 0.75
        is_partial = random.random() < 0.02
        for team, opponent in ((home, away), (away, home)):
            roster = np.flatnonzero(team_of == team)
            plays = random.random(roster.size) < 0.85
            plays[:5] = True
            share = weight[roster] * plays * random.lognormal(0, 0.4, roster.size)
            minutes = np.round((265 if overtime else 240) * share / share.sum(), 1)
            for player, played, time in zip(roster, plays, minutes, strict=True):
                row = {
                    "player_lookup": f"player{player:02d}",
                    "game_id": game_id,
                    "game_date": game_date,
                    "season_year": season,
                    "season_type": kind,
                    "team_abbr": TEAMS[team],
                    "opponent_team_abbr": TEAMS[opponent],
                    "minutes_played": min(float(time), 70.0) if played else 0.0,
                    "is_active": bool(played),
                    "is_partial_game_data": is_partial,
                }
                if played and time > 0:
                    row |= _line(random, row["minutes_played"], has_zones, number)
                elif random.random() < 0.3:
                    # some who sit out are not even listed
                    continue
                rows.append(row)
    frame = pd.DataFrame(rows)
    return frame.astype(dict.fromkeys(COUNTS, "Int64"))


def _games(
    random: np.random.Generator,
) -> list[tuple[date, int, str, int, int, int]]:
    """Date, season, season type, round, home and away team, in order of date."""
    games = []
    for season, day in OPENERS.items():
        for number in range(ROUNDS[season]):
            pairs = random.permutation(len(TEAMS)).reshape(-1, 2)
            gap = GAPS[number % len(GAPS)]
            for place, (home, away) in enumerate(pairs):
                # the last game of a round is on the next day where there is room
                late = timedelta(days=int(place == 3 and gap > 1))
                games.append((day + late, season, "regular", number, home, away))
            pause = 7 if number == BREAK_AFTER_ROUND else 0
            day += timedelta(days=gap + pause)
        if season == 2022:
            for number in range(6):
                day += timedelta(days=2)
                for home, away in ((0, 1), (2, 3)):
                    games.append((day, season, "playoffs", number, home, away))
    return games


def _line(
    random: np.random.Generator, minutes: float, has_zones: bool, number: int
) -> dict[str, object]:
    """One box score whose parts agree."""
    paint, mid, three = random.poisson(np.array([0.16, 0.07, 0.13]) * minutes)
    made = random.binomial([paint, mid, three], [0.58, 0.42, 0.36])
    free = int(random.poisson(0.09 * minutes))
    free_made = int(random.binomial(free, 0.78))
    makes = int(made.sum())
    assisted = int(random.binomial(makes, 0.6))
    line: dict[str, object] = {
        "points": int(2 * made[0] + 2 * made[1] + 3 * made[2]) + free_made,
        "offensive_rebounds": int(random.poisson(0.04 * minutes)),
        "turnovers": int(random.poisson(0.06 * minutes)),
        "fg_attempts": int(paint + mid + three),
        "fg_makes": makes,
        "three_pt_attempts": int(three),
        "three_pt_makes": int(made[2]),
        "ft_attempts": free,
        "ft_makes": free_made,
    }
    if random.random() < 0.9:
        line["usage_rate"] = round(float(random.uniform(5, 40)), 2)
    if has_zones:
        line |= {
            "paint_attempts": int(paint),
            "paint_makes": int(made[0]),
            "mid_range_attempts": int(mid),
            "mid_range_makes": int(made[1]),
        }
    if number > 5:
        line |= {"assisted_fg_makes": assisted, "unassisted_fg_makes": makes - assisted}
    return line
