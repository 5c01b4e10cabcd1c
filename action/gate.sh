#!/usr/bin/env bash
# The verdict, once everything has been told.
set -euo pipefail
. "$GITHUB_ACTION_PATH/common.sh"

say() { printf '::%s title=Portcullis::%s\n' "$1" "$2"; }

case $SCAN_CODE in
  0) exit 0 ;;
  42) text='the policy denies the image; the reasons stand in the report' ;;
  43) say warning 'the policy would deny the image; it is in audit mode'; exit 0 ;;
  44) text='the verdict is incomplete: something that the policy needs is not known' ;;
  *) text="the scan ended with $SCAN_CODE" ;;
esac
if [ "$INPUT_FAIL_BUILD" = false ] || [ "$INPUT_EXIT_CODE" = 0 ]; then
  say warning "$text"
  exit 0
fi
say error "$text"
if [[ $SCAN_CODE = 42 && -n $INPUT_EXIT_CODE ]]; then
  exit "$INPUT_EXIT_CODE"
fi
exit "$SCAN_CODE"
