#!/bin/sh
# Starts the demo with these faults, and ends all others: deploy/demo/start.sh [FAULT …], in the root of the repository.
# Images are built where they are missing: `--build` would make others each time, and so restart the database. Compose waits
# for what a container depends on: `--wait` would also wait for the health of containers without a check, which is an error.
set -eu

programs="slow-disk dead-mx greylisting-mx expired-certificate key-guessing full-quota noisy-client"

for fault; do
    case " $programs lost-collector " in
        *" $fault "*) ;;
        *) echo "there is no fault $fault; the faults are: $programs lost-collector" >&2; exit 2 ;;
    esac
done

compose() {
    docker compose --file compose.yaml ${override:+--file "$override"} --file deploy/demo/compose.yaml "$@"
}
override=$(ls compose.override.yaml 2>/dev/null || true)

compose --profile '*' rm --stop --force $programs # each undoes what it did
if [ $# -eq 0 ]; then
    exec docker compose --profile demo up --detach demo relay otel-collector
fi

profiles="--profile demo" services="demo relay" collector=otel-collector
for fault; do
    case $fault in
        lost-collector) collector= ;;
        dead-mx | greylisting-mx) export RELAY_ENABLED=true ;;
    esac
    [ "$fault" = lost-collector ] || profiles="$profiles --profile $fault" services="$services $fault"
done
compose $profiles up --detach $services $collector
[ -n "$collector" ] || compose stop otel-collector
