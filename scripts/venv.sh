# Sourced by the scripts beside it: `ensure_venv EXTRA[,EXTRA…]` makes .venv at the repository root
# and installs tag2box with these extras into it, both only if that was not done yet.

ensure_venv() {
    local stamp=".venv/installed-$1"
    if [[ $stamp -nt pyproject.toml && $stamp -nt constraints.txt ]]; then
        return
    fi
    if [[ ! -x .venv/bin/pip ]]; then
        local python=${PYTHON:-python3}
        if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
            echo "error: $python is older than Python 3.11; set PYTHON to a newer one" >&2
            return 1
        fi
        echo "== Making .venv with $("$python" --version)"
        "$python" -m venv .venv
    fi
    echo "== Installing tag2box[$1] into .venv (PyTorch is large: the first time takes minutes)"
    .venv/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[$1]"
    touch "$stamp"
}
