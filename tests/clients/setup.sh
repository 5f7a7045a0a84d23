#!/usr/bin/env bash
# Installs and builds the client programs of this directory. Nothing is written outside the given cache directory,
# except by the package managers to their own caches.
#
#   setup.sh CACHE_DIRECTORY [python|node|go|java|adot|otel-js|otel-java|aws|moto|duckdb]...      default: all of them
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

say() { echo "setup.sh: $*" >&2; }
die() { say "$*"; exit 1; }

[ $# -ge 1 ] || die "usage: setup.sh CACHE_DIRECTORY [python|node|go|java|adot|otel-js|otel-java|aws|moto|duckdb]..."
mkdir -p "$1"
cache=$(cd "$1" && pwd)
shift
[ $# -gt 0 ] || set -- python node go java adot otel-js otel-java aws moto duckdb

# Every missing tool is named at once, before anything is built.
missing=0
need() {
    local client=$1 tool
    shift
    for tool in "$@"; do
        if ! command -v "$tool" >/dev/null; then
            say "'$tool' is missing: the $client client needs it"
            missing=1
        fi
    done
}
for client in "$@"; do
    case $client in
        python | adot | aws | moto | duckdb) need "$client" python3 ;;
        node | otel-js) need "$client" node npm ;;
        go) need "$client" go ;;
        java | otel-java) need "$client" java javac mvn ;;
        *) die "unknown client '$client': choose from python node go java adot otel-js otel-java aws moto duckdb" ;;
    esac
done
[ $missing -eq 0 ] || exit 1

# Test processes may call this at the same time.
if command -v flock >/dev/null; then
    exec 9>"$cache/.lock"
    flock 9
fi

# The inputs of each client: if they hash to what its stamp says, the client is left as it is.
inputs_of() {
    cat "$here/setup.sh"
    case $1 in
        python | adot | aws | moto | duckdb) python3 --version; cat "$here/$1/requirements.txt" ;;
        node | otel-js) node --version; cat "$here/$1/package-lock.json" "$here/$1/client.js" ;;
        go) go version; cat "$here/go/go.mod" "$here/go/go.sum" "$here/go/main.go" ;;
        java | otel-java) java -version 2>&1; cat "$here/$1/pom.xml"; find "$here/$1/src" -name '*.java' -exec cat {} + ;;
    esac
}

make_venv() {
    python3 -m venv "$cache/$1"
    "$cache/$1/bin/python" -m pip install --quiet --disable-pip-version-check -r "$here/$1/requirements.txt"
}

make_node() {
    # Beside its node_modules, because that is where node looks for them.
    cp "$here/$1/package.json" "$here/$1/package-lock.json" "$here/$1/client.js" "$cache/$1/"
    (cd "$cache/$1" && npm ci --ignore-scripts --no-audit --no-fund --no-update-notifier --loglevel=error >&2)
}

make_go() {
    (cd "$here/go" && CGO_ENABLED=0 GOWORK=off go build -mod=readonly -buildvcs=false -trimpath -o "$cache/go/client" .)
}

make_java() {
    mvn -q -B -f "$here/$1/pom.xml" -Dout="$cache/$1" compile jar:jar dependency:copy-dependencies >&2
}

for client in "$@"; do
    stamp=$cache/$client/.stamp
    wanted=$(inputs_of "$client" | sha256sum)
    if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ]; then
        say "$client: up to date"
        continue
    fi
    say "$client: building"
    rm -rf "${cache:?}/$client"
    mkdir "$cache/$client"
    case $client in
        python | adot | aws | moto | duckdb) make_venv "$client" ;;
        node | otel-js) make_node "$client" ;;
        java | otel-java) make_java "$client" ;;
        *) "make_$client" ;;
    esac
    echo "$wanted" >"$stamp"
    say "$client: done"
done
