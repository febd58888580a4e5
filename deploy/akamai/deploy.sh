#!/usr/bin/env bash
# Builds the app and deploys it to Akamai Functions, with the variables of a filled-in copy of variables.toml.
# Variables have to be given with every deployment.
#
#   deploy/akamai/deploy.sh my-variables.toml --create-name klaviyo-bulk-import   # the first time
#   deploy/akamai/deploy.sh my-variables.toml                                     # from then on
#
# Before: `spin plugins install aka` and `spin aka login`.
set -euo pipefail
variables=$(realpath "${1:?the file with the variables}")
shift
cd "$(dirname "$0")/../.."
spin aka deploy --build --no-confirm --variable "@$variables" "$@"
