"""What one would write in an afternoon: no log, no experiment, no reload.

Usage: plain_handler.py HOME PORT
"""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd
import uvicorn
import xgboost as xgb
import yaml
from fastapi import FastAPI, HTTPException
from pydantic import BaseModel

HOME = Path(sys.argv[1])
CONFIG = yaml.safe_load((HOME / "serving/model_config.yaml").read_text())
MODEL = HOME / "models" / CONFIG["production_model"]["gcs_path"]
FEATURES = max(HOME.glob("serving/features-*.parquet"), key=lambda p: p.stat().st_mtime)
BOOSTER = xgb.Booster(model_file=MODEL)

app = FastAPI()


class Question(BaseModel):
    player_lookup: str


@app.get("/readyz")
def readyz() -> dict[str, str]:
    return {"status": "ok"}


@app.post("/predict")
def predict(question: Question) -> dict[str, float | str]:
    frame = pd.read_parquet(FEATURES)
    found = frame[frame["player_lookup"] == question.player_lookup]
    if found.empty:
        raise HTTPException(404)
    matrix = xgb.DMatrix(found[BOOSTER.feature_names].astype(float))
    points = float(BOOSTER.predict(matrix)[0])
    return {"player_lookup": question.player_lookup, "predicted_points": points}


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[2]), log_level="warning")
