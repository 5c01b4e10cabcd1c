#!/usr/bin/env bash
# Says what the next steps need.
set -euo pipefail
. "$GITHUB_ACTION_PATH/common.sh"

[ "$RUNNER_OS" = Linux ] || fail "this action runs on Linux; this runner is of $RUNNER_OS"
# Whatever else these hold is a mistake, which decides nothing: `attest: yes` must not sign nothing in silence.
for input in INPUT_FAIL_BUILD INPUT_IGNORE_UNFIXED INPUT_ONLY_FIXED INPUT_ATTEST INPUT_CACHE INPUT_SOURCE; do
  case ${!input} in
    true | false | '') ;;
    *) fail "an input that is true or false holds \`${!input}\`: fail-build, ignore-unfixed, only-fixed, attest, cache or build-from-source" ;;
  esac
done

[ "$IMAGE_TWICE" != true ] || fail 'image-ref and image are one input, and name two images'
[ "$THRESHOLD_TWICE" != true ] || fail 'fail-on and severity-cutoff are one input, and say different things'
[ "$OUTPUT_TWICE" != true ] || fail 'output and output-file are one input, and name two files'
[[ $INPUT_EXIT_CODE =~ ^(0|[1-9][0-9]?|1[0-9]{2}|2[0-4][0-9]|25[0-5])?$ ]] ||
  fail "exit-code: $INPUT_EXIT_CODE is no exit code, a number up to 255"

# Keyless signatures are checked by cosign, those of a key by openssl.
cosign=false
if [ -z "$INPUT_BINARY$INPUT_VERIFICATION_KEY" ] && [ "$INPUT_SOURCE" != true ] && ! command -v cosign >/dev/null; then
  cosign=true
fi
cache=${INPUT_CACHE_DIR:-${HOME:-$RUNNER_TEMP}/.cache/portcullis}
case $cache in /*) ;; *) cache=$PWD/$cache ;; esac
{
  printf 'cosign=%s\n' "$cosign"
  printf 'cache-dir=%s\n' "$cache"
  printf 'day=%s\n' "$(date -u +%F)"
} >>"$GITHUB_OUTPUT"
