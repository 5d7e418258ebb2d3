"""A past season as it would have been: trained before it, predicted day by day.

    python python/replay.py

`make run` replays the last season of data that stand still, so that there is
something to watch: a model that knows only earlier games, in production from the
opening day on, and its predictions of every game day in mode `replay`.
"""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import date

from nba_ml import deployment, prediction, registry, settings, training
from nba_ml.deployment import Plan
from nba_ml.prediction import Replayed
from nba_ml.settings import PROJECT, Home
from nba_ml.training import Config, Window
from nba_ml.warehouse import connect

CONFIG = PROJECT / "python/config/training.yml"
SEASONS = 3  # of the window that is split, before the one that is replayed


def openings(home: Home) -> dict[int, date]:
    """Opening day of each season, oldest first; source: season_phases."""
    found = connect(home).read(
        "select season_year, min(first_date) as opening from season_phases"
        " group by season_year order by season_year"
    )
    days = found["opening"].dt.date
    return dict(zip(found["season_year"].astype(int), days, strict=True))


def replay(home: Home, opening: date, until: date, config: Config) -> Replayed:
    """Train on the seasons before `opening`, deploy, and predict until `until`.

    The clock stands at noon of the opening day meanwhile.
    """
    clock = os.environ.get("NBA_ML_AS_OF")
    os.environ["NBA_ML_AS_OF"] = f"{opening}T12:00:00"
    try:
        trained = training.train(home, config)
        plan = Plan(watch=0, force="a replay: it shows what would have served")
        deployment.deploy(home, trained.manifest.model_version, plan)
    finally:
        if clock is None:
            del os.environ["NBA_ML_AS_OF"]
        else:
            os.environ["NBA_ML_AS_OF"] = clock
    return prediction.replay(home, opening, until, trained.model_id)


def main() -> None:
    home = settings.home()
    if registry.registered(home):
        return
    season, opening = list(openings(home).items())[-1]
    config = training.read_config(CONFIG)
    window = Window(opening.replace(year=opening.year - SEASONS), None)
    done = replay(home, opening, date.max, replace(config, window=window))
    print(
        f"{done.model_id} was trained before {opening} and replayed the season "
        f"{season}-{(season + 1) % 100:02}: {done.predictions:,} predictions "
        f"on {done.game_days} game days."
    )


if __name__ == "__main__":
    main()
