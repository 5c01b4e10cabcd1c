#!/usr/bin/env bash
# Brings the advisory database up to date, and says which file the scan asks.
set -euo pipefail
. "$GITHUB_ACTION_PATH/common.sh"

answer() { printf 'database=%s\n' "$1" >>"$GITHUB_OUTPUT"; }

# A file for each source: a database that is refused must not leave the scan with one that another source made.
source=$(printf '%s\n' "$INPUT_DB" "$INPUT_DB_KEY" "$INPUT_DB_ECOSYSTEMS" | sha256sum)
kept=$PORTCULLIS_CACHE_DIR/portcullis-${source%% *}.db
mkdir -p "$PORTCULLIS_CACHE_DIR"
# Those of other sources that no run has touched for a week would travel in the cache for good. Only names that are
# made here: somebody else's database may lie in the same folder.
stays=(! -name "${kept##*/}")
[ ! -e "$INPUT_DB" ] || stays+=(! -samefile "$(realpath -- "$INPUT_DB")")
find "$PORTCULLIS_CACHE_DIR" -maxdepth 1 -type f -regextype posix-extended -regex '.*/portcullis-[0-9a-f]{64}\.db' \
  -mtime +7 "${stays[@]}" -delete
update=(db update "--db=$kept")
case $INPUT_DB in
  '')
    [ -z "$INPUT_DB_ECOSYSTEMS" ] || update+=("--ecosystem=$INPUT_DB_ECOSYSTEMS")
    ;;
  oci://*)
    [ -n "$INPUT_DB_KEY" ] || fail 'db: a database from a registry needs db-key, the public key that must have signed it'
    update+=("--from=$INPUT_DB" --key=env://INPUT_DB_KEY)
    ;;
  *)
    answer "$INPUT_DB"
    exit 0
    ;;
esac
# An update that fails leaves the old one. How old it may be is for the policy to say (vulnerabilities.maxDatabaseAge).
if ! quoted "$PORTCULLIS" "${update[@]}"; then
  [ -e "$kept" ] || fail 'the advisories cannot be fetched, and there is no database of an earlier run'
  printf '::warning title=Portcullis::the advisories cannot be fetched; those of an earlier run are used\n'
fi
answer "$kept"
