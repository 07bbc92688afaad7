#!/bin/sh
# Installs what the integration tests run against: real servers and real clients
# from Debian, only those that are missing. Silent and quick when none is.
#
# No service is started or enabled: the tests start their own, as themselves.
set -eu

# One line per need: the file that shows it is there, and the package that brings it.
needs='
/usr/sbin/apache2                  apache2
/usr/sbin/nginx                    nginx-light
/usr/sbin/haproxy                  haproxy
/usr/bin/docker-registry           docker-registry
/usr/sbin/dockerd                  docker.io
/usr/sbin/squid                    squid-openssl
/usr/bin/tinyproxy                 tinyproxy
/usr/bin/skopeo                    skopeo
/usr/bin/podman                    podman
/usr/bin/buildah                   buildah
/usr/bin/chromium                  chromium
/usr/bin/promtool                  prometheus
/usr/bin/strace                    strace
/usr/bin/openssl                   openssl
/usr/bin/curl                      curl
/usr/bin/testssl                   testssl.sh
/usr/bin/sslscan                   sslscan
/usr/bin/python3                   python3
/usr/bin/git                       git
/usr/bin/node                      nodejs
/usr/bin/npm                       npm
/usr/bin/wget                      wget
/usr/bin/javac                     default-jdk-headless
/usr/bin/certutil                  libnss3-tools
/usr/share/nodejs/undici/package.json node-undici
/usr/lib/python3/dist-packages/requests/__init__.py python3-requests
/usr/lib/python3/dist-packages/pip/__init__.py python3-pip
/usr/lib/python3/dist-packages/httpx/__init__.py python3-httpx
/usr/lib/python3/dist-packages/grpc/__init__.py python3-grpcio
/usr/bin/unshare                   util-linux
/usr/bin/systemd-analyze           systemd
/usr/bin/systemd-nspawn            systemd-container
/usr/share/pam-configs/systemd     libpam-systemd
/usr/bin/man                       man-db
/usr/bin/groff                     groff-base
/usr/bin/kill                      procps
/usr/bin/lintian                   lintian
/usr/bin/rpm                       rpm
/etc/ssl/certs/ca-certificates.crt ca-certificates
'
# /sbin and /usr/sbin may be one directory or two.
[ -e /usr/sbin/ip ] || [ -e /sbin/ip ] || missing=iproute2
[ -e /usr/bin/docker ] || [ -e /usr/local/bin/docker ] || missing="${missing:-} docker.io"

missing=$(
	printf '%s\n' ${missing:-}
	echo "$needs" | while read -r file package; do
		[ -z "$file" ] || [ -e "$file" ] || echo "$package"
	done
)
missing=$(printf '%s\n' $missing | sort -u | tr '\n' ' ')
[ -n "${missing% }" ] || exit 0

if [ "$(id -u)" != 0 ]; then
	echo "integration/setup.sh: not root, so nothing was installed; the tests need: apt-get install --no-install-recommends $missing" >&2
	exit 1
fi

# invoke-rc.d asks this file whether a service may start; 101 says no.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
	trap 'rm -f "$policy"' EXIT
	trap 'exit 1' HUP INT TERM
	printf '#!/bin/sh\nexit 101\n' >"$policy"
	chmod 755 "$policy"
fi

export DEBIAN_FRONTEND=noninteractive
apt="apt-get -qq -o DPkg::Lock::Timeout=600 -o Acquire::Retries=3"
echo "integration/setup.sh: installing $missing"
$apt update
log=$(mktemp)
if ! $apt install -y --no-install-recommends $missing >"$log" 2>&1; then
	cat "$log" >&2
	rm -f "$log"
	echo "integration/setup.sh: could not install $missing" >&2
	exit 1
fi
rm -f "$log"
