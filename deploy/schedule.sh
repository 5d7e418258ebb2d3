#!/bin/sh
# Cloud Scheduler: when the job of deploy/retraining-job.yaml runs. Safe to repeat.
#   PROJECT=my-project REGION=us-central1 sh deploy/schedule.sh
set -eu
: "${PROJECT:?names the project}" "${REGION:?names the region of the job}"
job=nba-ml-retraining
# whose only right is to run the job
caller=nba-ml-scheduler@$PROJECT.iam.gserviceaccount.com

gcloud services enable cloudscheduler.googleapis.com --project "$PROJECT"
gcloud iam service-accounts describe "$caller" --project "$PROJECT" >/dev/null 2>&1 ||
    gcloud iam service-accounts create nba-ml-scheduler --project "$PROJECT"
gcloud run jobs add-iam-policy-binding "$job" --project "$PROJECT" --region "$REGION" \
    --member "serviceAccount:$caller" --role roles/run.invoker >/dev/null

schedule() { # name, when (UTC)
    verb=create
    gcloud scheduler jobs describe "$1" --project "$PROJECT" --location "$REGION" \
        >/dev/null 2>&1 && verb=update
    gcloud scheduler jobs "$verb" http "$1" --schedule "$2" --time-zone Etc/UTC \
        --project "$PROJECT" --location "$REGION" --http-method POST \
        --uri "https://run.googleapis.com/v2/projects/$PROJECT/locations/$REGION/jobs/$job:run" \
        --oauth-service-account-email "$caller" --max-retry-attempts 3
}

# the trigger monthly is due from this hour on; the others may be on any day
schedule monthly-model-retraining "0 2 1 * *"
schedule daily-model-retraining "0 10 * * *"
