#!/bin/sh
# Installs what the build and the tests need from Debian, and packages from PyPI and npm: only what is missing, without
# questions.
set -eu

needed="gcc make libcap2-bin nftables iproute2 util-linux procps
    sip-tester sipsak baresip-core kamailio tshark tcpdump libwireshark-data
    freediameterd freediameter-extensions systemd sqlite3 openssl ca-certificates
    kannel libnet-smpp-perl python3 python3-venv nmap postgresql poppler-utils qpdf nats-server
    chromium chromium-driver fonts-dejavu-core faketime"
# Other packages of Node.js bring npm with them.
command -v npm >/dev/null || needed="$needed nodejs npm"

missing=""
for package in $needed; do
    dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed ||
        missing="$missing $package"
done

# smpplib, pyslp, aiosmtpd, python-diameter, openapi-spec-validator and jwcrypto, into an environment of their own below target/.
python_packages() {
    here=$(cd "$(dirname "$0")/.." && pwd)
    wanted=$here/tests/netns/requirements.txt
    python=$here/target/python
    cmp -s "$wanted" "$python/requirements.txt" && return
    python3 -m venv --clear "$python"
    "$python/bin/pip" install --quiet --disable-pip-version-check --require-hashes \
        --only-binary :all: --requirement "$wanted"
    cp "$wanted" "$python/requirements.txt"
}

# axe-core and html-validate, which look at web pages, likewise.
node_packages() {
    here=$(cd "$(dirname "$0")/.." && pwd)
    wanted=$here/tests/netns/web
    web=$here/target/web
    cmp -s "$wanted/package-lock.json" "$web/installed.json" && return
    rm -rf "$web"
    mkdir -p "$web"
    cp "$wanted/package.json" "$wanted/package-lock.json" "$web/"
    npm ci --prefix "$web" --ignore-scripts --no-audit --no-fund --silent
    cp "$wanted/package-lock.json" "$web/installed.json"
}

if [ -z "$missing" ]; then
    python_packages
    node_packages
    exit 0
fi

if [ "$(id -u)" -ne 0 ]; then
    echo "these Debian packages are missing:$missing" >&2
    echo "run this as root, or install them first: apt-get install$missing" >&2
    exit 1
fi

# A package that brings a daemon must not start it here: the tests start their own.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
    trap 'rm -f "$policy"' EXIT
fi

export DEBIAN_FRONTEND=noninteractive
apt-get -qq update
# shellcheck disable=SC2086
apt-get -qq -y --no-install-recommends -o Dpkg::Options::=--force-confold install $missing >/dev/null

python_packages
node_packages
