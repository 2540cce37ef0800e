#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# guest.sh - the checks that scripts/kernels runs inside a guest: R33, on the guest's kernel.
#
#   verifier   every BPF program passes this kernel's verifier (dump.bpf.c is loaded by `shunt dump`, onto its target)
#
# and with SHUNT_KERNELS_LAB=1, which takes ten minutes more on an emulated processor:
#   quickstart the lab over native XDP: dig, curl, iperf3, a captured packet, the host agent
#   restart    a gateway that is stopped with its pins kept and started again adopts its sessions
#   dump       `shunt dump -i` shows packets before and after XDP
#
# Prints `ok NAME` or `not ok NAME: WHY` for each; scripts/kernels counts them. Must never: leave out a check silently.

# Functions are called by name, in a shell of their own, so that a time limit can end them.
# shellcheck disable=SC2317,SC2016
set -u
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8
cd "$SHUNT_PROJECT" || exit 1
# The image comes without the index of its modules; with it the kernel loads what it needs by itself.
depmod -a && modprobe -a veth tun nf_tables
echo "# Linux $(uname -r), $(nproc) processors"

# check NAME SECONDS COMMAND...
check() {
	local name=$1 limit=$2 started=$SECONDS
	shift 2
	if timeout "$limit" "$@" >"/tmp/$name.log" 2>&1; then
		echo "ok $name ($((SECONDS - started)) s)"
	else
		echo "not ok $name: exit status $? after $((SECONDS - started)) s"
		grep -aE '^(quickstart|shunt): |^libbpf: prog|unbounded|invalid|too large|not allowed' "/tmp/$name.log" | head -n 5 | sed 's/^/# /'
		tail -n 15 "/tmp/$name.log" | sed 's/^/# /'
	fi
}

load() { bpftool prog loadall "build/bpf/$1.bpf.o" "/sys/fs/bpf/check-$1" && rm -r "/sys/fs/bpf/check-$1"; }
export -f load
for object in shunt stand_in pass watch agent; do check "verifier-$object" 120 bash -c "load $object"; done

[ "${SHUNT_KERNELS_LAB:-}" = 1 ] || exit 0

state=/run/shunt-lab/quickstart
shunt() { node dist/cli/main.js "$@"; }
export -f shunt

mode_is_native() {
	shunt status --json --socket "$state/g1.sock" | node -p '
		const { mode, adopted } = JSON.parse(require("node:fs").readFileSync(0, "utf8")).engine;
		if (mode !== "native") throw new Error(`the gateway runs ${mode}`);
		mode + (adopted ? ", adopted" : "")'
}
export -f mode_is_native
export state

restart() {
	local before after
	before=$(shunt sessions --count --socket "$state/g1.sock" --json)
	shunt stop --keep --socket "$state/g1.sock"
	scripts/lab exec gateway setsid node "$PWD/dist/cli/main.js" gateway --config "$PWD/examples/lab.yaml" --name g1 \
		--socket "$state/g1.sock" --json </dev/null >/tmp/g1.again 2>&1 &
	for ((i = 0; i < 600; i++)); do
		grep -q '"event":"ready"' /tmp/g1.again && break
		sleep 0.1
	done
	after=$(shunt sessions --count --socket "$state/g1.sock" --json)
	echo "sessions before $before, after $after"
	mode_is_native | grep -q adopted
}
export -f restart

dump() {
	scripts/lab exec gateway timeout 60 node "$PWD/dist/cli/main.js" dump -i eth0 -c 2 --config "$PWD/examples/lab.yaml" >/tmp/dumped 2>&1 &
	local dump=$!
	for ((i = 0; i < 40; i++)); do
		scripts/lab exec client dig +short +time=2 +tries=1 -b 198.51.100.7 @203.0.113.53 whoami.lab TXT >/dev/null
		kill -0 "$dump" 2>/dev/null || break
	done
	wait "$dump"
	cat /tmp/dumped
	grep -q forward /tmp/dumped
}
export -f dump

export SHUNT_LAB=quickstart
check quickstart 900 scripts/quickstart --skip-install --keep
check native-xdp 60 bash -c mode_is_native
check restart 300 bash -c restart
check dump 120 bash -c dump
exit 0
