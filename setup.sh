# Make or mend .venv beside this file. Sourced by run and test, which set $here; POSIX sh, for a bare machine has no more.
#
# .venv/sound exists while the environment is whole: it names the place and the Python that it was made for.
# .venv/LOCK.sum says which text of LOCK (and of pyproject.toml) is installed.

venv=$here/.venv

fail() {
    printf '%s\n' "$*" >&2
    exit 1
}

# set_up LOCK: return at once when .venv holds what LOCK asks for, else install it.
set_up() {
    lock=$1
    is_current && return
    # The second of two calls waits here and finds the work done. The lock, on this very file, ends with this shell
    # and what it started, whatever killed them.
    exec 9>>"$here/setup.sh"
    find_python
    "$python" -c 'import fcntl; fcntl.flock(9, fcntl.LOCK_EX)' || fail "Could not lock $here/setup.sh."
    is_current || install
    exec 9>&-
}

is_current() {
    is_sound && [ "$(cat "$venv/$lock.sum" 2>/dev/null)" = "$(sum_of_lock)" ]
}

is_sound() {
    [ -x "$venv/bin/python" ] && [ "$(cat "$venv/sound" 2>/dev/null)" = "$(identity)" ]
}

# A moved folder or another Python under the same name breaks an environment.
identity() {
    printf '%s %s\n' "$here" "$("$venv/bin/python" -V 2>&1)"
}

sum_of_lock() {
    (cd "$here" && cksum "$lock" pyproject.toml)
}

# $PYTHON, else the first that runs, the tested one before newer ones: a version manager leaves names on the PATH that do not
# run. The base's path counts: inside an activated .venv the plain name would be the one that is about to be removed.
find_python() {
    for name in "${PYTHON:-python3.11}" python3.11 python3.12 python3.13 python3.14 python3; do
        python=$("$name" -c 'import sys; assert sys.version_info >= (3, 11); print(sys._base_executable)' 2>/dev/null) &&
            return
    done
    fail "This needs Python 3.11 or newer. On Debian or Ubuntu: sudo apt-get install python3 python3-venv"
}

# A lock names everything, so there is nothing to resolve: asked to, pip refuses "coverage[toml]>=7" beside a pinned
# coverage as soon as a newer one is published.
install() {
    printf 'Setting up %s from %s; this happens again only when that file changes.\n' "$venv" "$lock" >&2
    is_sound || rm -rf "$venv"
    rm -f "$venv/sound"
    install_with_uv || install_with_pip || fail "The set-up failed; the lines above say why. ./run tries again."
    sum_of_lock >"$venv/$lock.sum"
    identity >"$venv/sound"
}

install_with_uv() {
    command -v uv >/dev/null 2>&1 || return 1
    [ -x "$venv/bin/python" ] || uv venv --quiet --python "$python" "$venv" || return 1
    uv pip install --quiet --python "$venv/bin/python" --no-deps --require-hashes --requirement "$here/$lock" &&
        uv pip install --quiet --python "$venv/bin/python" --no-deps --no-build-isolation --editable "$here"
}

install_with_pip() {
    [ -x "$venv/bin/python" ] || make_venv
    pip_install --no-deps --require-hashes --requirement "$here/$lock" &&
        pip_install --no-deps --no-build-isolation --editable "$here"
}

# Debian keeps the part of venv that brings pip in a package of its own; a pip beside Python can stand in for it.
make_venv() {
    "$python" -m venv "$venv" >/dev/null 2>&1 && return
    "$python" -m pip --version >/dev/null 2>&1 && "$python" -m venv --clear --without-pip "$venv" && return
    fail "$python cannot make a virtual environment. On Debian or Ubuntu: sudo apt-get install python3-venv"
}

# Outside of a virtual environment pip must refuse: a broken .venv would have it write to the machine's own Python.
pip_install() {
    if [ -x "$venv/bin/pip" ]; then
        "$venv/bin/python" -m pip --require-virtualenv --disable-pip-version-check install --quiet "$@"
    else
        "$python" -m pip --require-virtualenv --disable-pip-version-check --python "$venv/bin/python" install --quiet "$@"
    fi
}
