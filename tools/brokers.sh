# For other scripts: the message brokers that Weir is compared with. Needs `say`.

# Installs nats-server and redis-server where they are missing and can be installed. Says what is
# missing after all, and fails.
install_brokers() {
    local name missing=()
    for name in nats-server redis-server; do
        PATH="$PATH:/usr/sbin:/sbin" command -v "$name" >/dev/null 2>&1 || missing+=("$name")
    done
    ((${#missing[@]})) || return 0
    if [[ $(id -u) == 0 ]] && command -v apt-get >/dev/null 2>&1; then
        say "installing ${missing[*]}"
        apt-get -qq update >/dev/null 2>&1 || true
        # Debian starts what it installs, unless a policy says no.
        if RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive \
            apt-get -qq install -y --no-install-recommends "${missing[@]}" >/dev/null 2>&1; then
            return 0
        fi
    fi
    say "MISSING: ${missing[*]} (Debian and Ubuntu: apt-get install ${missing[*]})"
    return 1
}
