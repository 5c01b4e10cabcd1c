# Shared by the steps: how they fail, and what no input may hold.
# shellcheck shell=bash

fail() {
  printf '::error title=Portcullis::%s\n' "$1"
  exit 1
}

# A line break or an escape could say to the runner what only this action may say. Keys alone have lines.
for name in "${!INPUT_@}"; do
  [[ $name = *_KEY || ${!name} != *[[:cntrl:]]* ]] || fail "an input holds a line break or another control character"
done
unset name
