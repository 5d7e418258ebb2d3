# The prediction worker, and with another command the retraining job. Build it in this folder:
#   docker build -t nba-ml-worker .
FROM python:3.11-slim

# libgomp: XGBoost's threads
RUN apt-get update \
    && apt-get install --yes --no-install-recommends libgomp1 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home --uid 10001 worker

WORKDIR /app
# the lock first: a change of the code installs nothing anew. It holds the packages
# for Cloud Storage, too, where NBA_ML_MODEL_STORE leads.
COPY requirements-bigquery.lock ./
RUN pip install --no-cache-dir --require-hashes -r requirements-bigquery.lock

COPY pyproject.toml README.md LICENSE ./
COPY python/src python/src
COPY python/simulator python/simulator
COPY profiles profiles
# what retraining builds before it trains
COPY dbt_project.yml ./
COPY macros macros
COPY models models
COPY seeds seeds
COPY tests tests
COPY python/config python/config
# editable: the code finds its project by where it lies
RUN pip install --no-cache-dir --no-deps --no-build-isolation -e . \
    && mkdir /data && chown worker /data

USER worker
ENV NBA_ML_HOME=/data \
    DBT_PROFILES_DIR=/app/profiles \
    DBT_TARGET_PATH=/data/target \
    DBT_LOG_PATH=/data/logs \
    DBT_SEND_ANONYMOUS_USAGE_STATS=false \
    PORT=8080 \
    PYTHONUNBUFFERED=1 \
    OMP_WAIT_POLICY=PASSIVE
VOLUME /data
EXPOSE 8080
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s CMD \
    ["python", "-c", "import os, urllib.request as u; u.urlopen('http://127.0.0.1:' + os.environ['PORT'] + '/healthz', timeout=4)"]

# exec: SIGTERM reaches the worker, which then closes its journal
CMD ["sh", "-c", "exec nba-ml serve --host 0.0.0.0 --port $PORT"]
