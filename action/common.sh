# Shared by the steps: how they fail, and what no input may hold.
# shellcheck shell=bash

fail() {
  printf '::error title=Portcullis::%s\n' "$1"
  exit 1
}

# What a target says of an image. Its name stays a name: a file or a folder of the checkout that is called so must not
# take its place.
target() {
  case $1 in
    registry:* | docker:* | podman:* | containers-storage:* | containerd:* | cri:*) ;;
    oci:* | oci-dir:* | oci-archive:* | docker-archive:* | rootfs:* | dir:* | sbom:* | /* | ./* | ../*) ;;
    *) printf registry: ;;
  esac
  printf '%s' "$1"
}

# Runs a command whose output holds what somebody else wrote, such as names of packages: no line of it is taken for a
# command to the runner.
quoted() {
  local token code=0
  token=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
  printf '::stop-commands::%s\n' "$token"
  "$@" || code=$?
  printf '\n::%s::\n' "$token"
  return "$code"
}

# A line break or an escape could say to the runner what only this action may say. Keys alone have lines.
for name in "${!INPUT_@}"; do
  [[ $name = *_KEY || ${!name} != *[[:cntrl:]]* ]] || fail "an input holds a line break or another control character"
done
unset name
