#!/usr/bin/env bash
# Puts the program onto the runner: a release, whose signature and checksum hold before anything of it runs; or a
# program that is there; or one that is built from this very commit.
set -euo pipefail
. "$GITHUB_ACTION_PATH/common.sh"

# Who signs releases, unless a key is named.
IDENTITY=https://github.com/portcullis-dev/portcullis/.github/workflows/release.yml@refs/tags
ISSUER=https://token.actions.githubusercontent.com

finish() { printf 'portcullis=%s\n' "$1" >>"$GITHUB_OUTPUT"; "$1" --version; exit 0; }

if [ -n "$INPUT_BINARY" ]; then
  [ -x "$INPUT_BINARY" ] || fail "binary: $INPUT_BINARY is not a program"
  finish "$(realpath -- "$INPUT_BINARY")"
fi

work=$(mktemp -d "$RUNNER_TEMP/portcullis.XXXXXXXX")

if [ "$INPUT_SOURCE" = true ]; then
  command -v cargo >/dev/null || fail 'build-from-source needs cargo on the runner'
  (cd "$GITHUB_ACTION_PATH/.." && CARGO_TARGET_DIR=$work cargo build --release --locked --package portcullis-cli)
  finish "$work/release/portcullis"
fi

version=${INPUT_VERSION#v}
[[ $version =~ ^[0-9]+\.[0-9]+\.[0-9]+(-[0-9A-Za-z.]+)?$ ]] ||
  fail "version: $version is not a version such as 1.2.3; there is no 'latest', since what runs must be known"
case $(uname -m) in
  x86_64 | amd64) architecture=x86_64 ;;
  aarch64 | arm64) architecture=aarch64 ;;
  *) fail "there is no release for $(uname -m); build-from-source may do" ;;
esac
name=portcullis-$version-linux-$architecture

# TLS, unless a mirror is named that has none: what was signed is checked either way.
case $INPUT_DOWNLOAD_URL in
  https://*) protocols='=https' ;;
  http://*) protocols='=http,https' ;;
  *) fail "download-url: $INPUT_DOWNLOAD_URL begins neither with https:// nor with http://" ;;
esac
fetch() {
  curl -q --fail --silent --show-error --location --proto "$protocols" --connect-timeout 20 --max-time 300 --retry 3 \
    --max-filesize 200000000 --output "$work/$1" -- "${INPUT_DOWNLOAD_URL%/}/v$version/$1" ||
    fail "cannot fetch $1 of version $version from $INPUT_DOWNLOAD_URL"
}
fetch SHA256SUMS
fetch SHA256SUMS.sigstore.json
fetch "$name.tar.gz"
cd "$work"

# First who signed the list, then whether the archive is the one in the list.
if [ -n "$INPUT_VERIFICATION_KEY" ]; then
  printf '%s\n' "$INPUT_VERIFICATION_KEY" >release.pub
  jq -er '.messageSignature.signature' SHA256SUMS.sigstore.json | base64 --decode >signature ||
    fail 'SHA256SUMS.sigstore.json holds no signature'
  openssl dgst -sha256 -verify release.pub -signature signature SHA256SUMS >/dev/null 2>&1 ||
    fail 'the list of checksums is not signed by verification-key'
else
  cosign verify-blob --bundle SHA256SUMS.sigstore.json --certificate-identity "$IDENTITY/v$version" \
    --certificate-oidc-issuer "$ISSUER" SHA256SUMS ||
    fail "the list of checksums is not signed by the release workflow of version $version"
fi
wanted=$(awk -v name="$name.tar.gz" 'NF == 2 && $2 == name {print $1}' SHA256SUMS)
found=$(sha256sum "$name.tar.gz" | cut -d ' ' -f 1)
[ -n "$wanted" ] || fail "the list of checksums does not name $name.tar.gz"
[ "$wanted" = "$found" ] || fail "$name.tar.gz has the checksum $found, and $wanted is what was signed"

tar -xzf "$name.tar.gz" --no-same-owner "$name/portcullis"
finish "$work/$name/portcullis"
