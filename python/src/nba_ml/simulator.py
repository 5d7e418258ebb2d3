"""A simulated league with known truth, in the contract of the real sources.

Points follow from ability, role, rest, home court, the opponent's defence and
pace, and absent team-mates; chance does the rest. The levels (points, minutes,
possessions, spread of both) are set to those of the NBA seasons 2021-24.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet

from nba_ml import contracts, sources
from nba_ml.settings import UserError

Arrays = dict[str, np.ndarray]

TEAMS = np.array(contracts.known_teams())
LAST_SEASON = 2024
ROUNDS, SLOTS, ROOKIES = 82, 15, 66
ALL_STAR_ROUND = 56
# Chance to play by rank in the team among those available; the sum is what
# makes about 10.6 players appear per team and game.
ROTATION = np.array([1] * 8 + [0.93, 0.7, 0.4, 0.2, 0.1, 0.06, 0.03])
AND_ONE = 0.06
TRUTH_DRAWS = 16
FIRST_NAMES = (
    "Aren Bram Cade Dario Eron Falk Gio Hale Ivo Jaro Kian Lior Milo Nico Oren "
    "Pax Quin Ravi Soren Tavon Uri Vito Wes Xan Yannis Zeke Amari Boris Corin Dex"
)
LAST_NAME_HEADS = "Al Bar Cor Dun El Far Gar Hol Is Jan Kel Lor Mar Nor Os"
LAST_NAME_TAILS = "bren dale fort gan holm ick lund mont nell rick stad ton"


@dataclass(frozen=True)
class Simulated:
    """What one run wrote: rows by table, and the clock of the data (UTC)."""

    rows: dict[str, int]
    as_of: str


def simulate(
    raw: Path,
    seasons: int = 3,
    seed: int = 7,
    scale: int = 1,
    force: bool = False,
    advance: Callable[[], None] = lambda: None,
) -> Simulated | None:
    """Write the sources of a simulated league to `raw`; None when they are there.

    `scale` leagues are placed one after the other in time, the newest last;
    `advance` is called once per league and season. Deterministic for its arguments.
    Raises UserError rather than replace files that it did not write.
    """
    source = {"origin": "simulated", "seed": seed, "seasons": seasons, "scale": scale}
    names = [f"{name}.parquet" for name in contracts.tables()]
    there = [name for name in names if (raw / name).exists()]
    before = sources.origin(raw)
    if before == source and len(there) == 3 and not force:
        return None
    if there and before.get("origin") != "simulated" and not force:
        raise UserError(
            f"{raw} holds {there[0]}, which the simulator did not write. Set "
            "NBA_ML_HOME to another folder, or repeat with --force to replace it."
        )

    sources.discard_leftovers(raw)
    writers: dict[str, pyarrow.parquet.ParquetWriter] = {}
    rows: dict[str, int] = {}
    for league in reversed(range(scale)):
        for name, table in _league(seed, league, seasons, advance):
            if name not in writers:
                path = sources.new(raw, f"{name}.parquet")
                writers[name] = pyarrow.parquet.ParquetWriter(
                    path, table.schema, compression="zstd"
                )
            writers[name].write_table(table)
            rows[name] = rows.get(name, 0) + table.num_rows
    for writer in writers.values():
        writer.close()
    as_of = f"{_last_day(LAST_SEASON)}T12:00:00"
    sources.new(raw, "as_of").write_text(as_of + "\n")
    written = [f"{name}.parquet" for name in writers] + ["as_of"]
    sources.publish(raw, written, names, source)
    return Simulated(rows, as_of)


def _league(
    seed: int, league: int, seasons: int, advance: Callable[[], None]
) -> Iterator[tuple[str, pyarrow.Table]]:
    """The seasons of one league, oldest first, as tables with their names."""
    rng = np.random.default_rng([seed, league])
    count = 30 * SLOTS + ROOKIES * (seasons - 1)
    printed = [
        f"{first} {head}{tail}"
        for first in FIRST_NAMES.split()
        for head in LAST_NAME_HEADS.split()
        for tail in LAST_NAME_TAILS.split()
    ]
    names = np.array(printed)[rng.permutation(len(printed))[:count]]
    lookups = np.char.lower(np.char.replace(names, " ", ""))
    if league:
        lookups = np.char.add(lookups, str(league + 1))
    talent = _talent(rng, count)
    roster = np.arange(30 * SLOTS).reshape(SLOTS, 30).T
    for number in range(seasons):
        year = LAST_SEASON + 1 - seasons * (league + 1) + number
        if number:
            roster = _summer(rng, roster, talent, number)
        rosters = _trades(rng, roster)
        roster = rosters[-1]
        upcoming = league == 0 and year == LAST_SEASON
        yield from _season(rng, year, rosters, talent, (names, lookups), upcoming)
        advance()


def _talent(rng: np.random.Generator, count: int) -> Arrays:
    """Traits per player; the first 450 fill the rosters best first, then rookies."""
    founders = 30 * SLOTS
    behind = 0.5 - (np.arange(founders) // 30 + 0.5) / SLOTS
    role = 2.2 * behind * (1 + 1.2 * behind**2)
    role = np.concatenate([role, rng.normal(-0.3, 0.75, count - founders)])
    role += rng.normal(0, 0.25, count)
    inside = rng.beta(1.6, 2.0, count)
    outside = np.clip(0.72 - 0.68 * inside + rng.normal(0, 0.08, count), 0.01, 0.75)
    paint = 0.2 + 0.6 * inside
    # at least a tenth of the shots comes from mid-range
    crowd = np.maximum(paint + outside, 0.9) / 0.9

    def bell(mean: float, spread: float, low: float, high: float) -> np.ndarray:
        return np.clip(rng.normal(mean, spread, count), low, high)

    return {
        "role": role,
        "skill": rng.normal(0, 1, count),
        "usage": 0.165 * np.exp(0.25 * role + rng.normal(0, 0.18, count)),
        "zone": np.stack([paint, outside, crowd - paint - outside]) / crowd,
        "make": np.stack(
            [
                bell(0.575, 0.02, 0.5, 0.65) + 0.05 * inside,
                bell(0.365, 0.02, 0.28, 0.43),
                bell(0.42, 0.03, 0.3, 0.5),
            ]
        ),
        "turnover": bell(0.115, 0.025, 0.05, 0.2),
        "trip": bell(0.075, 0.025, 0.02, 0.15) + 0.05 * inside,
        "ft_pct": bell(0.79, 0.08, 0.55, 0.93) - 0.1 * inside,
        "assist": np.exp(rng.normal(0, 0.55, count) - 0.8 * inside),
        "assisted": np.clip(rng.normal(0.7, 0.13, count) - 0.09 * role, 0.15, 0.9),
        "offensive_rebounds": 0.016 + 0.085 * inside**1.5,
        "defensive_rebounds": 0.09 + 0.12 * inside,
        "steals": bell(0.031, 0.01, 0.005, 0.1),
        "blocks": 0.008 + 0.035 * inside**2,
        "personal_fouls": 0.065 + 0.04 * inside,
    }


def _summer(
    rng: np.random.Generator, roster: np.ndarray, talent: Arrays, number: int
) -> np.ndarray:
    """The next roster (30, 15): some fade or improve, leave or change teams."""
    for trait, spread in (("role", 0.25), ("skill", 0.3)):
        talent[trait] += rng.normal(0, spread, talent[trait].size)
    flat = roster.ravel().copy()
    odds = np.exp(-0.8 * talent["role"][flat])
    leaving = rng.choice(flat.size, ROOKIES, replace=False, p=odds / odds.sum())
    flat[leaving] = 30 * SLOTS + ROOKIES * (number - 1) + np.arange(ROOKIES)
    moving = rng.choice(flat.size, 90, replace=False)
    flat[moving] = flat[rng.permutation(moving)]
    return flat.reshape(roster.shape)


def _trades(rng: np.random.Generator, roster: np.ndarray) -> np.ndarray:
    """Rosters by round (82, 30, 15): some players swap teams in mid-season."""
    rosters = np.repeat(roster[None], ROUNDS, axis=0)
    for start in np.sort(rng.integers(18, ALL_STAR_ROUND, 24)):
        (a, b), (i, j) = rng.choice(30, 2, replace=False), rng.integers(0, SLOTS, 2)
        mine, theirs = rosters[start, a, i], rosters[start, b, j]
        rosters[start:, a, i], rosters[start:, b, j] = theirs, mine
    return rosters


def _last_day(year: int) -> date:
    """The second Sunday of April, on which all teams play."""
    first = date(year + 1, 4, 1)
    return first + timedelta(days=(6 - first.weekday()) % 7 + 7)


def _calendar(rng: np.random.Generator, year: int) -> Arrays:
    """One season's games as arrays (82 rounds, 30 teams), 15 games a round.

    A round takes two days: no team plays twice a day or five times in six days.
    Each plays 41 games at home and meets each other two or three times.
    """
    # The circle method: 29 rounds in which every pair of 30 teams meets once.
    turn, place = np.arange(29)[:, None], np.arange(1, 15)
    circle = np.empty((29, 30), dtype=np.int64)
    circle[turn, (turn + place) % 29] = (turn - place) % 29
    circle[turn, (turn - place) % 29] = (turn + place) % 29
    circle[turn[:, 0], turn[:, 0]], circle[:, 29] = 29, turn[:, 0]
    picked = rng.permutation([*range(29), *range(29), *rng.permutation(29)[:24]])
    label = rng.permutation(30)
    opponent = label[circle[picked]][:, np.argsort(label)]
    # Two rounds together are closed rings of teams; walking along a ring gives
    # each of its teams one game at home and one away.
    is_home = np.zeros((ROUNDS, 30), dtype=bool)
    for start in range(0, ROUNDS, 2):
        done = np.zeros(30, dtype=bool)
        for first in range(30):
            team = first
            while not done[team]:
                guest = opponent[start, team]
                is_home[start, team] = is_home[start + 1, guest] = True
                done[team] = done[guest] = True
                team = opponent[start + 1, guest]

    host = np.where(is_home, np.arange(30), opponent)
    rounds = np.arange(ROUNDS)[:, None]
    free = np.zeros((ROUNDS, 1), dtype=np.int64)
    free[rng.choice(np.arange(4, 80), 5, replace=False)] = 1
    free[ALL_STAR_ROUND] += 6
    late = (rng.random((ROUNDS, 30)) < 0.22) & (rounds < ROUNDS - 1)
    offset = 2 * rounds + np.cumsum(free, axis=0) + late[rounds, host]
    day = np.datetime64(_last_day(year), "D") + offset - offset[-1, 0]
    # 19:00 to 22:00 Eastern, on the date after by UTC; Sundays in the afternoon
    hours = [24, 24.5, 25, 26, 27]
    hour = rng.choice(hours, (ROUNDS, 30), p=[0.3, 0.25, 0.2, 0.15, 0.1])
    sunday = (day.astype(np.int64) + 3) % 7 == 6
    hour = np.where(sunday, hour - 6.5, hour)[rounds, host]
    tired = np.diff(day, axis=0, prepend=day[:1] - 9).astype(np.int64) == 1
    return {
        "opponent": opponent,
        "host": host,
        "day": day,
        "tired": tired,
        "tip_off": day.astype("datetime64[us]")
        + (hour * 3.6e9).astype("timedelta64[us]"),
    }


def _absences(rng: np.random.Generator, count: int) -> np.ndarray:
    """Rounds missed so far in the present spell (player, round); 0 when fit."""
    age = np.zeros((count, ROUNDS), dtype=np.int64)
    who = np.repeat(np.arange(count), rng.poisson(2.3, count))
    start = rng.integers(0, ROUNDS, who.size)
    length = np.ceil(rng.lognormal(0.9, 1.0, who.size)).astype(np.int64)
    for player, first, rounds in zip(who, start, length, strict=True):
        spell = age[player, first : first + rounds]
        spell[:] = np.arange(1, spell.size + 1)
    return age


def _walk(
    rng: np.random.Generator, count: int, spread: float, memory: float
) -> np.ndarray:
    """A slow stationary drift (count, 82) with the given standard deviation."""
    steps = rng.normal(0, spread, (count, ROUNDS))
    for r in range(1, ROUNDS):
        steps[:, r] = memory * steps[:, r - 1] + np.sqrt(1 - memory**2) * steps[:, r]
    return steps


def _season(
    rng: np.random.Generator,
    year: int,
    rosters: np.ndarray,
    talent: Arrays,
    names: tuple[np.ndarray, np.ndarray],
    upcoming: bool,
) -> Iterator[tuple[str, pyarrow.Table]]:
    """One season's tables. With `upcoming` its last date is yet to be played."""
    calendar = _calendar(rng, year)
    # Team games (g) by date, visitors right before their hosts: g ^ 1 is the other
    # side. Arrays below are (g) or (g, 15 roster slots).
    r, t = (x.ravel() for x in np.indices((ROUNDS, 30)))
    host, day = calendar["host"], calendar["day"]
    order = np.lexsort((host[r, t] == t, TEAMS[host[r, t]], day[r, t]))
    r, t = r[order], t[order]
    opponent, day, tip_off = (calendar[k][r, t] for k in ("opponent", "day", "tip_off"))
    player = rosters[r, t]
    age = _absences(rng, talent["role"].size)[player, r[:, None]]
    tired = calendar["tired"][r, t][:, None]
    star = talent["role"][player] > 1
    out = (age > 0) | (tired & star & (rng.random(player.shape) < 0.1))
    future = (upcoming & (r == ROUNDS - 1))[:, None]
    doubt = rng.random(player.shape)
    # A late change is past; on the morning of a slate who is out is known to be.
    doubtful = np.where(out, (age <= 1) & (doubt < 0.4) & ~future, doubt < 0.05)

    known = _known(rng, talent, player, (r, t, opponent), tired, out)
    flow = _unfold(known, _luck(rng, player.shape))
    points, weight = np.zeros(player.shape), np.full(player.shape, 1e-9)
    for _ in range(TRUTH_DRAWS):
        luck = _luck(rng, player.shape)
        # each draw and its mirror image: their errors nearly cancel
        mirror = {k: 1 - x if k in ("in", "ot") else -x for k, x in luck.items()}
        for one in (_unfold(known, luck), _unfold(known, mirror)):
            points += one["chance"] * one["points"]
            weight += one["chance"]

    away, home = t.copy(), t.copy()
    away[1::2], home[::2] = t[::2], t[1::2]
    game_id = np.char.replace(np.datetime_as_string(day), "-", "")
    for side in (away, home):
        game_id = np.char.add(np.char.add(game_id, "_"), TEAMS[side])
    per_game = {
        "game_id": game_id,
        "game_date": day,
        "season_year": np.full(t.size, year),
        "season_type": np.full(t.size, "regular"),
        "team_abbr": TEAMS[t],
        "opponent_team_abbr": TEAMS[opponent],
        "away_team_abbr": TEAMS[away],
        "home_team_abbr": TEAMS[home],
        "tip_off_at": tip_off,
        "processed_at": (day + 1).astype("datetime64[us]") + np.timedelta64(9, "h"),
    }
    played = flow["plays_in"] & ~future
    # The long-term injured are left off the box score, as in reality.
    listed = np.nonzero((played | ~out | (age <= 5)) & ~future)
    did, no = played[listed], np.zeros(len(listed[0]), dtype=bool)
    box = {
        k: x[listed] for k, x in _box_scores(rng, known, flow, talent, player).items()
    }
    box |= {k: x[listed[0]] for k, x in per_game.items()}
    box |= {"is_active": did, "is_dnp": ~did, "has_complete_shot_zones": did}
    box |= {"shot_zones_estimated": no, "is_partial_game_data": no}
    for key, values in zip(("player_full_name", "player_lookup"), names, strict=True):
        box[key] = values[player[listed]]
    yield "player_game_summary", _table("player_game_summary", box, ~did)

    hosts = {k: x[1::2] for k, x in per_game.items()}
    yield "game_schedule", _table("game_schedule", hosts)

    # A morning report on every player; who was in doubt gets a last word before
    # tip-off, which the coming slate still lacks.
    everybody = np.nonzero(np.ones(player.shape, dtype=bool))
    resolved = np.nonzero(doubtful & ~future)
    final = np.where(out, "out", "expected")
    morning = day.astype("datetime64[us]") + np.timedelta64(11, "h")
    last_word = tip_off - np.timedelta64(40, "m")
    status = np.where(doubtful, "questionable", final)[everybody]
    g = np.concatenate([everybody[0], resolved[0]])
    reports = {
        "game_id": game_id[g],
        "player_lookup": names[1][
            np.concatenate([player[everybody], player[resolved]])
        ],
        "team_abbr": TEAMS[t][g],
        "status": np.concatenate([status, final[resolved]]),
        "known_at": np.concatenate([morning[everybody[0]], last_word[resolved[0]]]),
    }
    yield "player_availability", _table("player_availability", reports)

    expected = np.nonzero(played | (future & ~out))
    truth = {
        "game_id": game_id[expected[0]],
        "player_lookup": names[1][player[expected]],
        "expected_points": np.round((points / weight)[expected], 3),
    }
    yield "true_expectation", pyarrow.table(truth)


def _known(
    rng: np.random.Generator,
    talent: Arrays,
    player: np.ndarray,
    where: tuple[np.ndarray, np.ndarray, np.ndarray],
    tired: np.ndarray,
    out: np.ndarray,
) -> Arrays:
    """What is known before tip-off, the hidden form included; no luck in it."""
    r, t, opponent = where
    count, now = talent["role"].size, (player, r[:, None])
    role = talent["role"][player] + _walk(rng, count, 0.38, 0.95)[now]
    minutes = 37 / (1 + np.exp(-(2.1 * role + 0.15)))
    minutes = np.where(out, 0, minutes * (1 - 0.06 * tired * minutes / 37))
    form = _walk(rng, count, 0.07, 0.96)[now]
    skill = talent["skill"][player] + _walk(rng, count, 0.3, 0.97)[now]
    side = np.where(np.arange(r.size) % 2, 1, -1)
    defence = rng.normal(0, 0.02, 30)[:, None] + _walk(rng, 30, 0.012, 0.97)
    against = (1 + defence[opponent, r] + 0.013 * side)[:, None]
    by_zone = 1 + rng.normal(0, 0.02, (3, 30))[:, opponent, None]
    pace = rng.normal(0, 0.018, 30)
    strength = (minutes * talent["role"][player]).sum(axis=1) / minutes.sum(axis=1)
    return {
        "available": ~out,
        "minutes": minutes,
        "rank": np.argsort(np.argsort(-minutes, axis=1), axis=1),
        "usage": talent["usage"][player] * np.exp(form),
        "efficiency": against * (1 + 0.035 * skill) * (1 - 0.025 * tired),
        "zone": talent["zone"][:, player],
        "make": talent["make"][:, player] * by_zone,
        "plays": 109.5 * (1 + pace[t] + pace[opponent]),
        "edge": 2.5 * side + 12 * (strength - strength[np.arange(r.size) ^ 1]),
        "side": side,
    } | {name: talent[name][player] for name in ("turnover", "trip", "ft_pct")}


def _luck(rng: np.random.Generator, shape: tuple[int, int]) -> Arrays:
    """All luck but that of the shots; both sides of a game share some of it."""
    luck = {name: rng.standard_normal(shape) for name in ("minutes", "heat")}
    luck |= {"in": rng.random(shape), "team": rng.standard_normal(shape[0])}
    for name in ("margin", "pace"):
        luck[name] = np.repeat(rng.standard_normal(shape[0] // 2), 2)
    return luck | {"ot": np.repeat(rng.random(shape[0] // 2), 2)}


def _unfold(known: Arrays, luck: Arrays) -> Arrays:
    """Minutes, share of plays and mean points of each player, if he plays.

    `chance` is the probability to play, `plays_in` what came of it.
    """
    margin = known["edge"] + 12 * known["side"] * luck["margin"]
    rout = np.clip((np.abs(margin) - 9) / 14, 0, 1)[:, None]
    rank = known["rank"]
    chance = np.minimum(ROTATION[rank] + 0.25 * rout * (rank > 7), 1)
    chance = chance * known["available"]
    plays_in = luck["in"] < chance
    # who plays little has the less certain role, and gets the end of a rout
    unsure = 0.46 - 0.3 * known["minutes"] / 37
    garbage = rout * np.clip((rank - 6) * 0.08, -0.2, 0.6)
    want = known["minutes"] * np.exp(unsure * luck["minutes"] + garbage)
    want = np.maximum(want, 1.5)

    overtime = (luck["ot"] < 0.052).astype(np.int64) + (luck["ot"] < 0.008)
    total, most = (x[:, None] for x in (240.0 + 25 * overtime, 42 + 4.5 * overtime))
    others = (want * plays_in).sum(axis=1, keepdims=True)
    minutes = total * want / (others + want * ~plays_in)
    for _ in range(3):
        # what goes beyond a player's limit is shared by the rest
        capped = np.minimum(minutes, most)
        over = ((minutes - capped) * plays_in).sum(axis=1, keepdims=True)
        room = ((most - capped) * plays_in).sum(axis=1, keepdims=True)
        minutes = capped + (most - capped) * over / np.maximum(room, 1e-9)

    wanted = known["usage"] * minutes * np.exp(0.15 * luck["heat"])
    others = (wanted * plays_in).sum(axis=1, keepdims=True)
    share = wanted / (others + wanted * ~plays_in)
    team_plays = known["plays"] * (1 + 0.025 * luck["pace"]) * total[:, 0] / 240
    efficiency = known["efficiency"] * (1 + 0.02 * luck["team"][:, None])

    paint, three, mid = known["zone"] * known["make"] * efficiency
    per_shot = 2 * (paint + mid) + 3 * three + AND_ONE * paint * known["ft_pct"]
    shots = 1 - known["turnover"] - known["trip"]
    per_play = shots * per_shot + 2 * known["trip"] * known["ft_pct"]
    return {
        "chance": chance,
        "plays_in": plays_in,
        "minutes": minutes,
        "share": share,
        "efficiency": efficiency,
        "team_plays": team_plays,
        "overtime": overtime,
        "points": team_plays[:, None] * share * per_play,
    }


def _box_scores(
    rng: np.random.Generator,
    known: Arrays,
    flow: Arrays,
    talent: Arrays,
    player: np.ndarray,
) -> Arrays:
    """Box scores (g, 15) whose parts agree; zero for who sat out."""
    # Whole tenths of a minute that add up exactly: the largest fractions round up.
    exact = flow["minutes"] * flow["plays_in"] * 10
    tenths = np.floor(exact).astype(np.int64)
    spare = 2400 + 250 * flow["overtime"] - tenths.sum(axis=1)
    tenths += np.argsort(np.argsort(tenths - exact, axis=1), axis=1) < spare[:, None]
    minutes = tenths / 10

    share = flow["share"] * flow["plays_in"]
    share = share / share.sum(axis=1, keepdims=True)
    plays = rng.multinomial(np.rint(flow["team_plays"]).astype(np.int64), share)
    turnovers = rng.binomial(plays, known["turnover"])
    trips = rng.binomial(plays - turnovers, known["trip"] / (1 - known["turnover"]))
    shots = plays - turnovers - trips
    paint = rng.binomial(shots, known["zone"][0])
    three = rng.binomial(shots - paint, known["zone"][1] / (1 - known["zone"][0]))
    mid = shots - paint - three
    odds = np.clip(known["make"] * flow["efficiency"], 0.02, 0.95)
    makes = rng.binomial(np.stack([paint, three, mid]), odds)
    ft_attempts = 2 * trips + rng.binomial(makes[0], AND_ONE)
    ft_makes = rng.binomial(ft_attempts, known["ft_pct"])
    points = 2 * (makes[0] + makes[2]) + 3 * makes[1] + ft_makes
    # No game ends level: where it would, the home side's leader makes one more.
    other = np.arange(len(points)) ^ 1
    score = points.sum(axis=1)
    level = np.flatnonzero((score == score[other]) & (known["side"] > 0))
    leader = tenths[level].argmax(axis=1)
    for values in (ft_attempts, ft_makes, points):
        values[level, leader] += 1
    margin = (points.sum(axis=1) - points.sum(axis=1)[other])[:, None]

    alone = np.array([-0.1, 0.2, -0.2])[:, None, None]
    assisted = np.clip(talent["assisted"][player] + alone, 0.02, 0.97)
    assisted = rng.binomial(makes, assisted).sum(axis=0)
    passing = talent["assist"][player] * minutes
    passing = passing / passing.sum(axis=1, keepdims=True)
    used = shots + 0.44 * ft_attempts + turnovers
    length = (48 + 5 * flow["overtime"])[:, None]
    floor = np.maximum(minutes, 0.1) * used.sum(axis=1, keepdims=True)
    noise = rng.normal(0, 1.6, minutes.shape) * np.sqrt(minutes)
    fouls = rng.poisson(talent["personal_fouls"][player] * minutes)
    box = {
        "minutes_played": minutes,
        "points": points,
        "assists": rng.multinomial(assisted.sum(axis=1), passing),
        "turnovers": turnovers,
        "personal_fouls": np.minimum(fouls, 6),
        "plus_minus": np.rint(margin * minutes / length + noise),
        "fg_attempts": shots,
        "fg_makes": makes.sum(axis=0),
        "ft_attempts": ft_attempts,
        "ft_makes": ft_makes,
        "paint_attempts": paint,
        "paint_makes": makes[0],
        "mid_range_attempts": mid,
        "mid_range_makes": makes[2],
        "assisted_fg_makes": assisted,
        "unassisted_fg_makes": makes.sum(axis=0) - assisted,
        "usage_rate": np.round(100 * used * length / floor, 2),
    }
    for name in ("three_pt", "three"):
        pbp = "" if name == "three_pt" else "_pbp"
        box |= {f"{name}_attempts{pbp}": three, f"{name}_makes{pbp}": makes[1]}
    for name in ("offensive_rebounds", "defensive_rebounds", "steals", "blocks"):
        box[name] = rng.poisson(talent[name][player] * minutes)
    return box


def _table(
    name: str, columns: Arrays, sat_out: np.ndarray | None = None
) -> pyarrow.Table:
    """The contract's columns, in its order and types; who sat out has no counts."""
    arrays = {}
    for column in contracts.tables()[name].columns:
        values = columns[column.name]
        counted = values.dtype.kind in "if" and sat_out is not None
        hide = counted and column.name not in ("season_year", "minutes_played")
        made = pyarrow.array(values, mask=sat_out if hide else None)
        arrays[column.name] = made.cast(contracts.ARROW_TYPES[column.type])
    return pyarrow.table(arrays)
