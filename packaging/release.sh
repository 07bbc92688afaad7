#!/usr/bin/env bash
# Builds what is published of a version, into build/release: archives for each system,
# deb, rpm, image, a list of what is in each binary (SBOM), and SHA256SUMS over all.
# `make release` calls it from the top of the repository; docs/release.md has more.
#
#   VERSION  what the binary says it is     EPOCH  the time of every file, in seconds
set -euo pipefail
: "${VERSION:?}" "${EPOCH:?}"
export SOURCE_DATE_EPOCH=$EPOCH LC_ALL=C TZ=UTC

out=build/release
platforms='linux_amd64 linux_arm64 darwin_amd64 darwin_arm64 windows_amd64'
rm -rf "$out"
mkdir -p "$out"

# Packs a folder: owner, order and time are the same wherever it is done.
archive() {
	tar --sort=name --mtime="@$EPOCH" --owner=0 --group=0 --numeric-owner --mode=u=rwX,go=rX \
		--format=ustar -C "$1" -cf - "$2" | gzip -9n
}

for platform in $platforms; do
	name=certproxy_${VERSION}_$platform
	stage=build/stage/$name
	rm -rf "$stage"
	mkdir -p "$stage"
	binary=build/$platform/certproxy
	case $platform in windows_*) cp "$binary" "$stage/certproxy.exe" ;; *) cp "$binary" "$stage/certproxy" ;; esac
	cp LICENSE THIRD-PARTY-NOTICES README.md CHANGELOG.md "$stage"
	case $platform in
	windows_*) ;;
	*) cp -r build/manual/man build/manual/bash build/manual/zsh build/manual/fish "$stage" ;;
	esac
	case $platform in
	linux_*)
		mkdir "$stage/systemd"
		find systemd -type f ! -name '*.go' ! -path '*/testdata/*' -print0 | tar --null -T - -cf - | tar -C "$stage" -xf -
		;;
	esac
	archive build/stage "$name" >"$out/$name.tar.gz"
	# Neither the time nor a random number: the same binary has the same list.
	build/cyclonedx-gomod bin -json -std -noserial -notimestamp -version "$VERSION" -output "$out/$name.cdx.json" "$binary"
done
for arch in amd64 arm64; do
	build/package -version "$VERSION" -manual build/manual -arch $arch -binary build/linux_$arch/certproxy -out "$out" deb rpm >/dev/null
done
cp build/certproxy-image.tar "$out/certproxy_${VERSION}_image.tar"

cd "$out"
sha256sum -- * >SHA256SUMS
cat SHA256SUMS
