#!/bin/sh
# Portcullis in TeamCity, as the script of a Command Line build step on an agent with Docker: findings as tests, the
# reports as artifacts; the verdict fails the step. %-parameters are TeamCity's; registry.image is one of your own.
set -eu
image='%registry.image%'
mkdir -p .portcullis-cache reports
run() {
  docker run --rm --user "$(id -u)" -v "$PWD/.portcullis-cache:/cache" -v "$PWD/reports:/reports" \
    -v "$HOME/.docker:/docker:ro" -e DOCKER_CONFIG=/docker -e PORTCULLIS_CACHE_DIR=/cache -e PORTCULLIS_DB=/cache/portcullis.db \
    ghcr.io/portcullis-dev/portcullis:0.1.0 "$@"
}
run db update
code=0
run scan -o table -o json=/reports/portcullis.json -o junit=/reports/portcullis.xml -o html=/reports/portcullis.html -- "registry:$image" || code=$?
echo "##teamcity[importData type='junit' path='reports/portcullis.xml']"
echo "##teamcity[publishArtifacts 'reports => portcullis']"
exit "$code"
