#!/usr/bin/env bash
# Scans, and writes every report. The verdict fails nothing here: that is for the gate, once all has been published.
set -euo pipefail
. "$GITHUB_ACTION_PATH/common.sh"

# A path stays a path, whatever it begins with.
path() { case $1 in /*) printf '%s' "$1" ;; *) printf './%s' "$1" ;; esac; }

targets=()
[ -z "$INPUT_IMAGE" ] || targets+=("$(target "$INPUT_IMAGE")")
[ -z "$INPUT_ARCHIVE" ] || targets+=("$(path "$INPUT_ARCHIVE")")
[ -z "$INPUT_PATH" ] || targets+=("dir:$(path "$INPUT_PATH")")
[ -z "$INPUT_SBOM" ] || targets+=("sbom:$(path "$INPUT_SBOM")")
if [ -n "$INPUT_SCAN_REF" ]; then
  case $INPUT_SCAN_TYPE in
    fs) targets+=("dir:$(path "$INPUT_SCAN_REF")") ;;
    rootfs) targets+=("rootfs:$(path "$INPUT_SCAN_REF")") ;;
    sbom) targets+=("sbom:$(path "$INPUT_SCAN_REF")") ;;
    *) fail "scan-type: $INPUT_SCAN_TYPE is none of fs, rootfs, sbom" ;;
  esac
fi
[ ${#targets[@]} = 1 ] || fail 'name one thing to scan: image-ref, input, scan-ref, path or sbom'

arguments=("--db=$DATABASE")
[ -z "$INPUT_POLICY" ] || arguments+=("--policy=$INPUT_POLICY")
[ -z "$INPUT_PLATFORM" ] || arguments+=("--platform=$INPUT_PLATFORM")
[ -z "$INPUT_VEX" ] || arguments+=("--vex=$INPUT_VEX")
[ -z "$INPUT_TIMEOUT" ] || arguments+=("--timeout=$INPUT_TIMEOUT")
[ -z "$INPUT_BASELINE" ] || arguments+=("--baseline=$INPUT_BASELINE")
[ -z "$INPUT_DOCKERFILE" ] || arguments+=("--dockerfile=$INPUT_DOCKERFILE")
[ "$INPUT_ONLY_FIXED" != true ] || arguments+=(--ignore-unfixed)
threshold=${INPUT_FAIL_ON,,}
if [ -n "$INPUT_SEVERITY" ]; then
  [ -z "$threshold" ] || fail 'severity and fail-on (severity-cutoff) say the same: name one of them'
  named=${INPUT_SEVERITY// /}
  named=,${named,,},
  for level in critical high medium low; do
    case $named in *",$level,"*) threshold=$level ;; esac
  done
  [ -n "$threshold" ] || fail "severity: $INPUT_SEVERITY names none of CRITICAL, HIGH, MEDIUM, LOW"
  # A word that is misspelt would open the gate. What nobody has rated passes no gate, so that UNKNOWN adds nothing.
  IFS=, read -ra words <<<"$named"
  for word in "${words[@]}"; do
    case $word in
      '' | critical | high | medium | low | unknown) ;;
      *) fail "severity: $word is none of CRITICAL, HIGH, MEDIUM, LOW, UNKNOWN" ;;
    esac
  done
fi
[ "$threshold" != negligible ] || threshold=low
[ -z "$threshold" ] || arguments+=("--fail-on=$threshold")

work=$(mktemp -d "$RUNNER_TEMP/portcullis-reports.XXXXXXXX")
case $INPUT_FORMAT in
  cyclonedx) format=cyclonedx-json ;;
  spdx) format=spdx-tag-value ;;
  *) format=$INPUT_FORMAT ;;
esac
# Commas separate reports: a name that holds one would write somewhere else.
case $format$INPUT_OUTPUT in *,*) fail 'format and output name one report, without a comma' ;; esac
outputs=(-o "json=$work/portcullis.json" -o "sarif=$work/portcullis.sarif")
if [ -n "$INPUT_OUTPUT" ]; then
  outputs+=(-o "$format=$INPUT_OUTPUT" -o table)
else
  outputs+=(-o "$format")
fi

code=0
quoted "$PORTCULLIS" scan "${arguments[@]}" "${outputs[@]}" -- "${targets[0]}" || code=$?
case $code in
  0 | 42 | 43 | 44) ;;
  *) fail "the scan could not be done (exit code $code); the reason stands above" ;;
esac
{
  printf 'exit-code=%s\n' "$code"
  printf 'json=%s\n' "$work/portcullis.json"
  printf 'sarif=%s\n' "$work/portcullis.sarif"
} >>"$GITHUB_OUTPUT"
