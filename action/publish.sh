#!/usr/bin/env bash
# Tells GitHub: outputs always, and what `publish` names. What the token may not do is said, and fails nothing.
set -euo pipefail
. "$GITHUB_ACTION_PATH/common.sh"

publish=outputs
case $INPUT_PUBLISH in '' | none) ;; *) publish=$publish,${INPUT_PUBLISH// /} ;; esac
arguments=("--publish=$publish" "--sarif=$SARIF")
[ -z "$INPUT_CATEGORY" ] || arguments+=("--category=$INPUT_CATEGORY")
[ -z "$INPUT_BASELINE" ] || arguments+=("--baseline=$INPUT_BASELINE")
[ -z "$INPUT_DOCKERFILE" ] || arguments+=("--dockerfile=$INPUT_DOCKERFILE")
exec "$PORTCULLIS" github "${arguments[@]}" -- "$REPORT"
