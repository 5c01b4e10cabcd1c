#!/usr/bin/env bash
# Signs what the scan found, and stores it beside the image. A verdict that fails is signed, too.
set -euo pipefail
. "$GITHUB_ACTION_PATH/common.sh"

[ -n "$INPUT_IMAGE" ] || fail 'attest: evidence stands beside an image in its registry; name it by image-ref'
if [ -n "$SIGNING_KEY" ]; then
  signer=(--key=env://SIGNING_KEY)
elif [ -n "${ACTIONS_ID_TOKEN_REQUEST_URL:-}" ]; then
  signer=(--keyless)
  [ -z "$INPUT_SIGNING_CONFIG" ] || signer+=("--signing-config=$INPUT_SIGNING_CONFIG")
  [ -z "$INPUT_TRUSTED_ROOT" ] || signer+=("--trusted-root=$INPUT_TRUSTED_ROOT")
elif [ "$IS_FORK" = true ]; then
  printf '::notice title=Portcullis::nothing is signed: the pull request of a fork has no identity to sign with\n'
  exit 0
else
  fail 'attest: there is nothing to sign with; give the job the permission id-token: write, or a key'
fi
arguments=("--report=$REPORT")
[ -z "$INPUT_PLATFORM" ] || arguments+=("--platform=$INPUT_PLATFORM")
log=$(mktemp "$RUNNER_TEMP/portcullis-attest.XXXXXXXX")
code=0
"$PORTCULLIS" attest "${signer[@]}" "${arguments[@]}" -- "$(target "$INPUT_IMAGE")" 2>"$log" || code=$?
quoted cat "$log"
case $code in 0 | 42 | 43 | 44) ;; *) fail "the evidence could not be stored (exit code $code)" ;; esac
digest=$(sed -n 's/^attested https:\/\/slsa\.dev\/verification_summary\/v1 as \(sha256:[0-9a-f]\{64\}\)$/\1/p' "$log")
printf 'attestation-digest=%s\n' "$digest" >>"$GITHUB_OUTPUT"
