#!/usr/bin/env bash
# The scheduled calls on Akamai Functions (tech preview). `spin aka cron` sends a GET to a path, without headers: the
# path has the variable cron_token in it. Times are UTC.
#
#   CRON_TOKEN=... deploy/akamai/crons.sh
#
# `spin aka cron list` shows them, `spin aka cron delete <name>` removes one.
set -euo pipefail
: "${CRON_TOKEN:?the value of the variable cron_token}"
cd "$(dirname "$0")/../.."
# once a minute: the next window (continuation = scheduler), or the safety net for a chain that was cut (self)
spin aka cron create --name continue-imports --schedule "* * * * *" --path-and-query "/sync/cron/$CRON_TOKEN/continue"
# every night at two: what has changed since the last complete run
spin aka cron create --name import-changes --schedule "0 2 * * *" --path-and-query "/sync/cron/$CRON_TOKEN/changes"
# every Sunday at four: what commercetools no longer has leaves the catalog. Categories can carry no project's key: their
# prune counts those that are gone, and `cargo import categories --prune --prune-unmarked` removes them
spin aka cron create --name prune-products --schedule "0 4 * * 0" --path-and-query "/sync/cron/$CRON_TOKEN/prune/products"
spin aka cron create --name prune-categories --schedule "30 4 * * 0" --path-and-query "/sync/cron/$CRON_TOKEN/prune/categories"
