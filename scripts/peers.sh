#!/bin/sh
# Installs the programs that the tests run against, by apt, where they are absent.
# It does nothing on a machine that has them all; it needs root only when something is missing.
set -eu
packages="gcc libc6-dev git squid apache2 krb5-kdc krb5-user krb5-admin-server winbind samba
libnss-wrapper libuid-wrapper apache2-utils libapache2-mod-auth-gssapi gss-ntlmssp tinyproxy-bin
cntlm coturn curl iproute2 haproxy openssh-client chromium faketime prometheus-node-exporter libpacparser1"

missing=
for p in $packages; do
	dpkg-query -W -f '${Status}' "$p" 2>/dev/null | grep -q 'ok installed' || missing="$missing $p"
done
# squid-openssl, whose Squid can open TLS, conflicts with squid: two programs of it are unpacked.
[ -x /usr/local/sbin/squid-openssl ] || inspection=1
[ -n "$missing" ] || [ -n "${inspection:-}" ] || exit 0

echo "installing:$missing${inspection:+ squid-openssl (unpacked)}"
if [ "$(id -u)" -ne 0 ]; then
	echo "not root: run  sudo $0" >&2
	exit 1
fi
export DEBIAN_FRONTEND=noninteractive
apt-get -o Acquire::Retries=3 update -q
# The packages' services must not start: every test runs its own instance in a private directory.
if [ ! -e /usr/sbin/policy-rc.d ]; then
	trap 'rm -f /usr/sbin/policy-rc.d' EXIT
	printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
	chmod +x /usr/sbin/policy-rc.d
fi
# shellcheck disable=SC2086
[ -z "$missing" ] || apt-get -o Acquire::Retries=3 install -q -y --no-install-recommends $missing
if [ -n "${inspection:-}" ]; then
	dir=$(mktemp -d)
	(cd "$dir" && apt-get -o Acquire::Retries=3 download -q squid-openssl && dpkg -x squid-openssl_*.deb .)
	install -m 755 "$dir/usr/sbin/squid" /usr/local/sbin/squid-openssl
	install -m 755 "$dir/usr/lib/squid/security_file_certgen" /usr/local/sbin/security_file_certgen
	rm -r "$dir"
fi
