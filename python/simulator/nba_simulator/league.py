"""A simulated league with known truth, in the contract of the real sources.

Points follow from ability, role, rest, home court, the opponent's defence and
pace, and absent team-mates; chance does the rest. The levels (points, minutes,
possessions, spread of both) are set to those of the NBA seasons 2021-24.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path

import numpy as np
import pyarrow
from numpy.random import Generator

from nba_ml import contracts, sources
from nba_ml.settings import UserError

Arrays = dict[str, np.ndarray]

TEAMS = np.array(contracts.known_teams())
LAST_SEASON = 2024
ROUNDS, SLOTS, ROOKIES = 82, 15, 66
FOUNDERS = 30 * SLOTS
DEADLINE = 56
HOUR = np.timedelta64(3600, "s")
# Chance to play by rank in the team among those available; the sum is what
# makes about 10.6 players appear per team and game.
ROTATION = np.array([1] * 8 + [0.95, 0.77, 0.48, 0.27, 0.13, 0.08, 0.04])
TRUTH_DRAWS = 48
# per minute, for players who shoot from outside and what those inside have more
RATES = {
    "offensive_rebounds": (0.016, 0.07),
    "defensive_rebounds": (0.09, 0.12),
    "steals": (0.031, 0),
    "blocks": (0.008, 0.03),
    "personal_fouls": (0.065, 0.04),
}
FIRST_NAMES = "Aren Bram Cade Dario Eron Falk Gio Hale Ivo Jaro Kian Lior Milo Nico"
LAST_NAME_HEADS = "Al Bar Cor Dun El Far Gar Hol Is Jan Kel Lor Mar Nor Os"
LAST_NAME_TAILS = "bren dale fort gan holm ick lund mont nell rick stad ton"


def simulate(
    raw: Path,
    seasons: int = 3,
    seed: int = 7,
    scale: int = 1,
    force: bool = False,
    advance: Callable[[], None] = lambda: None,
) -> dict[str, int] | None:
    """Write a simulated league to `raw`; rows by table, or None when it is there.

    `scale` leagues are placed one after the other in time, the newest last;
    `advance` is called once per league and season. Deterministic for its arguments.
    Raises UserError rather than replace files that it did not write.
    """
    source = {"origin": "simulated", "seed": seed, "seasons": seasons, "scale": scale}
    there = [name for name in contracts.tables() if (raw / f"{name}.parquet").exists()]
    before = sources.origin(raw)
    if before == source and len(there) == 3 and not force:
        return None
    if there and before.get("origin") != "simulated" and not force:
        raise UserError(
            f"{raw} holds {there[0]}.parquet, which the simulator did not write. Set "
            "NBA_ML_HOME to another folder, or repeat with --force to replace it."
        )
    parts: dict[str, list[pyarrow.Table]] = {}
    for league in reversed(range(scale)):
        for season in _league(seed, league, seasons):
            for name, table in season.items():
                parts.setdefault(name, []).append(table)
            advance()
    tables = {name: pyarrow.concat_tables(some) for name, some in parts.items()}
    sources.publish(raw, tables, f"{_last_day(LAST_SEASON)}T12:00:00", source)
    return {name: table.num_rows for name, table in tables.items()}


def _league(seed: int, league: int, seasons: int) -> Iterator[dict[str, pyarrow.Table]]:
    """The seasons of one league, oldest first, as tables by name."""
    rng = np.random.default_rng([seed, league])
    count = FOUNDERS + ROOKIES * (seasons - 1)
    parts = (FIRST_NAMES.split(), LAST_NAME_HEADS.split(), LAST_NAME_TAILS.split())
    printed = [f"{first} {head}{tail}" for first, head, tail in product(*parts)]
    traits = _talent(rng, count)
    traits["player_full_name"] = names = rng.permutation(printed)[:count]
    suffix = str(league + 1) if league else ""
    lookups = [name.lower().replace(" ", "") + suffix for name in names]
    traits["player_lookup"] = np.array(lookups)
    roster = np.arange(FOUNDERS)
    for number in range(seasons):
        if number:
            traits["role"] += rng.normal(0, 0.25, count)
            traits["skill"] += rng.normal(0, 0.3, count)
            stay = traits["role"][roster] + rng.normal(0, 1.5, FOUNDERS)
            roster[np.argsort(stay)[:ROOKIES]] = (
                FOUNDERS + ROOKIES * (number - 1) + np.arange(ROOKIES)
            )
            roster = _trade(rng, roster, 90)
        before, roster = roster, _trade(rng, roster, 45)
        year = LAST_SEASON + 1 - seasons * (league + 1) + number
        rosters = np.stack([before, roster]).reshape(2, SLOTS, 30).swapaxes(1, 2)
        yield _season(rng, year, rosters, traits, league == 0 and year == LAST_SEASON)


def _talent(rng: Generator, count: int) -> Arrays:
    """Traits per player; the first 450 fill the rosters best first, then rookies."""
    behind = 0.5 - (np.arange(FOUNDERS) // 30 + 0.5) / SLOTS
    role = 2.2 * behind * (1 + 1.2 * behind**2)
    role = np.concatenate([role, rng.normal(-0.3, 0.75, count - FOUNDERS)])
    role += rng.normal(0, 0.25, count)
    inside = rng.beta(1.6, 2.0, count)
    paint = 0.2 + 0.6 * inside
    three = (1 - paint) * rng.uniform(0.65, 0.95, count) * (1 - 0.3 * inside)
    turnover, trip = rng.uniform(0.08, 0.15, count), 0.08 + 0.05 * inside
    zones = np.stack([paint, three, 1 - paint - three]) * (1 - turnover - trip)
    return {
        "role": role,
        "skill": rng.normal(0, 1, count),
        "usage": 0.165 * np.exp(0.25 * role + rng.normal(0, 0.18, count)),
        "inside": inside,
        # how a play ends: turnover, free throws, shot from paint, three, mid-range
        "mix": np.stack([turnover, trip, *zones], axis=1),
        "ft_pct": rng.uniform(0.68, 0.92, count) - 0.1 * inside,
        "passing": np.exp(rng.normal(0, 0.55, count) - 0.8 * inside),
        "assisted": np.clip(rng.normal(0.65, 0.13, count) - 0.09 * role, 0.15, 0.95),
    }


def _trade(rng: Generator, roster: np.ndarray, count: int) -> np.ndarray:
    """A roster (450) in which `count` players changed places."""
    moving = rng.choice(FOUNDERS, count, replace=False)
    roster = roster.copy()
    roster[moving] = roster[rng.permutation(moving)]
    return roster


def _last_day(year: int) -> np.datetime64:
    """The second Sunday of April, on which all teams play."""
    return np.busday_offset(f"{year + 1}-04", 1, "forward", weekmask="Sun")


def _calendar(rng: Generator, year: int) -> Arrays:
    """One season's team games (g), 30 a round: visitor, host, visitor, host...

    A round takes two days: no team plays twice a day or five times in six days.
    Each plays 41 games at home and meets each other two or four times.
    """
    # The circle method: 29 rounds in which every pair of 30 teams meets once.
    turn, place = np.arange(29)[:, None], np.arange(15)
    partner = np.where(place, (turn - place) % 29, 29)
    pairs = np.stack([(turn + place) % 29, partner], axis=2)
    chosen = np.concatenate([rng.permutation(29), rng.permutation(29)[:12]])
    half = rng.permuted(rng.permutation(30)[pairs[chosen]], axis=2)
    # the second half of the season returns every game of the first
    team = np.concatenate([half, rng.permutation(half)[:, :, ::-1]]).reshape(ROUNDS, 30)

    rounds = np.arange(ROUNDS)[:, None]
    late = (rng.random((ROUNDS, 15)) < 0.22) & (rounds < ROUNDS - 1)
    offset = 2 * rounds + 6 * (rounds >= DEADLINE) + late
    day = np.repeat(_last_day(year) + offset - offset[-1], 2, axis=1)
    by_team = np.take_along_axis(day, np.argsort(team, axis=1), axis=1)
    rest = np.diff(by_team, axis=0, prepend=by_team[:1] - 9).astype(np.int64)
    # 19:00 to 22:00 Eastern, on the date after by UTC
    hour = np.repeat(rng.integers(24, 28, (ROUNDS, 15)), 2, axis=1)
    season = {
        "round": np.repeat(rounds, 30, axis=1),
        "team": team,
        "opponent": team.reshape(ROUNDS, 15, 2)[:, :, ::-1],
        "day": day,
        "is_tired": np.take_along_axis(rest, team, axis=1) == 1,
        "tip_off_at": day + hour * HOUR,
    }
    return {name: values.ravel() for name, values in season.items()}


def _absences(rng: Generator, count: int) -> np.ndarray:
    """Whether a player is out in a round (count, 82)."""
    starts = rng.random((count, ROUNDS)) < 0.028
    length = np.ceil(rng.lognormal(0.9, 1.0, starts.shape))
    ends = np.where(starts, np.arange(ROUNDS) + length, 0)
    return np.maximum.accumulate(ends, axis=1) > np.arange(ROUNDS)


def _drift(rng: Generator, count: int, step: float) -> np.ndarray:
    """A random walk (count, 82) over the season, from zero."""
    return np.cumsum(rng.normal(0, step, (count, ROUNDS)), axis=1)


def _season(
    rng: Generator, year: int, rosters: np.ndarray, traits: Arrays, is_upcoming: bool
) -> dict[str, pyarrow.Table]:
    """One season's tables, by name. With `is_upcoming` its last date is to come.

    `rosters` (2, 30, 15) are those before and after the trade deadline.
    """
    # Arrays are (g) team games or (g, 15) roster slots.
    games = _calendar(rng, year)
    r, t, opponent, day = (games[k] for k in ("round", "team", "opponent", "day"))
    player = rosters[(r >= DEADLINE).astype(np.int64), t]
    out = _absences(rng, len(traits["role"]))[player, r[:, None]]
    out &= np.cumsum(out, axis=1) <= 6  # nine are always fit
    future = (is_upcoming & (r == ROUNDS - 1))[:, None]
    known = _known(rng, traits, player, games, out)
    flow = _play(rng, known)
    expected = np.mean([_play(rng, known)["points"] for _ in range(TRUTH_DRAWS)], 0)

    visitor, host = (np.repeat(TEAMS[t[side::2]], 2) for side in (0, 1))
    dates = [f"{date:%Y%m%d}" for date in day.tolist()]
    game_ids = ["_".join(parts) for parts in zip(dates, visitor, host, strict=True)]
    per_game = {
        "game_id": np.array(game_ids),
        "game_date": day,
        "season_year": np.full(t.size, year),
        "season_type": np.full(t.size, "regular"),
        "team_abbr": TEAMS[t],
        "opponent_team_abbr": TEAMS[opponent],
        "away_team_abbr": visitor,
        "home_team_abbr": host,
        "tip_off_at": games["tip_off_at"],
        "processed_at": day + 33 * HOUR,
    }

    def of_players(rows: tuple[np.ndarray, np.ndarray]) -> Arrays:
        names = {k: known[k][rows] for k in ("player_full_name", "player_lookup")}
        return names | {k: x[rows[0]] for k, x in per_game.items()}

    played = flow["is_in"] & ~future
    # The injured are left off the box score; the others on the bench are on it.
    listed = np.nonzero(~out & ~future)
    did = played[listed]
    scores = _box_scores(rng, known, flow)
    box = {k: np.where(did, x[listed], np.nan) for k, x in scores.items()}
    box["minutes_played"] = scores["minutes_played"][listed]
    box |= of_players(listed) | {"is_active": did, "is_dnp": ~did}
    box["has_complete_shot_zones"] = did
    box["shot_zones_estimated"] = box["is_partial_game_data"] = did & ~did

    # A morning report on every player; who was in doubt gets a last word before
    # tip-off, which the coming slate still lacks.
    doubtful = (rng.random(player.shape) < 0.06) & ~(future & out)
    final = np.where(out, "out", "expected")
    morning, last_word = np.nonzero(player >= 0), np.nonzero(doubtful & ~future)
    status = np.where(doubtful, "questionable", final)[morning]
    at = (day + 11 * HOUR)[morning[0]], (games["tip_off_at"] - HOUR)[last_word[0]]
    reports = of_players(tuple(np.hstack([morning, last_word])))
    reports["status"] = np.concatenate([status, final[last_word]])
    reports["known_at"] = np.concatenate(at)

    able = np.nonzero(played | (future & ~out))
    truth = {k: of_players(able)[k] for k in ("game_id", "player_lookup")}
    truth["expected_points"] = np.round(expected[able], 3)
    schedule = {k: x[::2] for k, x in per_game.items()}
    return {
        "player_game_summary": _table("player_game_summary", box),
        "game_schedule": _table("game_schedule", schedule),
        "player_availability": _table("player_availability", reports),
        "true_expectation": pyarrow.table(truth),
    }


def _known(
    rng: Generator, traits: Arrays, player: np.ndarray, games: Arrays, out: np.ndarray
) -> Arrays:
    """Traits by slot and what else is known before tip-off, hidden form included."""
    known = {name: values[player] for name, values in traits.items()}
    r, t, opponent = (games[k] for k in ("round", "team", "opponent"))
    now, tired = (player, r[:, None]), games["is_tired"][:, None]
    count = len(traits["role"])
    role = known["role"] + _drift(rng, count, 0.1)[now]
    minutes = 37 / (1 + np.exp(-(2.1 * role + 0.15))) * (1 - 0.04 * tired) * ~out
    skill = known["skill"] + _drift(rng, count, 0.06)[now]
    at_home = np.where(np.arange(r.size) % 2, 0.013, -0.013)
    defence = rng.normal(0, 0.02, 30)[:, None] + _drift(rng, 30, 0.002)
    against = (1 + defence[opponent, r] + at_home)[:, None]
    by_zone = np.array([0.59, 0.365, 0.42]) + rng.normal(0, 0.01, (30, 3))
    pace = rng.normal(0, 0.018, 30)
    return known | {
        "chance": ROTATION[np.argsort(np.argsort(-minutes, axis=1), axis=1)] * ~out,
        "minutes": minutes,
        "usage": known["usage"] * np.exp(_drift(rng, count, 0.015)[now]),
        "efficiency": against * (1 + 0.035 * skill) * (1 - 0.025 * tired),
        "make": by_zone[opponent].T[:, :, None],
        "plays": 111.5 * (1 + pace[t] + pace[opponent]),
    }


def _play(rng: Generator, known: Arrays) -> Arrays:
    """One draw of all luck but that of the shots: who is in, minutes, plays.

    For who is not in they are what he would have had, and so are `points`, the
    mean of the points over the luck of the shots.
    """
    shape = known["minutes"].shape
    is_in = rng.random(shape) < known["chance"]
    # who plays little has the less certain role
    unsure = 0.46 - 0.3 * known["minutes"] / 37
    want = np.maximum(known["minutes"] * rng.lognormal(0, unsure), 1.5)
    per_game = (shape[0] // 2, 1)
    overtime = np.repeat(rng.random(per_game) < 0.055, 2, axis=0)
    total, most = 240 + 25 * overtime, 42 + 5 * overtime
    minutes = total * _share(want, is_in)
    # what goes beyond a player's limit is shared by the rest
    capped = np.minimum(minutes, most)
    over = ((minutes - capped) * is_in).sum(axis=1, keepdims=True)
    room = ((most - capped) * is_in).sum(axis=1, keepdims=True)
    minutes = capped + (most - capped) * over / room

    pace = np.repeat(rng.normal(1, 0.025, per_game), 2, axis=0)
    plays = known["plays"][:, None] * pace * total / 240
    share = _share(known["usage"] * minutes * rng.lognormal(0, 0.15, shape), is_in)
    odds = known["make"] * known["efficiency"] * rng.normal(1, 0.02, (shape[0], 1))
    free_throws, paint, three, mid = np.moveaxis(known["mix"], 2, 0)[1:]
    per_play = 2 * (free_throws * known["ft_pct"] + paint * odds[0] + mid * odds[2])
    per_play += 3 * three * odds[1]
    return {
        "is_in": is_in,
        "minutes": minutes,
        "plays": plays,
        "share": share,
        "odds": odds,
        "length": 48 + 5 * overtime,
        "points": plays * share * per_play,
    }


def _share(want: np.ndarray, is_in: np.ndarray) -> np.ndarray:
    """Each player's share among those who are in and himself."""
    others = (want * is_in).sum(axis=1, keepdims=True) - want * is_in
    return want / (others + want)


def _box_scores(rng: Generator, known: Arrays, flow: Arrays) -> Arrays:
    """Box scores (g, 15) whose parts agree; zero for who sat out."""
    # whole tenths of a minute that add up exactly
    tenths = np.rint(np.cumsum(10 * flow["minutes"] * flow["is_in"], axis=1))
    minutes = np.diff(tenths, axis=1, prepend=0) / 10
    team_plays = np.rint(flow["plays"][:, 0]).astype(np.int64)
    plays = rng.multinomial(team_plays, flow["share"] * flow["is_in"])
    ends = rng.multinomial(plays, known["mix"])
    turnovers, trips, *shots = np.moveaxis(ends, 2, 0)
    makes = rng.binomial(shots, flow["odds"])
    fg_attempts, fg_makes = sum(shots), makes.sum(axis=0)
    ft_attempts = 2 * trips
    ft_makes = rng.binomial(ft_attempts, known["ft_pct"])
    points = 2 * fg_makes + makes[1] + ft_makes
    # No game ends level: where it would, the host's leader makes a free throw more.
    scores = points.sum(axis=1).reshape(-1, 2)
    level = 2 * np.flatnonzero(scores[:, 0] == scores[:, 1]) + 1
    for values in (ft_attempts, ft_makes, points):
        values[level, minutes[level].argmax(axis=1)] += 1
    scores = points.sum(axis=1).reshape(-1, 2)
    margin = (scores - scores[:, ::-1]).reshape(-1, 1)

    assisted = rng.binomial(fg_makes, known["assisted"])
    passing = _share(known["passing"] * minutes, flow["is_in"])
    used = fg_attempts + 0.44 * ft_attempts + turnovers
    floor = np.maximum(minutes, 0.1) * used.sum(axis=1, keepdims=True)
    box = {
        "minutes_played": minutes,
        "points": points,
        "assists": rng.multinomial(assisted.sum(axis=1), passing),
        "turnovers": turnovers,
        "plus_minus": np.rint(margin * minutes / flow["length"]),
        "fg_attempts": fg_attempts,
        "fg_makes": fg_makes,
        "ft_attempts": ft_attempts,
        "ft_makes": ft_makes,
        "assisted_fg_makes": assisted,
        "unassisted_fg_makes": fg_makes - assisted,
        "usage_rate": np.round(100 * used * flow["length"] / floor, 2),
    }
    zones = ("paint", "three_pt", "mid_range")
    for zone, attempted, made in zip(zones, shots, makes, strict=True):
        box |= {f"{zone}_attempts": attempted, f"{zone}_makes": made}
    box |= {"three_attempts_pbp": shots[1], "three_makes_pbp": makes[1]}
    for name, (outside, more) in RATES.items():
        box[name] = rng.poisson((outside + more * known["inside"]) * minutes)
    box["personal_fouls"] = np.minimum(box["personal_fouls"], 6)
    return box


def _table(name: str, columns: Arrays) -> pyarrow.Table:
    """The contract's columns that are known, in its order and types; NaN as NULL."""
    arrays = {}
    for column in contracts.tables()[name].columns:
        if column.name in columns:
            made = pyarrow.array(columns[column.name], from_pandas=True)
            arrays[column.name] = made.cast(contracts.ARROW_TYPES[column.type])
    return pyarrow.table(arrays)
