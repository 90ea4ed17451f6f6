#!/usr/bin/env bash
# Unpacks programs that tests compare with, or check with, into a folder: Prometheus, Alertmanager, node exporter, vmalert, kustomize, age and
# docker-compose as they are in Debian's unstable suite, from the archive that this machine's apt is set to.
#   tools/fetch-peers.sh build/peers        then: export PATH=$PWD/build/peers/usr/bin:$PATH
set -euo pipefail
target=$1
mkdir -p "$target/packages"
if [ "$(apt-cache policy prometheus 2>/dev/null | grep -c ' sid/main')" = 0 ]; then
  archive=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Label: Debian' | sed -n 1p)
  if [ -z "$archive" ]; then
    echo "apt knows no archive of Debian: name one in /etc/apt/sources.list.d, and run apt-get update" >&2
    exit 1
  fi
  printf 'Types: deb\nURIs: %s\nSuites: sid\nComponents: main\nSigned-By: /usr/share/keyrings/debian-archive-keyring.gpg\n' "$archive" \
    > /etc/apt/sources.list.d/sid-peers.sources
  printf 'Package: *\nPin: release a=unstable\nPin-Priority: 50\n' > /etc/apt/preferences.d/sid-peers
  apt-get update -q
fi
cd "$target/packages"
for package in prometheus promtool prometheus-alertmanager prometheus-node-exporter victoria-metrics kustomize age docker-compose; do
  apt-get download -q "$package/sid" || echo "$package could not be had"
done
for file in ./*.deb; do dpkg -x "$file" ..; done
# Debian's Alertmanager reads its templates from there.
if [ -d ../usr/share/prometheus/alertmanager ] && [ ! -e /usr/share/prometheus/alertmanager ]; then
  mkdir -p /usr/share/prometheus && cp -r ../usr/share/prometheus/alertmanager /usr/share/prometheus/
fi
